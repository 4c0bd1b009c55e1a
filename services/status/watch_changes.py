"""Tells one caller of changes as they happen, from any place of the stream on.

Who watches reads at a pace of its own: an answer is made when the one before has left, from what
is there by then. Nothing is kept for a caller but its place.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from time import monotonic
from typing import Final, Protocol

import msgspec
from bluetick.v1.change_pb2 import MessageChanged, MessageChangedBatch
from bluetick.v1.message_service_pb2 import ChangeFilter, WatchChangesRequest, WatchChangesResponse
from google.protobuf.message import DecodeError

from libs.runtime import logs
from libs.runtime.rpc_errors import InvalidArgument, OutOfRange
from services.status.domain.change_filter import (
    Placed,
    Wanted,
    cut,
    last_of_each,
    public_view,
    wanted,
)
from services.status.domain.watch_place import Place, cursor_of, read_cursor
from services.status.log_events import LogEvent

_log = logs.get_logger()

CHANGES_DEFAULT: Final = 100
CHANGES_MAX: Final = 1_000
# Bytes of changes in one answer.
ANSWER_BYTES_MAX: Final = 1024 * 1024
# Changes that are looked at together where the last one of each message is asked for.
COALESCED_MAX: Final = 10_000
# Values that one field of a filter may list.
_LISTED_MAX: Final = (
    ("campaign_ids", 100),
    ("states", 10),
    ("channels", 10),
    ("providers", 50),
)


class Batch:
    """One broker message of the stream: changes of one tenant into one state.

    Decoded once for all who watch, when the first of them wants it.
    """

    def __init__(self, seq: int, state: int, data: bytes) -> None:
        """Build it from the serialized ``MessageChangedBatch``."""
        self.seq = seq
        self.state = state
        self.size = len(data)
        self._data = data

    @cached_property
    def changes(self) -> Sequence[MessageChanged]:
        """The changes; none if the bytes are no batch, which nothing of ours publishes."""
        try:
            return MessageChangedBatch.FromString(self._data).changes
        except DecodeError:
            event: LogEvent = "changes.undecodable"
            _log.error(event, seq=self.seq, payload_bytes=self.size)
            return ()
        finally:
            self._data = b""

    @cached_property
    def public(self) -> Sequence[MessageChanged]:
        """Of each change, the public view."""
        return [public_view(change) for change in self.changes]


class Look(msgspec.Struct, frozen=True):
    """The stream at one moment."""

    stream_id: int  # another one where the stream was made anew
    first_seq: int  # of what it still has; behind ``last_seq`` when it is empty
    last_seq: int
    first_time_us: int  # when that was stored; 0: it is empty


class Reading(Protocol):
    """One caller's way through the changes of its tenant."""

    @property
    def seq(self) -> int:
        """The first sequence not yet passed: all of the tenant's before it was given."""

    @property
    def until_us(self) -> int:
        """Everything answered OK before this time is in what was given; 0: not known."""

    async def next(self, wait_s: float) -> list[Batch]:
        """Return what follows, in order; nothing if nothing comes within ``wait_s``.

        Raises:
            OutOfRange: the stream no longer has what follows, or was made anew.
        """


class Feed(Protocol):
    """The stream of changes."""

    async def look(self) -> Look:
        """Look at the stream now.

        Raises:
            Outage: the broker does not answer.
        """

    async def seq_at(self, time_us: int) -> int:
        """Return the first sequence that was stored at this time or later."""

    def reading(
        self, tenant_id: str, stream_id: int, seq: int
    ) -> AbstractAsyncContextManager[Reading]:
        """Read a tenant's changes from ``seq`` on."""


class Question(msgspec.Struct, frozen=True):
    """What is asked for, checked."""

    wanted: Wanted
    changes_max: int
    is_coalescing: bool
    is_whole: bool  # with what names a person


def checked(request: WatchChangesRequest, *, is_whole: bool) -> Question:
    """Return the question.

    Raises:
        InvalidArgument: a field cannot be used.
    """
    if not 0 <= request.changes_max <= CHANGES_MAX:
        raise InvalidArgument.of(
            "changes_max",
            f"From 1 to {CHANGES_MAX:,}, or 0 for {CHANGES_DEFAULT}; it is {request.changes_max}.",
        )
    if request.cursor and request.HasField("start_time"):
        raise InvalidArgument.of("start_time", "A cursor says where to begin; leave one out.")
    check_filter(request.filter)
    return Question(
        wanted=wanted(request.filter),
        changes_max=request.changes_max or CHANGES_DEFAULT,
        is_coalescing=request.is_coalescing,
        is_whole=is_whole,
    )


def check_filter(asked: ChangeFilter) -> None:
    """Look at a filter.

    Raises:
        InvalidArgument: one of its fields lists too many values.
    """
    for name, most in _LISTED_MAX:
        if (count := len(getattr(asked, name))) > most:
            raise InvalidArgument.of(
                f"filter.{name}", f"At most {most} values, it has {count}; watch in several calls."
            )


