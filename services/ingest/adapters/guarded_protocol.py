"""HTTP with the limits that uvicorn lacks: of time, of heads, of places."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.ingest.adapters.connection_book import ConnectionBook, ConnectionLimits

_LAST_WORD = b"content-length: 0\r\nconnection: close\r\n\r\n"
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _LAST_WORD
_NO_HTTP = b"HTTP/1.1 400 Bad Request\r\n" + _LAST_WORD
_NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\n" + _LAST_WORD
# Requests behind one that is not answered yet. No provider sends any; a stranger could send
# thousands with one packet.
_PIPELINED_MAX = 16
_HEAD_END = b"\r\n\r\n"
# Not worth a look: it holds some hundred headers at most, and is larger than any provider's.
_SMALL_HEAD_BYTES = 4_096


class _Closed(Exception):
    """What the parser still reads is of a connection that is being closed."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection, which nobody can hold for longer than he needs it.

    uvicorn waits for ever for the rest of a request, so that a few thousand half-sent ones would
    occupy the door. Here a request, headers and body, has ``request_timeout_s`` from its first byte
    (from the connection, for the first one); then the connection is closed. So is one whose head is
    too large, or whose place is needed (`connection_book.py`).
    """

    limits: ClassVar[ConnectionLimits]
    book: ClassVar[ConnectionBook]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with nothing received."""
        # Of the request that comes in; of a header that is there twice, the last stands. The parser
        # fills it without a call of ours: five headers would be five calls.
        self._fields: dict[bytes, bytes] = {}
        self.on_header = self._fields.__setitem__  # type: ignore[assignment]
        super().__init__(*args, **kwargs)
        self.address = ""  # who called
        self._began_at = 0.0
        self._answered_at = 0.0
        self._request_timer: asyncio.TimerHandle | None = None
        self._is_unfinished = False
        self._is_in_head = False
        self._is_ended = False  # whatever comes is refused
        # Of the head that comes in, beyond what was parsed without a look.
        self._head_bytes = 0
        self._head_lines = 0
        self._head_tail = b""
        self._data_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Expect a request soon."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._began_at = self.loop.time()
        if not self.book.enter(self):
            self._is_ended = True
            self._end_soon(_NO_ROOM)
            return
        self._request_timer = self.loop.call_later(self.limits.request_timeout_s, self.give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place to another."""
        self.book.leave(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._is_ended or self.transport.is_closing():
            return
        self._data_bytes = len(data)
        if self._is_in_head or (len(data) > _SMALL_HEAD_BYTES and not self._is_unfinished):
            self._check_head(data)
            if self._is_ended:
                return
        super().data_received(data)
        if self._is_in_head:
            self._head_tail = data[1 - len(_HEAD_END) :]
        # Nearly all requests come in one piece, and cost no timer.
        if not self._is_unfinished:
            if self._request_timer is not None:
                self._stop_waiting()
            return
        if self._request_timer is None:
            self._began_at = self.loop.time()
            self._request_timer = self.loop.call_later(self.limits.request_timeout_s, self.give_up)

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def give_up(self) -> None:
        """Close it: its sender takes too long, or others need its place."""
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is coming in."""
        return not self._is_unfinished

    @property
    def useless_since_s(self) -> float | None:
        """When a request last began or was answered; None while one waits for its answer."""
        if self._is_ended:
            return 0.0
        if self.cycle is not None and not self.cycle.response_complete and not self._is_unfinished:
            return None
        return max(self._began_at, self._answered_at)

    @property
    def has_left(self) -> bool:
        """Whether nobody is there to be answered."""
        return self.transport.is_closing()

    def on_message_begin(self) -> None:
        """Begin a request, whose head is only noted: what uvicorn needs of it may not be needed."""
        self._is_unfinished = True
        self._is_in_head = True
        self.url = b""
        self._fields.clear()

    def _check_head(self, data: bytes) -> None:
        """Look at a piece of a head before it is parsed: each header would be an object or two."""
        limits = self.limits
        room = limits.head_bytes_max - self._head_bytes
        # The end of a head may lie in two pieces, and what is behind it is no head.
        data = self._head_tail + data
        end = data.find(_HEAD_END, 0, max(0, room) + len(_HEAD_END))
        self._head_lines += data.count(b"\n", 0, end if end >= 0 else len(data))
        if (end < 0 and len(data) > room) or self._head_lines > limits.headers_max:
            self._end(_HEAD_TOO_LARGE)
        if self._is_in_head:
            self._head_bytes += len(data)

    def _end_head(self) -> dict[bytes, bytes]:
        """Return the headers, their names in lower case, if they are within the limits."""
        self._is_in_head = False
        self._head_bytes = self._head_lines = 0
        self._head_tail = b""
        headers = {name.lower(): value for name, value in self._fields.items()}
        if len(headers) > self.limits.headers_max or self._is_large_head():
            self._end(_HEAD_TOO_LARGE)
        elif len(self.pipeline) >= _PIPELINED_MAX:
            self._end(b"")
        if self._is_ended or self.transport.is_closing():
            # Nobody hears what would be answered; the parser stops.
            raise _Closed
        return headers

    def _is_large_head(self) -> bool:
        most = self.limits.head_bytes_max
        # Only one that came behind another, in a large piece, was not looked at before.
        if self._data_bytes <= most:
            return False
        fields = sum(len(name) + len(value) for name, value in self._fields.items())
        return len(self.url) + fields > most

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it was refused for another reason before."""
        self._end(_NO_HTTP)

    def _end(self, last_word: bytes) -> None:
        """Refuse what comes in, and all that would come; soon, or late if that is one of many."""
        if not self._is_ended and not self.transport.is_closing():
            self._is_ended = True
            self._stop_waiting()
            self._end_soon(last_word)

    def _end_soon(self, last_word: bytes) -> None:
        delay_s = self.book.delay_s(self)
        if delay_s:
            self.flow.pause_reading()
            self.loop.call_later(delay_s, self._say_last, last_word)
        else:
            self._say_last(last_word)

    def _say_last(self, last_word: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(last_word)
            self.transport.close()
