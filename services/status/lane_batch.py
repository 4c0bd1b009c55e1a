"""What waits in a lane, and who waits for it."""

import asyncio
from collections.abc import Iterator

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.delivery import Delivery
from services.status.domain.gather import lane_of
from services.status.domain.gathered import Gathered


class Call:
    """One batch of the consumer's: done when every lane has done its part."""

    def __init__(self) -> None:
        self._left = 0
        self._error: Exception | None = None
        self._done = asyncio.Event()

    async def done(self) -> None:
        """Return when nothing is left; raise what went wrong first."""
        if self._left:
            await self._done.wait()
        if self._error is not None:
            raise self._error

    def add(self) -> None:
        """Note one more batch of a lane that holds something of it."""
        self._left += 1
        self._done.clear()

    def fail(self, error: Exception) -> None:
        """Note that something of it was not done."""
        if self._error is None:
            self._error = error

    def finish(self) -> None:
        """Note that a batch of a lane is done, or has failed."""
        self._left -= 1
        if not self._left:
            self._done.set()


class Piece(msgspec.Struct, frozen=True):
    """One event, or what came beside events; still serialized, since applying uses it up."""

    call: Call
    delivery: Delivery
    batch: bytes
    # Empty: it is of no message.
    tenant_id: str = ""
    message_key: bytes = b""


class Batch:
    """What one transaction of a lane applies."""

    def __init__(self) -> None:
        self.gathered = Gathered()
        self.oldest_us = 0
        self._parts: list[tuple[Call, Delivery]] = []
        self._calls: set[Call] = set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was gathered."""
        return not self._parts

    def accept(self, call: Call, delivery: Delivery) -> None:
        """Note a broker message of which a part was gathered."""
        self._parts.append((call, delivery))
        if call not in self._calls:
            self._calls.add(call)
            call.add()
        if not self.oldest_us or delivery.stored_time_us < self.oldest_us:
            self.oldest_us = delivery.stored_time_us

    def fail(self, error: Exception) -> None:
        """Fail all who wait for it."""
        for call in self._calls:
            call.fail(error)

    def finish(self) -> None:
        """Tell all who wait for it."""
        for call in self._calls:
            call.finish()

    def pieces(self, number: int, lanes: int) -> Iterator[Piece]:
        """Yield what it consists of, from the broker's messages: the part of lane ``number``."""
        for call, delivery in self._parts:
            batch = EventBatch.FromString(delivery.data)
            for event in batch.events:
                if lane_of(event.message_key, lanes) == number:
                    alone = EventBatch(events=[event]).SerializeToString()
                    yield Piece(call, delivery, alone, event.tenant_id, event.message_key)
            if not number and (batch.quarantined or batch.door_reports):
                del batch.events[:]
                for quarantined in batch.quarantined:
                    alone = EventBatch(quarantined=[quarantined]).SerializeToString()
                    yield Piece(call, delivery, alone)
                del batch.quarantined[:]
                yield Piece(call, delivery, batch.SerializeToString())
