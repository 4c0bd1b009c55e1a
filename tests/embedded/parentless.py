"""A program that starts both servers, says their pids and waits; tests kill it."""

import asyncio
import json
import sys
from pathlib import Path

from libs.embedded.nats_server import NatsServer
from libs.embedded.postgres_server import PostgresServer


async def main() -> None:
    folder = Path(sys.argv[1])
    servers = [PostgresServer(folder / "postgres"), NatsServer(folder / "nats")]
    for server in servers:
        await server.start()
    print(json.dumps([server.pid for server in servers]), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
