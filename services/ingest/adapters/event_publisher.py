"""Events to the broker: many callbacks in one broker message, and nobody waits for ever."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterator

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime import metrics
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker, BrokerUnavailable

_batches = metrics.counter("ingest_batches_total", "Broker messages published", ("outcome",))
_batch_events = metrics.histogram(
    "ingest_batch_events", "Events in one broker message", (), (1, 10, 30, 100, 300, 1000, 3000)
)
# What a batch needs beside its pieces: its id, and the broker's headers.
_ENVELOPE_BYTES = 1024


class PublishLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the publisher."""

    linger_s: float = 0.003
    batch_events_max: int = 2_000
    batch_bytes_max: int = 512 * 1024
    batches_in_flight_max: int = 8
    pending_bytes_max: int = 64 * 1024 * 1024
    submit_timeout_s: float = 5.0


class _Shared:
    """One broker message in the making, and everybody who waits for it.

    Each waits on a future of their own: one who leaves must not end the wait of the others.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.byte_count = 0
        self.event_count = 0
        self.is_overdue = False
        self.overdue_timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def wait(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
        """Return a future that ends when the message is stored, or fails."""
        future = loop.create_future()
        self._waiting.append(future)
        return future

    def stored(self) -> None:
        """Let everybody go on."""
        self._settle()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def failed(self, error: BrokerUnavailable) -> None:
        """Tell everybody that it may not be stored."""
        self._settle()
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)

    def overdue(self) -> None:
        """Tell everybody to send it again."""
        self.is_overdue = True
        self.failed(BrokerUnavailable("The broker did not acknowledge in time."))

    def _settle(self) -> None:
        if self.overdue_timer is not None:
            self.overdue_timer.cancel()


class EventPublisher:
    """Lets concurrent submitters share broker messages.

    A broker message per event would cost fifty times as much. The bytes of several serialized
    batches, one after the other, are again a valid batch: nothing is serialized twice.
    """

    def __init__(self, broker: Broker, limits: PublishLimits) -> None:
        """Publish through ``broker`` within ``limits``."""
        self._broker = broker
        self._limits = limits
        self._open: _Shared | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sealed: deque[_Shared] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._pending_bytes = 0
        # Unique ids without asking for randomness each time.
        self._id_prefix = uuid.uuid4().hex
        self._id_number = 0

    async def submit(self, batch: EventBatch) -> None:
        """Return when everything in ``batch`` is on the broker's disk.

        Raises:
            BrokerUnavailable: at once if the broker is away or too much waits already; else after
                ``submit_timeout_s`` at most. What was given may still be stored later.
        """
        if not self._broker.healthy:
            raise BrokerUnavailable("The broker is away.")
        if self._pending_bytes >= self._limits.pending_bytes_max:
            raise BrokerUnavailable("Too much waits for the broker already.")
        loop = asyncio.get_running_loop()
        waits = [self._add(piece, count, loop).wait(loop) for piece, count in self._pieces(batch)]
        if len(waits) == 1:
            await waits[0]
            return
        results = await asyncio.gather(*waits, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Publish what waits and return; bounded by the broker's own time-outs."""
        self._seal()
        while self._sending or self._sealed:
            await asyncio.gather(*self._sending, return_exceptions=True)
            await asyncio.sleep(0)

    def _pieces(self, batch: EventBatch) -> Iterator[tuple[bytes, int]]:
        """Serialize ``batch`` in pieces that fit a broker message."""
        payload = batch.SerializeToString()
        count = len(batch.events) + len(batch.quarantined)
        limits = self._limits
        if len(payload) <= limits.batch_bytes_max and count <= limits.batch_events_max:
            yield payload, count
        elif count == 1:
            yield self._cut(batch, payload), 1
        else:
            for half in _halves(batch):
                yield from self._pieces(half)

    def _cut(self, batch: EventBatch, payload: bytes) -> bytes:
        """Return a single item, its raw bytes cut if the broker could never take it."""
        excess = len(payload) + _ENVELOPE_BYTES - self._broker.payload_bytes_max
        if excess <= 0:
            return payload
        for part in batch.quarantined:
            part.body = part.body[: -excess - _ENVELOPE_BYTES]
            part.detail = f"body cut by {excess} bytes, the broker's limit; {part.detail}"
        for event in batch.events:
            event.raw = event.raw[: -excess - _ENVELOPE_BYTES]
        return batch.SerializeToString()

    def _add(self, piece: bytes, event_count: int, loop: asyncio.AbstractEventLoop) -> _Shared:
        share, limits = self._open, self._limits
        if share is not None and (
            share.byte_count + len(piece) > limits.batch_bytes_max
            or share.event_count + event_count > limits.batch_events_max
        ):
            self._seal()
            share = None
        if share is None:
            share = self._open = _Shared()
            share.overdue_timer = loop.call_later(limits.submit_timeout_s, share.overdue)
            self._timer = loop.call_later(limits.linger_s, self._seal)
        share.pieces.append(piece)
        share.byte_count += len(piece)
        share.event_count += event_count
        self._pending_bytes += len(piece)
        return share

    def _seal(self) -> None:
        """Close the open share and send it, or let it queue for its turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._open is not None:
            self._sealed.append(self._open)
            self._open = None
        self._send_next()

    def _send_next(self) -> None:
        while self._sealed and len(self._sending) < self._limits.batches_in_flight_max:
            share = self._sealed.popleft()
            if share.is_overdue:
                self._pending_bytes -= share.byte_count
                continue
            task = asyncio.get_running_loop().create_task(self._send(share))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self._send_next()

    async def _send(self, share: _Shared) -> None:
        self._id_number += 1
        batch_id = f"{self._id_prefix}-{self._id_number}"
        header = EventBatch(batch_id=batch_id).SerializeToString()
        try:
            await self._broker.publish(
                EVENTS_SUBJECT,
                b"".join((header, *share.pieces)),
                msg_id=batch_id,
                stream=EVENTS_STREAM,
            )
        except BrokerUnavailable as error:
            _batches.labels("failed").inc()
            share.failed(error)
        else:
            _batches.labels("stored").inc()
            _batch_events.observe(share.event_count)
            share.stored()
        finally:
            self._pending_bytes -= share.byte_count


def _halves(batch: EventBatch) -> tuple[EventBatch, EventBatch]:
    if not batch.events or not batch.quarantined:
        middle = (len(batch.events) + len(batch.quarantined)) // 2
        return (
            EventBatch(events=batch.events[:middle], quarantined=batch.quarantined[:middle]),
            EventBatch(events=batch.events[middle:], quarantined=batch.quarantined[middle:]),
        )
    return EventBatch(events=batch.events), EventBatch(quarantined=batch.quarantined)
