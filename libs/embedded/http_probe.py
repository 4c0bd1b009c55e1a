"""Asks a loopback HTTP server whether it is well, with nothing but the standard library."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


async def answers_200(url: str, *, patience_s: float = 2.0) -> bool:
    """True when ``GET url`` is answered with status 200 within ``patience_s`` seconds."""
    try:
        return await asyncio.wait_for(_status(url), patience_s) == 200
    except (OSError, TimeoutError, ValueError, IndexError):
        return False


async def _status(url: str) -> int:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        target = address.path + (f"?{address.query}" if address.query else "")
        request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
