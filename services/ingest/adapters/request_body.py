"""Reading a request's body within limits of size and memory; its time is the server's matter."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from services.ingest.domain.fair_share import Party, fits

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# How much of a body that is refused for its size is still read, so that its sender reads our
# answer instead of a broken connection.
_DISCARD_BYTES_MAX = 16 * 1024 * 1024


class BodyRefused(Exception):
    """The body cannot be taken; ``http_status`` says why."""

    def __init__(self, http_status: int) -> None:
        super().__init__(http_status)
        self.http_status = http_status


class SenderLeft(Exception):
    """The connection ended before the body did."""


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one body, and of all bodies held at once."""

    body_bytes_max: int = 3 * 1024 * 1024
    bytes_in_flight_max: int = 64 * 1024 * 1024


class BodyDesk:
    """Takes bodies in, and knows how many bytes are held at once."""

    def __init__(self, limits: BodyLimits) -> None:
        """Hold bodies within ``limits``."""
        self._limits = limits
        self.bytes_in_flight = 0

    def hold(self, party: Party, byte_count: int) -> bool:
        """Hold so much more of a body; False if that is more than the party's share."""
        fit = fits(
            byte_count,
            own=party.byte_count,
            account=party.account.byte_count,
            held=self.bytes_in_flight,
            total=self._limits.bytes_in_flight_max,
        )
        party.byte_count += byte_count
        party.account.byte_count += byte_count
        self.bytes_in_flight += byte_count
        return fit

    def let_go(self, party: Party, byte_count: int) -> None:
        """Hold so much less."""
        party.byte_count -= byte_count
        party.account.byte_count -= byte_count
        self.bytes_in_flight -= byte_count

    async def take(
        self,
        receive: Receive,
        headers: Iterable[tuple[bytes, bytes]],
        party: Party,
        body_bytes_max: int,
    ) -> bytes:
        """Return a whole body of so many bytes at most; ``let_go`` them when it is not held.

        Raises:
            BodyRefused: 413 too large, 503 too much is held already.
            SenderLeft: nobody is there to be answered.
        """
        declared, expects_continue = _announced(headers)
        if declared > body_bytes_max:
            if not expects_continue:
                await _discard(receive)
            raise BodyRefused(413)
        return await self._read(receive, party, body_bytes_max)

    async def _read(self, receive: Receive, party: Party, body_bytes_max: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        message: MutableMapping[str, Any] = {"more_body": True}
        try:
            while message.get("more_body"):
                message = await receive()
                chunk = _bytes_of(message)
                chunks.append(chunk)
                size += len(chunk)
                fit = self.hold(party, len(chunk))
                if size > body_bytes_max:
                    raise BodyRefused(413)
                if not fit:
                    raise BodyRefused(503)
        except BaseException as error:
            self.let_go(party, size)
            if isinstance(error, BodyRefused) and error.http_status == 413:
                await _discard(receive, message)
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _bytes_of(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise SenderLeft
    body: bytes = message.get("body", b"")
    return body


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bool]:
    """Return the declared length (0: none) and whether the sender waits for our word."""
    length, expects_continue = 0, False
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue"
    return length, expects_continue


async def _discard(receive: Receive, message: MutableMapping[str, Any] | None = None) -> None:
    size = 0
    while size < _DISCARD_BYTES_MAX and (message is None or message.get("more_body")):
        message = await receive()
        size += len(_bytes_of(message))
