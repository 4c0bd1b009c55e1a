"""HTTP at the door: uvicorn's protocol with the time-outs that it lacks, and a short way."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.ingest.adapters.callback_desk import Doorway
from services.ingest.adapters.door_replies import CLOSE, Reply
from services.ingest.adapters.short_way import ShortWay

# Heads of providers are 2 KB at most; beyond this nothing is kept of one that does not end.
_HEAD_BYTES_MAX = 64 * 1024
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class _ShortCycle:
    """Stands, on the short way, where uvicorn keeps the request that is under way.

    So its own machinery for what comes behind (pipelined requests), for a sender who leaves, and
    for a server that closes, knows that a request is to be answered yet.
    """

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.response_complete = True
        self.keep_alive = True
        self.disconnected = False
        self.message_event = self  # of an event, all that is asked for is `set`

    def set(self) -> None:
        """Nobody waits here."""


class DoorProtocol(HttpToolsProtocol):
    """One connection of a provider's.

    uvicorn waits for ever for the rest of a request, so that a few thousand half-sent ones would
    occupy the door. Here a request, headers and body, has ``request_timeout_s`` from its first byte
    (from the connection, for the first one); then the connection is closed.

    A plain POST to a known address takes the short way. Whatever is not plain (a chunked, large or
    unannounced body, an answer to wait for, a request before it, a full door) takes uvicorn's: it
    is handed over as it stands, at any time until its body is whole.
    """

    request_timeout_s: ClassVar[float]
    short_way: ClassVar[ShortWay | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with nothing received."""
        # Of the request that comes in; of a header that is there twice, the last stands. The parser
        # fills it without a call of ours: five headers would be five calls.
        self._fields: dict[bytes, bytes] = {}
        self.on_header = self._fields.__setitem__  # type: ignore[assignment]
        super().__init__(*args, **kwargs)
        self._request_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._answered_at = 0.0
        self._is_unfinished = False
        self._is_in_head = False
        self._head_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        # Of the request that is coming in on the short way; None: it is on the long one.
        self._doorway: Doorway | None = None
        self._short_cycle = _ShortCycle()
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0

    # -- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Expect a request soon."""
        super().connection_made(transport)
        self._request_timer = self.loop.call_later(self.request_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything but what is on its way to the broker."""
        self._stop_waiting()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._drop_body()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        super().data_received(data)
        # Nearly all requests come in one piece, and cost no timer.
        if not self._is_unfinished:
            if self._request_timer is not None:
                self._stop_waiting()
            return
        if self._request_timer is None:
            self._request_timer = self.loop.call_later(self.request_timeout_s, self._give_up)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES_MAX and not self.transport.is_closing():
                self.transport.write(_HEAD_TOO_LARGE)
                self.transport.close()

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _give_up(self) -> None:
        self._request_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    # -- one request, as the parser finds its parts ------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request; what the long way needs is made when it is taken."""
        self._is_unfinished = True
        self._is_in_head = True
        self._head_bytes = 0
        self.url = b""
        self._fields.clear()

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self._is_in_head = False
        headers = self._headers = {name.lower(): value for name, value in self._fields.items()}
        way = self.short_way
        doorway = way.doorway(self.url) if way is not None else None
        if doorway is None or way is None or not self._is_plain(way, headers):
            self._begin_long()
            return
        self._doorway = doorway
        cycle = self._short_cycle
        cycle.response_complete = False
        cycle.keep_alive = True
        self.cycle = cycle  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._doorway is None:
            super().on_body(body)
            return
        assert self.short_way is not None
        self._chunks.append(body)
        self._chunk_bytes += len(body)
        if not self.short_way.hold(len(body)):
            self._hand_over()

    def on_message_complete(self) -> None:
        """The request is whole: work on it."""
        self._is_unfinished = False
        doorway, way = self._doorway, self.short_way
        if doorway is not None and way is not None and way.is_full:
            self._hand_over()
            doorway = None
        if doorway is None or way is None:
            super().on_message_complete()
            return
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._doorway = None
        self._chunks, self._chunk_bytes = [], 0
        way.take(doorway, self.url, self._headers, body, self)

    # -- the ways ----------------------------------------------------------------------------------

    def _is_plain(self, way: ShortWay, fields: dict[bytes, bytes]) -> bool:
        """Say whether the request may take the short way, whomever it is for."""
        parser, cycle = self.parser, self.cycle
        announced = fields.get(b"content-length", b"")
        return (
            announced.isdigit()
            and int(announced) <= way.body_bytes_max
            and b"expect" not in fields
            and parser.get_method() == b"POST"
            and (cycle is None or cycle.response_complete)
            and parser.should_keep_alive()
            # Without a word of it, what is kept open is HTTP/1.1 and stays HTTP.
            and (b"connection" not in fields or self._is_kept_http())
            and not self.flow.write_paused
            and not self._is_crowded()
        )

    def _is_kept_http(self) -> bool:
        return self.parser.get_http_version() == "1.1" and not self.parser.should_upgrade()

    def _is_crowded(self) -> bool:
        most = self.limit_concurrency
        return most is not None and (len(self.connections) >= most or len(self.tasks) >= most)

    def _begin_long(self) -> None:
        url = self.url
        super().on_message_begin()
        self.url = url
        # uvicorn notes what it needs of each, and gives them to the scope.
        for name, value in self._headers.items():
            super().on_header(name, value)
        super().on_headers_complete()

    def _hand_over(self) -> None:
        """Let the long way go on with a request that began on the short one."""
        cycle, chunks = self._short_cycle, self._chunks
        self._drop_body()
        self._doorway = None
        cycle.response_complete = True
        self._begin_long()
        self.cycle.keep_alive = self.cycle.keep_alive and cycle.keep_alive
        for chunk in chunks:
            super().on_body(chunk)

    def _drop_body(self) -> None:
        if self._chunk_bytes and self.short_way is not None:
            self.short_way.let_go(self._chunk_bytes)
        self._chunks, self._chunk_bytes = [], 0

    def answer(self, said: Reply, doorway: Doorway) -> None:
        """Answer the request that took the short way."""
        cycle = self._short_cycle
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        is_last = not cycle.keep_alive or CLOSE in said.headers
        if said is doorway.stored and not is_last:
            self.transport.write(doorway.stored_wire)
        else:
            self.transport.write(said.wire(is_last=is_last))
        if is_last:
            self.transport.close()
        if self.pipeline or is_last:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        # One timer a connection, instead of two changes of one for each request.
        self._answered_at = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_idle)

    def _look_idle(self) -> None:
        """Close a connection that was not used for long; whoever answers next looks again."""
        self._idle_timer = None
        is_busy = self._is_unfinished or not self.cycle.response_complete
        # On the long way uvicorn has a timer of its own.
        if is_busy or self.timeout_keep_alive_task is not None or self.transport.is_closing():
            return
        rest_s = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if rest_s <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(rest_s, self._look_idle)
