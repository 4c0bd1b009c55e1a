"""A program that starts PostgreSQL, asks it something and dies without stopping it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from libs.embedded.errors import EmbeddedError
from libs.embedded.postgres_server import PostgresServer


async def main() -> None:
    server = PostgresServer(Path(sys.argv[1]) / "postgres")
    try:
        await server.start()
    except EmbeddedError as error:
        sys.exit(str(error))
    connection = await asyncpg.connect(server.url, ssl=False)
    print(await connection.fetchval("SELECT 1"), flush=True)
    await connection.close()
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main())
