"""Applies pulled batches: one transaction, then its changes are published, then it is done."""

import uuid
from collections.abc import Iterator, Sequence
from time import perf_counter

from bluetick.v1.event_pb2 import EventBatch
from google.protobuf.message import DecodeError

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable, changes_subject
from libs.runtime.clock import Clock
from libs.runtime.consumer import Delivery, TryAgain
from services.status import measures
from services.status.domain.changes import Change, by_state
from services.status.domain.gather import Gathered, gather
from services.status.domain.merging import Told, move, repeat_facts, told_by, wanting_all_facts
from services.status.domain.states import word
from services.status.isolate_poison import Piece, pieces_of, set_aside, unreadable
from services.status.ports import Outbox, OutboxEntry, Store, StoreRefused, Transactions
from services.status.resolve_refs import resolve_refs

_log = logs.get_logger()

# The second round meets only rows that the first one locked; more means a store that cannot lock.
_ROUNDS_MAX = 5
_RETRY_S = 1.0


class ApplyEvents:
    """The use case. One per process; several calls may run at once."""

    def __init__(
        self,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
        *,
        events_max: int = 2_000,
        change_batch_bytes_max: int = 512 * 1024,
    ) -> None:
        """Build it.

        Args:
            transactions: where messages are stored.
            outbox: publishes what was committed.
            clock: for the times of changes.
            events_max: events from which on a transaction takes no further broker message.
            change_batch_bytes_max: bytes of changes from which on a new broker message starts.
        """
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock
        self._events_max = events_max
        self._change_batch_bytes_max = change_batch_bytes_max

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Apply broker messages, however often and on however many replicas they are delivered.

        State, history and the changes to publish commit together. The caller acknowledges only
        after this returns, so a crash at any line costs a redelivery, never an event.

        Raises:
            TryAgain: the broker does not take the changes; they are committed all the same.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        for part in self._parts(deliveries):
            oldest_us = min(delivery.stored_time_us for delivery, _ in part)
            try:
                await self.apply([batch for _, batch in part], oldest_us)
            except StoreRefused:
                await self._isolate([delivery for delivery, _ in part], oldest_us)

    async def apply(self, batches: Sequence[EventBatch], oldest_event_time_us: int) -> None:
        """Apply decoded batches in one transaction and publish its changes. Uses them up.

        Raises:
            StoreRefused: PostgreSQL cannot hold some of the content; nothing was applied.
        """
        gathered = gather(batches)
        start = perf_counter()
        entries, change_count = await self._transactions.run(
            lambda store: self._transact(store, gathered, oldest_event_time_us)
        )
        measures.TRANSACTION_SECONDS.observe(perf_counter() - start)
        measures.EVENTS_APPLIED.inc(gathered.event_count)
        measures.CHANGES_STORED.inc(change_count)
        measures.NOTICES_KEPT.inc(len(gathered.notices))
        for quarantined in gathered.quarantined.values():
            measures.QUARANTINED.labels(quarantined.reason).inc()
        if not entries:
            return
        try:
            await self._outbox.publish(entries)
        except BrokerUnavailable as error:
            # The sweeper publishes them. To go on would only grow what it has to do.
            _log.warning("changes.publish_failed", batches=len(entries), error=str(error))
            raise TryAgain("The broker does not take changes.", _RETRY_S) from error

    async def quarantine(self, delivery: Delivery, reason: str) -> None:
        """Set a whole broker message aside, after it crashed its handler again and again."""
        await self.apply([unreadable(delivery, "EVENT_BATCH_CRASHED", reason)], 0)

    async def _transact(
        self, store: Store, gathered: Gathered, oldest_event_time_us: int
    ) -> tuple[list[OutboxEntry], int]:
        await store.begin()
        told = told_by(gathered)
        await resolve_refs(store, gathered, told)
        if told.facts:
            told.sort_out_new(await store.add_facts(told.facts))
        changes = await move_messages(store, told)
        await _write_registrations(store, changes)
        await _keep(store, gathered)
        entries = self._outbox_entries(changes, oldest_event_time_us)
        if entries:
            await store.add_outbox(entries, self._clock.now_us())
        return entries, len(changes)

    def _outbox_entries(
        self, changes: Sequence[Change], oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        entries = []
        for group in by_state(changes, self._clock.now_us(), self._change_batch_bytes_max):
            outbox_id = uuid.uuid4()
            subject = changes_subject(group.tenant_id, word(group.state))
            payload = group.batch_bytes(str(outbox_id), oldest_event_time_us)
            entries.append(
                OutboxEntry(group.tenant_id, outbox_id, subject, payload, oldest_event_time_us)
            )
        return entries

    def _parts(self, deliveries: Sequence[Delivery]) -> Iterator[list[tuple[Delivery, EventBatch]]]:
        """Decode, and cut into transactions of about ``events_max`` events."""
        part: list[tuple[Delivery, EventBatch]] = []
        size = 0
        for delivery in deliveries:
            batch = decode(delivery)
            part.append((delivery, batch))
            size += len(batch.events)
            if size >= self._events_max:
                yield part
                part, size = [], 0
        if part:
            yield part

    async def _isolate(self, deliveries: Sequence[Delivery], oldest_us: int) -> None:
        """Find by halving what the store refuses; apply its neighbours, set it aside."""
        pieces = [piece for delivery in deliveries for piece in pieces_of(decode(delivery))]
        await self._apply_halves(pieces, oldest_us)

    async def _apply_halves(self, pieces: Sequence[Piece], oldest_us: int) -> None:
        middle = len(pieces) // 2
        for half in (pieces[:middle], pieces[middle:]):
            if not half:
                continue
            try:
                await self.apply([piece.batch() for piece in half], oldest_us)
            except StoreRefused as error:
                if len(half) > 1:
                    await self._apply_halves(half, oldest_us)
                    continue
                _log.error("event.refused_by_store", error=type(error.__cause__).__name__)
                await self.apply([set_aside(half[0], error)], oldest_us)


def decode(delivery: Delivery) -> EventBatch:
    """Return the batch; one that cannot be decoded becomes a batch that quarantines it."""
    try:
        return EventBatch.FromString(delivery.data)
    except DecodeError:
        return unreadable(delivery, "EVENT_BATCH_UNREADABLE", "It is no EventBatch.")


async def move_messages(store: Store, told: Told) -> list[Change]:
    """Merge what is told into the messages and store those that moved, each one version on.

    Nothing is locked before it is written: rows that somebody else moved in between are read and
    merged again.
    """
    changes: list[Change] = []
    pending = sorted(told.deltas)
    for _ in range(_ROUNDS_MAX):
        if not pending:
            return changes
        stored = await store.read_messages(pending)
        moved = {}
        for key in pending:
            version, message = stored.get(key, (0, None))
            change = move(key, told, version, message)
            if change is not None:
                moved[key] = change
        if not moved:
            return changes
        written = await store.write_messages({k: (c.version, c.new) for k, c in moved.items()})
        changes += [change for key, change in moved.items() if key in written]
        pending = [key for key in moved if key not in written]
    raise TryAgain("Messages are moved elsewhere faster than here.", _RETRY_S)


async def _write_registrations(store: Store, changes: Sequence[Change]) -> None:
    records = {
        change.key: change.new.record
        for change in changes
        if change.new.record is not None
        and (change.old is None or change.old.record != change.new.record)
    }
    if records:
        await store.write_registrations(records)
    wanting = wanting_all_facts(changes)
    if wanting:
        facts = await store.read_facts([change.key for change in wanting])
        for change in wanting:
            repeat_facts(change, facts.get(change.key, ()))


async def _keep(store: Store, gathered: Gathered) -> None:
    if gathered.history:
        await store.append_history(gathered.history)
    if gathered.notices:
        await store.add_notices(gathered.notices)
    if gathered.quarantined:
        await store.add_quarantined(gathered)
