"""Applies pulled batches: one transaction, then its changes are published, then it is done."""

import random
import uuid
from collections.abc import Iterator, Sequence
from time import perf_counter

from bluetick.v1.event_pb2 import EventBatch
from google.protobuf.message import DecodeError

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable, changes_subject
from libs.runtime.clock import Clock
from libs.runtime.consumer import Delivery, Refused, TryAgain
from services.status import measures
from services.status.attribute_acts import attribute_acts, note_sends
from services.status.domain.account_hours import moves
from services.status.domain.attribution import HOUR_US, Touched
from services.status.domain.changes import Change, by_state
from services.status.domain.gather import Gathered, gather
from services.status.domain.merging import repeat_facts, told_by, wanting_all_facts
from services.status.domain.states import word
from services.status.domain.unknown_words import unknown_words
from services.status.isolate_poison import Piece, pieces_of, set_aside
from services.status.move_messages import move_messages
from services.status.ports import Outbox, OutboxEntry, Store, StoreRefused, Transactions
from services.status.resolve_refs import resolve_refs

_log = logs.get_logger()

# Cells of health are few and hot; replicas that write different shards do not wait for another.
_SHARDS = 16


class ApplyEvents:
    """The use case. One per process; several calls may run at once."""

    def __init__(
        self,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
        *,
        events_max: int = 2_000,
        reply_window_us: int = 72 * HOUR_US,
        change_batch_bytes_max: int = 512 * 1024,
    ) -> None:
        """Build it.

        Args:
            transactions: where messages are stored.
            outbox: publishes what was committed.
            clock: for the times of changes.
            events_max: events from which on a transaction takes no further broker message.
            reply_window_us: how long after a send an act that names no message may answer it;
                0: never.
            change_batch_bytes_max: bytes of changes from which on a new broker message starts.
        """
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock
        self._events_max = events_max
        self._reply_window_us = reply_window_us
        self._change_batch_bytes_max = change_batch_bytes_max

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Refused]:
        """Apply broker messages, however often and on however many replicas they are delivered.

        State, history and the changes to publish commit together. The caller acknowledges only
        after this returns, so a crash at any line costs a redelivery, never an event.

        Returns:
            What is no EventBatch; it is kept for the operator.

        Raises:
            TryAgain: the broker does not take the changes; they are committed all the same.
            DatabaseUnavailable: PostgreSQL cannot be reached.
        """
        refused: list[Refused] = []
        for part in self._parts(deliveries, refused):
            oldest_us = min(delivery.stored_time_us for delivery, _ in part)
            try:
                await self.apply([batch for _, batch in part], oldest_us)
            except StoreRefused:
                await self._isolate([delivery for delivery, _ in part], oldest_us)
        return refused

    async def apply(self, batches: Sequence[EventBatch], oldest_event_time_us: int) -> None:
        """Apply decoded batches in one transaction and publish its changes. Uses them up.

        Raises:
            StoreRefused: PostgreSQL cannot hold some of the content; nothing was applied.
        """
        gathered = gather(batches)
        start = perf_counter()
        entries, change_count, touched = await self._transactions.run(
            lambda store: self._transact(store, gathered, oldest_event_time_us)
        )
        measures.TRANSACTION_SECONDS.observe(perf_counter() - start)
        measures.EVENTS_APPLIED.inc(gathered.event_count)
        measures.CHANGES_STORED.inc(change_count)
        measures.NOTICES_KEPT.inc(len(gathered.notices))
        for quarantined in gathered.quarantined.values():
            measures.QUARANTINED.labels(quarantined.reason).inc()
        await self._publish(entries)
        if touched and self._reply_window_us:
            await self._attribute(touched, oldest_event_time_us)

    async def _attribute(self, touched: Touched, oldest_event_time_us: int) -> None:
        """Move acts that were told by an address to where they belong now.

        A transaction of its own, since only what is committed is seen by everybody: of a send and
        an act that come at one moment on two replicas, the later one finds the other. A crash in
        between costs a redelivery, which comes through here again.
        """

        async def transact(store: Store) -> tuple[list[OutboxEntry], int]:
            await store.begin()
            changes = await attribute_acts(store, touched, self._reply_window_us)
            return await self._tell(store, changes, oldest_event_time_us), len(changes)

        entries, change_count = await self._transactions.run(transact)
        measures.CHANGES_STORED.inc(change_count)
        measures.MESSAGES_REATTRIBUTED.inc(change_count)
        await self._publish(entries)

    async def _publish(self, entries: Sequence[OutboxEntry]) -> None:
        if not entries:
            return
        try:
            await self._outbox.publish(entries)
        except BrokerUnavailable as error:
            # The sweeper publishes them. To go on would only grow what it has to do.
            _log.warning("changes.publish_failed", batches=len(entries), error=str(error))
            raise TryAgain("The broker does not take changes.") from error

    async def _transact(
        self, store: Store, gathered: Gathered, oldest_event_time_us: int
    ) -> tuple[list[OutboxEntry], int, Touched]:
        await store.begin()
        if gathered.address_acts:
            await store.add_address_acts(gathered.address_acts)
        told = told_by(gathered)
        await resolve_refs(store, gathered, told)
        if told.facts:
            told.sort_out_new(await store.add_facts(told.facts))
        changes, unmoved = await move_messages(store, told)
        await _write_registrations(store, changes)
        touched = await note_sends(store, told, changes, unmoved, self._reply_window_us)
        touched.add_acts(gathered.address_acts.items())
        await _keep(store, gathered)
        entries = await self._tell(store, changes, oldest_event_time_us)
        return entries, len(changes), touched

    async def _tell(
        self, store: Store, changes: Sequence[Change], oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        """Store what others will read of the changes."""
        entries = self._outbox_entries(changes, oldest_event_time_us)
        if entries:
            await store.add_outbox(entries, self._clock.now_us())
        if hours := moves(changes):
            # Last, since it locks what others want, too.
            await store.add_account_hours(hours, random.randrange(_SHARDS))  # noqa: S311
        return entries

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

    def _parts(
        self, deliveries: Sequence[Delivery], refused: list[Refused]
    ) -> Iterator[list[tuple[Delivery, EventBatch]]]:
        """Decode, and cut into transactions of about ``events_max`` events."""
        part: list[tuple[Delivery, EventBatch]] = []
        size = 0
        for delivery in deliveries:
            try:
                batch = EventBatch.FromString(delivery.data)
            except DecodeError:
                refused.append(Refused(delivery, "NOT_AN_EVENT_BATCH"))
                continue
            part.append((delivery, batch))
            size += len(batch.events)
            if size >= self._events_max:
                yield part
                part, size = [], 0
        if part:
            yield part

    async def _isolate(self, deliveries: Sequence[Delivery], oldest_us: int) -> None:
        """Find by halving what the store refuses; apply its neighbours, set it aside."""
        pieces = [
            piece
            for delivery in deliveries
            for piece in pieces_of(EventBatch.FromString(delivery.data))
        ]
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
    if words := sorted(unknown_words(gathered)):
        await store.add_unknown_words(words)
    if gathered.door_reports:
        await store.add_door_reports(gathered.door_reports)
