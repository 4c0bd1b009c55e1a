"""Prints every message that came to its end: delivered and read, failed, or dropped.

Usage: follow.py PLACE, where PLACE is a file that keeps how far it came. Needs bluetick-client.
"""

import asyncio
import os
import sys
from pathlib import Path

from bluetick.client import ChangesMissed, Client
from bluetick.v1.common_pb2 import MessageState
from bluetick.v1.message_service_pb2 import ChangeFilter


async def follow(client: Client, place: Path) -> None:
    """Follow from where ``place`` says, or from now."""
    cursor = place.read_text() if place.exists() else ""
    changes = client.changes(cursor=cursor, filter=ChangeFilter(is_final_only=True))
    async for answer in changes.answers():
        for change in answer.changes:
            state = MessageState.Name(change.new_image.state)
            print(change.message_ref, state, change.new_image.failure_code, flush=True)
        # With what you did about the changes in one transaction, each counts exactly once.
        kept = place.with_suffix(".next")
        kept.write_text(answer.cursor)
        kept.replace(place)


async def main(place: Path) -> None:
    """Follow until the end; changes that the stream no longer has are missed, and said to be."""
    gateway, key = os.environ["BLUETICK_GATEWAY"], os.environ["BLUETICK_API_KEY"]
    async with Client(gateway, api_key=key) as client:
        while True:
            try:
                await follow(client, place)
            except ChangesMissed as missed:
                print(f"missed: {missed.reason}, up to {missed.oldest_time}", file=sys.stderr)
                place.write_text(missed.oldest_cursor)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
