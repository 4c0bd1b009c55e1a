"""Asks a loopback HTTP server whether it is well, with nothing but the standard library."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

_ANSWER_BYTES_MAX = 16 * 1024


async def answers_200(url: str, *, patience_s: float = 2.0) -> bool:
    """True when ``GET url`` is answered with status 200 within ``patience_s`` seconds."""
    status, _ = await answer_of(url, patience_s=patience_s)
    return status == 200


async def answer_of(url: str, *, patience_s: float = 2.0) -> tuple[int, str]:
    """Status and head and body of the answer to ``GET url``, cut at 16 KiB; (0, "") is none."""
    try:
        return await asyncio.wait_for(_ask(url), patience_s)
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0, ""


async def _ask(url: str) -> tuple[int, str]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        target = address.path + (f"?{address.query}" if address.query else "")
        request = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        answer = b""
        while len(answer) < _ANSWER_BYTES_MAX and (read := await reader.read(_ANSWER_BYTES_MAX)):
            answer += read
        return status, answer[:_ANSWER_BYTES_MAX].decode(errors="replace")
    finally:
        writer.close()
