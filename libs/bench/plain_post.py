"""One ready-made request at a time over a connection that is kept, told again until it is 200."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

_AGAIN_AFTER_S = 0.2
_TRIES_MAX = 100


class PlainPoster:
    """Posts whole HTTP requests to one door; as many connections as are needed at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, request: bytes) -> None:
        """Return when it was answered 200.

        Raises:
            ConnectionError: it never was.
        """
        for _ in range(_TRIES_MAX):
            try:
                if await self._try(request) == b"200":
                    return
            except (OSError, EOFError):
                pass
            await asyncio.sleep(_AGAIN_AFTER_S)
        raise ConnectionError("a callback was never answered 200")

    async def _try(self, request: bytes) -> bytes:
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        start = head.find(b"content-length:")
        length = int(head[start + 15 : head.index(b"\r\n", start)]) if start >= 0 else 0
        await reader.readexactly(length)
        self._free.append((reader, writer))
        return head[9:12]
