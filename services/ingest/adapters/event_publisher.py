"""Events to the broker: many callbacks in one broker message, and nobody waits for ever."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from functools import partial

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime import logs
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker, BrokerUnavailable
from libs.runtime.quick_metrics import QuickCounter, QuickHistogram
from libs.runtime.sizes import message_bytes_max
from services.ingest.adapters.message_lane import MessageLane
from services.ingest.adapters.message_pieces import PieceLimits, pieces_of
from services.ingest.adapters.shared_message import Done, SharedMessage
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.log_events import LogEvent

_log = logs.get_logger()
# What a broker message has beside its pieces: its id, and the broker's headers.
_ENVELOPE_BYTES = 1_024
# Of the events of one callback; nearly all have a hundredth of it.
_LARGE_BYTES = 64 * 1024
# A single refusal is no state; and while it lasts, how often the broker is asked anew.
_REFUSED_MIN_S = 1.0
_ASK_EVERY_S = 1.0
_batches = QuickCounter("ingest_batches_total", "Broker messages published", ("outcome",))
_batch_events = QuickHistogram(
    "ingest_batch_events", "Events in one broker message", (), (1, 10, 30, 100, 300, 1000, 3000)
).of()
_batch_bytes = QuickHistogram(
    "ingest_batch_bytes",
    "Bytes of one broker message",
    (),
    (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
).of()
_publish_seconds = QuickHistogram(
    "ingest_publish_seconds", "From sending a broker message to its acknowledgement or failure"
).of()


class PublishLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the publisher."""

    pieces: PieceLimits = PieceLimits()
    batches_in_flight_max: int = 8
    pending_bytes_max: int = 64 * 1024 * 1024
    answer_patience_s: float = 0.25
    submit_timeout_s: float = 5.0


class EventPublisher:
    """Lets concurrent submitters share broker messages, as many as the broker's pace asks for.

    A broker message per event would cost fifty times as much (`message_lane.py`), and a slow broker
    makes messages larger, and waits no longer. What one callback of a large size brings has a lane
    of its own, so that nobody waits for its messages.
    """

    def __init__(self, broker: Broker, limits: PublishLimits) -> None:
        """Publish through ``broker`` within ``limits``."""
        self._broker = broker
        self._limits = limits
        self._item_bytes_max = message_bytes_max(broker.payload_bytes_max) - _ENVELOPE_BYTES
        self._shared = self._lane(limits.batches_in_flight_max)
        self._large = self._lane(max(1, limits.batches_in_flight_max // 4))
        # When the broker began to take nothing, and why.
        self._refused: tuple[float, str] | None = None
        # Unique ids without asking for randomness each time.
        self._id_prefix = uuid.uuid4().hex
        self._id_number = 0

    async def submit(self, batch: EventBatch | None, packed: PackedEvents | None = None) -> None:
        """Return when everything in both is on the broker's disk.

        Raises:
            BrokerUnavailable: at once if the broker is away or too much waits already; else after
                ``submit_timeout_s`` at most. What was given may still be stored later.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submit_soon(batch, partial(_settle, future), packed)
        await future

    def submit_soon(
        self, batch: EventBatch | None, done: Done, packed: PackedEvents | None = None
    ) -> None:
        """Take both and return; ``done`` is called once, maybe before this returns.

        It is given None when everything is on the broker's disk, else what ``submit`` would raise.
        """
        if not self._broker.healthy:
            done(BrokerUnavailable("The broker is away."))
            return
        if self._shared.byte_count + self._large.byte_count >= self._limits.pending_bytes_max:
            done(BrokerUnavailable("Too much waits for the broker already."))
            return
        loop = asyncio.get_running_loop()
        pieces = pieces_of(batch, self._limits.pieces, packed)
        if not pieces:
            done(None)
            return
        largest = len(pieces[0][0]) if len(pieces) == 1 else max(len(piece) for piece, _ in pieces)
        if largest > self._broker.payload_bytes_max - _ENVELOPE_BYTES:
            oversize: LogEvent = "item.too_large"
            _log.error(oversize, limit_bytes=self._item_bytes_max)
            done(BrokerUnavailable("An item is larger than what the broker takes."))
            return
        if len(pieces) > 1:
            done = _after(len(pieces), done)
        is_large = len(pieces) > 1 or largest > _LARGE_BYTES
        lane = self._large if is_large else self._shared
        for piece, count in pieces:
            lane.add(piece, count, loop, done)

    @property
    def fault(self) -> str:
        """Why the broker takes no events now; "" while it takes them."""
        if self._refused is None or time.monotonic() - self._refused[0] < _REFUSED_MIN_S:
            return ""
        return self._refused[1]

    async def ask_while_refused(self, stopping: asyncio.Event) -> None:
        """Notice that the broker takes events again, also when nobody sends any to a door that is
        not ready: a message without events asks for it.
        """
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _ASK_EVERY_S)
            if self._refused is not None and self._broker.healthy and not self._shared.is_sending:
                self._shared.add(b"", 0, loop)

    async def close(self) -> None:
        """Publish what waits and return; bounded by the broker's own time-outs."""
        await self._shared.close()
        await self._large.close()

    def _lane(self, in_flight_max: int) -> MessageLane:
        limits = self._limits
        return MessageLane(
            self._send,
            limits.pieces,
            in_flight_max=in_flight_max,
            answer_patience_s=limits.answer_patience_s,
            submit_timeout_s=limits.submit_timeout_s,
        )

    async def _send(self, share: SharedMessage) -> None:
        self._id_number += 1
        batch_id = f"{self._id_prefix}-{self._id_number}"
        header = EventBatch(batch_id=batch_id).SerializeToString()
        began = time.perf_counter()
        try:
            await self._broker.publish(
                EVENTS_SUBJECT,
                b"".join((header, *share.pieces)),
                msg_id=batch_id,
                stream=EVENTS_STREAM,
            )
        except BrokerUnavailable as error:
            _batches.of("failed").value += 1
            since = self._refused[0] if self._refused else time.monotonic()
            self._refused = (since, str(error))
            share.settle(error)
        else:
            _batches.of("stored").value += 1
            self._refused = None
            _batch_events.observe(share.event_count)
            _batch_bytes.observe(share.byte_count)
            share.settle(None)
        finally:
            _publish_seconds.observe(time.perf_counter() - began)


def _settle(future: "asyncio.Future[None]", error: BrokerUnavailable | None) -> None:
    # One who was cancelled waits no more.
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _after(count: int, done: Done) -> Callable[[BrokerUnavailable | None], None]:
    """Return what calls ``done`` once: at the first error, or when ``count`` pieces are stored."""
    left = count

    def one_done(error: BrokerUnavailable | None) -> None:
        nonlocal left
        if left <= 0:
            return
        left = 0 if error is not None else left - 1
        if left == 0:
            done(error)

    return one_done
