"""A broker without a past: every test starts with no stream."""

from __future__ import annotations

import json

import nats


async def delete_streams(url: str) -> None:
    """Delete every stream, and with it its consumers."""
    client = await nats.connect(url, connect_timeout=5, allow_reconnect=False)
    try:
        answer = await client.request("$JS.API.STREAM.NAMES", b"{}", timeout=5)
        for name in json.loads(answer.data).get("streams") or ():
            await client.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
    finally:
        await client.close()
