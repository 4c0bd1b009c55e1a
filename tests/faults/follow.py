"""A team's program that follows changes and writes down each: `follow.py grpc|nats FOLDER ...`.

What it wrote before it was killed is a file of its own for each of its lives.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from bluetick.client import Client, Listener
from bluetick.v1.change_pb2 import MessageChanged


def line(change: MessageChanged) -> str:
    return f"{change.message_key.hex()} {change.version} {change.part}\n"


def written(folder: Path) -> int:
    return os.open(folder / f"life-{os.getpid()}", os.O_CREAT | os.O_WRONLY)


async def over_grpc(folder: Path, gateway: str, key: str) -> None:
    place, log = (
        folder / "cursor",
        os.open(folder / f"life-{os.getpid()}", os.O_CREAT | os.O_WRONLY),
    )
    begin = (
        {"cursor": place.read_text()}
        if place.exists()
        else {"start_time": datetime.fromtimestamp(0, UTC)}
    )
    async with Client(gateway, api_key=key) as client:
        async for answer in client.changes(**begin).answers():  # type: ignore[arg-type]
            os.write(log, "".join(map(line, answer.changes)).encode())
            (folder / "next").write_text(answer.cursor)
            (folder / "next").replace(place)


async def over_nats(folder: Path, url: str) -> None:
    log = written(folder)
    async for change in Listener(url).changes():
        os.write(log, line(change).encode())


if __name__ == "__main__":
    how, where, *rest = sys.argv[1:]
    asyncio.run({"grpc": over_grpc, "nats": over_nats}[how](Path(where), *rest))
