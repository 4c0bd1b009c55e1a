"""Lanes: events of one message go the same way through a process, one transaction at a time.

So transactions of a process never meet on a message, and while PostgreSQL works for one lane the
next batch of another is merged. Between processes nothing is agreed: there the revision of each row
is the guard, and any number of replicas with any number of lanes end in the same rows.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from bluetick.v1.event_pb2 import EventBatch
from google.protobuf.message import DecodeError

from libs.runtime.delivery import Delivery, Refused
from libs.runtime.verdicts import TryAgain
from services.status.apply_events import ApplyEvents
from services.status.domain.gather import gather_into
from services.status.isolate_faults import IsolateFaults
from services.status.lane_batch import Batch, Call
from services.status.ports import Outbox, OutboxEntry, Transactions

NOT_A_BATCH: Final = "NOT_AN_EVENT_BATCH"
# Transactions of a lane whose changes are being published; more would only grow the outbox.
_BEHIND_MAX: Final = 3


class Lanes:
    """Takes what the consumer gives and returns when every lane has done its part."""

    def __init__(
        self,
        apply_events: ApplyEvents,
        outbox: Outbox,
        transactions: Sequence[Transactions],
        *,
        events_max: int = 2_000,
        linger_s: float = 0.02,
    ) -> None:
        """Build it.

        Args:
            apply_events: applies what was gathered.
            outbox: says whether the broker takes changes.
            transactions: one for each lane.
            events_max: events from which on a transaction takes no further ones.
            linger_s: how long a transaction waits for company after the one before began.
        """
        self._outbox = outbox
        count = len(transactions)
        self._lanes = [
            Lane(apply_events, one, number, count, events_max, linger_s)
            for number, one in enumerate(transactions)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start to work."""
        self._tasks = [
            asyncio.create_task(lane.run(), name=f"lane_{number}")
            for number, lane in enumerate(self._lanes)
        ]

    async def close(self) -> None:
        """End. Whoever calls ``handle`` has ended before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Refused]:
        """Apply broker messages, however often and on however many replicas they are delivered.

        State, history and the changes to publish commit together. The caller acknowledges only
        after this returns, so a crash at any line costs a redelivery, never an event.

        Returns:
            What is no EventBatch; it is kept for the operator.

        Raises:
            TryAgain: the broker does not take changes. What is committed is published later.
            RowsLocked: others hold messages that are told of; all others are applied.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        if self._outbox.is_blocked:
            # To go on would grow the outbox without bound.
            raise TryAgain("The broker does not take changes.")
        refused: list[Refused] = []
        call = Call()
        for delivery in deliveries:
            try:
                batch = EventBatch.FromString(delivery.data)
            except DecodeError:
                refused.append(Refused(delivery, NOT_A_BATCH))
                continue
            for number in gather_into([lane.open.gathered for lane in self._lanes], batch):
                self._lanes[number].accept(call, delivery)
            # Lanes that wait for the loop go first.
            await asyncio.sleep(0)
        await call.done()
        return refused


class Lane:
    """One way through the process."""

    def __init__(
        self,
        apply_events: ApplyEvents,
        transactions: Transactions,
        number: int,
        lanes: int,
        events_max: int,
        linger_s: float,
    ) -> None:
        self.open = Batch()
        self._full: deque[Batch] = deque()
        self._apply_events = apply_events
        self._store = IsolateFaults(apply_events, transactions, number, lanes)
        self._events_max = events_max
        self._linger_s = linger_s
        self._arrived = asyncio.Event()
        self._began_s = 0.0
        self._behind: deque[asyncio.Task[None]] = deque()

    def accept(self, call: Call, delivery: Delivery) -> None:
        """Note that a part of a broker message has come into ``open``."""
        self.open.accept(call, delivery)
        if self.open.gathered.event_count >= self._events_max:
            self._full.append(self.open)
            self.open = Batch()
        self._arrived.set()

    async def run(self) -> None:
        """Work until it is cancelled."""
        try:
            while True:
                await self._arrived.wait()
                await self._linger()
                batch = self._take()
                entries = await self._store.store(batch)
                before = self._behind[-1] if self._behind else None
                self._behind.append(asyncio.create_task(self._publish(before, batch, entries)))
                while self._behind and (self._behind[0].done() or len(self._behind) > _BEHIND_MAX):
                    await self._behind.popleft()
        finally:
            await asyncio.gather(*self._behind, return_exceptions=True)

    def _take(self) -> Batch:
        """Return what the next transaction applies.

        Of a backlog not all: while one transaction is PostgreSQL's work, another is ours.
        """
        if self._full:
            batch = self._full.popleft()
        else:
            batch, self.open = self.open, Batch()
        if not self._full and self.open.is_empty:
            self._arrived.clear()
        return batch

    async def _linger(self) -> None:
        """Wait for company under load; what comes first after a pause does not wait."""
        until_s = self._began_s + self._linger_s
        while (rest_s := until_s - time.monotonic()) > 0:
            if self._full:
                break
            await asyncio.sleep(min(rest_s, self._linger_s / 8))
        self._began_s = time.monotonic()

    async def _publish(
        self, before: asyncio.Task[None] | None, batch: Batch, entries: Sequence[OutboxEntry]
    ) -> None:
        """Publish beside the next transaction, in the order of the lane."""
        if before is not None and not before.done():
            await asyncio.wait({before})
        try:
            await self._apply_events.publish(entries)
        except Exception as error:
            batch.fail(error)
        batch.finish()