async def watch_changes(
    feed: Feed,
    tenant_id: str,
    request: WatchChangesRequest,
    *,
    is_whole: bool,
    heartbeat_s: float,
    life_s: float,
) -> AsyncGenerator[WatchChangesResponse, None]:
    """Yield changes, signs of life between them, and a last answer when ``life_s`` have passed.

    Raises:
        InvalidArgument: a field of the request cannot be used.
        OutOfRange: the stream no longer has what follows the cursor.
    """
    question = checked(request, is_whole=is_whole)
    look = await feed.look()
    start = await _start(feed, look, request)
    end = monotonic() + life_s
    async with feed.reading(tenant_id, look.stream_id, start.seq) as reading:
        told = _Telling(reading, look.stream_id)
        yield told.sign()
        while (left_s := end - monotonic()) > 0:
            batches = await _next(reading, question, min(heartbeat_s, left_s))
            chosen = [
                one for batch in batches for one in _chosen(batch, question) if one[0] > start
            ]
            if question.is_coalescing:
                chosen = last_of_each(chosen)
            for part in cut(chosen, question.changes_max, ANSWER_BYTES_MAX):
                yield told.answer(part, is_last=part[-1] is chosen[-1])
            if monotonic() - told.time >= heartbeat_s:
                yield told.sign()
        yield told.sign(is_ending=True)


class _Telling:
    """Makes the answers of one watch."""

    def __init__(self, reading: Reading, stream_id: int) -> None:
        self._reading = reading
        self._stream_id = stream_id
        self.time = monotonic()  # of the last answer

    def answer(self, part: Sequence[Placed], *, is_last: bool) -> WatchChangesResponse:
        """Return changes; behind the last ones, with all that was passed over."""
        if is_last:
            response = self.sign()
        else:
            self.time = monotonic()
            response = WatchChangesResponse(cursor=cursor_of(self._stream_id, part[-1][0]))
        response.changes.extend(change for _, change in part)
        return response

    def sign(self, *, is_ending: bool = False) -> WatchChangesResponse:
        """Return where the watch stands."""
        self.time = monotonic()
        response = WatchChangesResponse(
            cursor=cursor_of(self._stream_id, Place(self._reading.seq)), is_ending=is_ending
        )
        if self._reading.until_us:
            response.complete_until_time.FromMicroseconds(self._reading.until_us)
        return response


async def _next(reading: Reading, question: Question, wait_s: float) -> list[Batch]:
    """Return what follows; where only the last of each message counts, all that waits."""
    batches = await reading.next(wait_s)
    if not question.is_coalescing:
        return batches
    count = sum(len(batch.changes) for batch in batches)
    while batches and count < COALESCED_MAX:
        more = await reading.next(0)
        if not more:
            break
        batches += more
        count += sum(len(batch.changes) for batch in more)
    return batches


def _chosen(batch: Batch, question: Question) -> Sequence[Placed]:
    if not question.wanted.has_state(batch.state):
        return ()
    shown = batch.changes if question.is_whole else batch.public
    return [
        (Place(batch.seq, position), change)
        for position, change in enumerate(shown, 1)
        if question.wanted.wants(change)
    ]


async def _start(feed: Feed, look: Look, request: WatchChangesRequest) -> Place:
    if request.cursor:
        return _place_of(look, request.cursor)
    if not request.HasField("start_time"):
        return Place(look.last_seq + 1)
    return await start_place(feed, look, request.start_time.ToMicroseconds())


async def start_place(feed: Feed, look: Look, start_us: int) -> Place:
    """Return the place of what was stored at a time (microseconds since 1970, UTC) or later.

    Raises:
        OutOfRange: the stream begins later.
    """
    if look.first_seq > 1 and start_us < look.first_time_us:
        raise expired(look, "START_TIME_EXPIRED", "The stream begins later than start_time")
    return Place(await feed.seq_at(start_us))


def _place_of(look: Look, cursor: str) -> Place:
    found = read_cursor(cursor)
    if found is None:
        raise InvalidArgument.of(
            "cursor",
            "Not a cursor that this call gave. Send the last one as it is, or leave it out.",
        )
    stream_id, place = found
    if stream_id != look.stream_id or place.seq > look.last_seq + 1:
        raise made_anew(look)
    if place.seq < look.first_seq:
        raise expired(
            look, "CURSOR_EXPIRED", "The stream no longer has all that follows the cursor"
        )
    return place


def made_anew(look: Look) -> OutOfRange:
    """Return the error for whoever has a place in a stream that is not this one."""
    return expired(
        look, "CURSOR_OF_ANOTHER_STREAM", "The stream of changes was made anew since the cursor"
    )


def expired(look: Look, reason: str, what: str) -> OutOfRange:
    """Return the error for whoever asks for what is gone, with the oldest that there is."""
    acts = {"oldest_cursor": cursor_of(look.stream_id, Place(max(look.first_seq, 1)))}
    if look.first_time_us:
        stored = WatchChangesResponse()
        stored.complete_until_time.FromMicroseconds(look.first_time_us)
        acts["oldest_time"] = stored.complete_until_time.ToJsonString()
    return OutOfRange(
        f"{what}: changes were missed. Read what you need anew, then go on with oldest_cursor, or "
        "without a cursor from now.",
        reason=reason,
        metadata=acts,
    )
