"""HTTP at the door: guarded, and with a short way for plain callbacks."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.ingest.adapters.door_replies import CLOSE, Reply
from services.ingest.adapters.doorways import Doorway
from services.ingest.adapters.guarded_protocol import GuardedProtocol
from services.ingest.adapters.short_way import ShortWay
from services.ingest.domain.fair_share import Party


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


class DoorProtocol(GuardedProtocol):
    """One connection of a provider's.

    A plain POST to a known address takes the short way. Whatever is not plain (a chunked, large or
    unannounced body, an answer to wait for, a request before it, a full door) takes uvicorn's: it
    is handed over as it stands, at any time until its body is whole.
    """

    short_way: ClassVar[ShortWay | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with nothing received."""
        super().__init__(*args, **kwargs)
        self._idle_timer: asyncio.TimerHandle | None = None
        self._headers: dict[bytes, bytes] = {}
        # Of the request that is coming in on the short way; None: it is on the long one.
        self._doorway: Doorway | None = None
        # What is held for this caller, at the doorway that was called last.
        self._party: Party | None = None
        self._party_at: Doorway | None = None
        self._short_cycle = _ShortCycle()
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything but what is on its way to the broker."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._drop_body()
        super().connection_lost(exc)

    # -- one request, as the parser finds its parts ------------------------------------------------

    def on_headers_complete(self) -> None:
        """Choose the way."""
        headers = self._headers = self._end_head()
        way = self.short_way
        doorway = way.doorway(self.url) if way is not None else None
        if doorway is None or way is None or not self._is_plain(way, headers):
            self._begin_long()
            return
        self._doorway = doorway
        if self._party_at is not doorway:
            self._party_at = doorway
            self._party = way.desk.party(doorway, self.address)
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
        assert self._party is not None
        self._chunks.append(body)
        self._chunk_bytes += len(body)
        if not self.short_way.desk.bodies.hold(self._party, len(body)):
            self._hand_over()

    def on_message_complete(self) -> None:
        """The request is whole: work on it."""
        self._is_unfinished = False
        doorway, way = self._doorway, self.short_way
        party = self._party
        if doorway is not None and way is not None and party is not None:
            if way.desk.has_room(party):
                self._take(way, doorway, party)
                return
            self._hand_over()
        super().on_message_complete()

    def _take(self, way: ShortWay, doorway: Doorway, party: Party) -> None:
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._doorway = None
        self._chunks, self._chunk_bytes = [], 0
        way.take(doorway, self.url, self._headers, body, self, party)

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
        )

    def _is_kept_http(self) -> bool:
        return self.parser.get_http_version() == "1.1" and not self.parser.should_upgrade()

    def _begin_long(self) -> None:
        url = self.url
        HttpToolsProtocol.on_message_begin(self)
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
        if self._chunk_bytes and self.short_way is not None and self._party is not None:
            self.short_way.desk.bodies.let_go(self._party, self._chunk_bytes)
        self._chunks, self._chunk_bytes = [], 0

    def answer(self, said: Reply, doorway: Doorway) -> None:
        """Answer the request that took the short way."""
        if self.short_way is not None and said is not doorway.stored:
            delay_s = self.short_way.desk.delay_s(said, self.address)
            if delay_s:
                # What it sends meanwhile is not even read.
                self.flow.pause_reading()
                self.loop.call_later(delay_s, self._answer_late, said, doorway)
                return
        self._write(said, doorway)

    def _answer_late(self, said: Reply, doorway: Doorway) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()
        self._write(said, doorway)

    def _write(self, said: Reply, doorway: Doorway) -> None:
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
            self._idle_timer = self.loop.call_later(self.limits.idle_timeout_s, self._look_idle)

    def _look_idle(self) -> None:
        """Close a connection that was not used for long; whoever answers next looks again."""
        self._idle_timer = None
        is_busy = self._is_unfinished or not self.cycle.response_complete
        # On the long way uvicorn has a timer of its own.
        if is_busy or self.timeout_keep_alive_task is not None or self.transport.is_closing():
            return
        rest_s = self._answered_at + self.limits.idle_timeout_s - self.loop.time()
        if rest_s <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(rest_s, self._look_idle)
