"""A small HTTP/1.1 client for one callback door: keep-alive, and retries as providers do.

Written by hand because the client shares its cores with what it measures: a general client
costs several times what the door itself costs.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from urllib.parse import urlsplit

from libs.simulator.callback import Callback

_ANSWER_TIMEOUT_S = 30.0
_RETRY_DELAY_MAX_S = 2.0
_RETRYABLE = frozenset({429, 500, 502, 503, 504})


class DoorClosed(Exception):
    """The door refused a callback for good, or for longer than the retries last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said. `retry_after_s` is 0 when it did not say."""

    status: int
    retry_after_s: float


class Door:
    """One connection to one account's door; used by one task at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"not an http:// address: {url}")
        self._host = parts.hostname
        self._port = parts.port or 80
        self._path = parts.path or "/"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def deliver(self, callback: Callback, *, retry_s: float = 60.0) -> int:
        """Post until the door answers 200.

        Args:
            callback: what to post.
            retry_s: seconds after which the provider gives up.

        Returns:
            Retries that it took.

        Raises:
            DoorClosed: an answer that no retry can better, or none within `retry_s`.
        """
        request = self._request(callback)
        deadline = asyncio.get_running_loop().time() + retry_s
        retries = 0
        while True:
            answer = await self._try_post(request)
            if answer is not None and answer.status == 200:
                return retries
            if answer is not None and answer.status not in _RETRYABLE:
                raise DoorClosed(f"the door answered {answer.status}")
            if asyncio.get_running_loop().time() > deadline:
                said = answer.status if answer else "nothing"
                raise DoorClosed(f"the door answered {said} for {retry_s:g} s")
            delay_s = min(_RETRY_DELAY_MAX_S, 0.05 * 2**retries)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            retries += 1

    async def close(self) -> None:
        """Close the connection; safe to call twice."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _try_post(self, request: bytes) -> Answer | None:
        """The answer, or None if there was none: the connection is then made anew."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._streams
                writer.write(request)
                return await _read_answer(reader)
        except (OSError, EOFError, TimeoutError, ValueError):
            await self.close()
            return None

    def _request(self, callback: Callback) -> bytes:
        target = f"{self._path}?{callback.query}" if callback.query else self._path
        lines = [
            f"{callback.method} {target} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"Content-Length: {len(callback.body)}",
            *(f"{name}: {value}" for name, value in callback.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + callback.body


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:])
    }
    if headers.get("transfer-encoding") == "chunked":
        await _skip_chunks(reader)
    else:
        await reader.readexactly(int(headers.get("content-length", "0")))
    after = headers.get("retry-after", "")
    status = int(head[0].split(" ", 2)[1])
    return Answer(status=status, retry_after_s=float(after) if after.isdecimal() else 0.0)


async def _skip_chunks(reader: asyncio.StreamReader) -> None:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    await reader.readuntil(b"\r\n")
