"""Applies what was gathered: one transaction, then its changes are published, then it is done."""

import random
import uuid
from collections.abc import Sequence
from time import perf_counter

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable, changes_subject
from libs.runtime.clock import Clock
from libs.runtime.verdicts import TryAgain
from services.status import measures
from services.status.attribute_acts import attribute_acts, note_sends
from services.status.domain.account_hours import moves
from services.status.domain.attribution import HOUR_US, Touched
from services.status.domain.change_bytes import by_state
from services.status.domain.changes import Change
from services.status.domain.due import DAY_US, Due, unrecorded
from services.status.domain.gather import Gathered, Key, gather
from services.status.domain.merging import Told, repeat_facts, told_by
from services.status.domain.silence import Patience, begun_to_wait
from services.status.domain.states import word
from services.status.domain.unknown_words import unknown_words
from services.status.join_names import (
    EVER_US,
    MESSAGES_MAX,
    Unsettled,
    find_unsettled,
    join_names,
    people_of_records,
)
from services.status.move_messages import move_messages
from services.status.ports import Outbox, OutboxEntry, Store, Transactions
from services.status.resolve_refs import resolve_refs
from services.status.settle_attempts import settle_attempts, unsettled

_log = logs.get_logger()

# Cells of health are few and hot; replicas that write different shards do not wait for another.
_SHARDS = 16


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say about the work."""

    # How long after a send an act that names no message may answer it; 0: never.
    reply_window_us: int = 72 * HOUR_US
    # Bytes of changes from which on a new broker message starts.
    change_batch_bytes_max: int = 512 * 1024
    # Days after which a message that no sender recorded is removed.
    unrecorded_days: int = 30
    # How long a report on the end of a message is waited for.
    patience: Patience = Patience()


class _Stored(msgspec.Struct):
    """What a transaction leaves to be done."""

    entries: list[OutboxEntry]
    change_count: int
    touched: Touched
    # References whose attempts may compare differently now.
    unsettled: set[Key] = set()


class ApplyEvents:
    """The use case. One per process; several calls may run at once."""

    def __init__(
        self, transactions: Transactions, outbox: Outbox, clock: Clock, rules: Rules | None = None
    ) -> None:
        """Build it.

        Args:
            transactions: where messages are stored, for whoever brings none of its own.
            outbox: publishes what was committed.
            clock: for the times of changes.
            rules: what settings say.
        """
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock
        self._rules = rules or Rules()
        # Tenants of which names were joined here; a hint, see ``people_of_records``.
        self._joined: set[str] = set()

    async def apply(self, batches: Sequence[EventBatch], oldest_event_time_us: int) -> None:
        """Apply decoded batches in one transaction and publish its changes. Uses them up.

        Raises:
            StoreRefused: PostgreSQL cannot hold some of the content; nothing was applied.
            TryAgain: the broker does not take the changes; they are committed all the same.
        """
        entries = await self.store(self._transactions, gather(batches), oldest_event_time_us)
        await self.publish(entries)

    async def store(
        self, transactions: Transactions, gathered: Gathered, oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        """Apply what was gathered; return what is to be published now, committed.

        State, history and the changes to publish commit together, so a crash at any line costs a
        redelivery, never an event; and a redelivery finds everything known.

        Raises:
            StoreRefused, RowsLocked, DatabaseUnavailable: nothing was applied.
        """
        start = perf_counter()
        stored = await transactions.run(
            lambda store: self._transact(store, gathered, oldest_event_time_us)
        )
        entries, touched = stored.entries, stored.touched
        measures.TRANSACTION_SECONDS.observe(perf_counter() - start)
        measures.EVENTS_APPLIED.inc(gathered.event_count)
        measures.CHANGES_STORED.inc(stored.change_count)
        measures.NOTICES_KEPT.inc(len(gathered.notices))
        for quarantined in gathered.quarantined.values():
            measures.QUARANTINED.labels(quarantined.reason).inc()
        if stored.unsettled:
            entries += await self._settle(stored.unsettled, touched, oldest_event_time_us)
        joined = await self._join(transactions, gathered) if gathered.joins else set()
        if joined or touched:
            entries += await self._follow(transactions, touched, joined, oldest_event_time_us)
        return entries

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish what was committed.

        Raises:
            TryAgain: the broker does not take it. The sweeper will publish it; to go on would only
                grow what it has to do.
        """
        if not entries:
            return
        try:
            await self._outbox.publish(entries)
        except BrokerUnavailable as error:
            _log.warning("changes.publish_failed", batches=len(entries), error=str(error))
            raise TryAgain("The broker does not take changes.") from error

    async def _settle(
        self, refs: set[Key], touched: Touched, oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        """Let the attempt that got furthest stand for each reference; adds to ``touched``."""

        async def transact(store: Store) -> _Stored:
            await store.begin()
            told, changes, unmoved = await settle_attempts(store, refs)
            await _repeat_facts(store, changes)
            found = await note_sends(store, told, changes, unmoved, self._rules.reply_window_us)
            entries = await self._tell(store, changes, oldest_event_time_us)
            return _Stored(entries, len(changes), found)

        # On the pool, where such rare statements are planned for what is there.
        stored = await self._transactions.run(transact)
        measures.CHANGES_STORED.inc(stored.change_count)
        touched.join(stored.touched)
        return stored.entries

    async def _join(self, transactions: Transactions, gathered: Gathered) -> set[Key]:
        """Join the names that one person has; return those of which something is to be done."""
        self._joined.update(tenant_id for tenant_id, _ in gathered.joins)
        return await join_names(transactions, self._transactions, gathered.joins)

    async def _follow(
        self,
        transactions: Transactions,
        touched: Touched,
        joined: set[Key],
        oldest_event_time_us: int,
    ) -> list[OutboxEntry]:
        """Let messages count for the right people, and acts told by a name for the right messages.

        Transactions of their own, since only what is committed is seen by everybody: of a send and
        an act (or two names) that come at one moment on two replicas, the later one finds the
        other. A crash in between costs a redelivery, which comes through here again. Nearly always
        nothing was told by these names, which one look shows.
        """
        has_acts, strangers = False, set[Key]()
        if touched:
            has_acts, strangers = await transactions.look(lambda store: store.find_touched(touched))
        entries: list[OutboxEntry] = []
        unsettled = Unsettled()
        if joined or strangers:
            self._joined.update(tenant_id for tenant_id, _ in strangers)
            unsettled = await self._transactions.run(
                lambda store: find_unsettled(store, joined | strangers)
            )
            entries += await self._rename(unsettled, oldest_event_time_us)
            if unsettled.names:
                has_acts = True
                for name in unsettled.people:
                    touched.add(name, 0, EVER_US)
        if has_acts and self._rules.reply_window_us:
            entries += await self._attribute(touched, oldest_event_time_us)
        if unsettled.names:
            await self._transactions.run(lambda store: store.settle_names(unsettled.names))
        return entries

    async def _rename(self, unsettled: Unsettled, oldest_event_time_us: int) -> list[OutboxEntry]:
        """Let messages count for the people whose names are joined with their addresses."""
        entries: list[OutboxEntry] = []
        for start in range(0, len(unsettled.messages), MESSAGES_MAX):
            some = unsettled.messages[start : start + MESSAGES_MAX]

            async def transact(store: Store) -> tuple[list[OutboxEntry], int]:
                await store.begin()
                told = Told(people=unsettled.people, named=some)  # noqa: B023 awaited at once
                changes, _ = await move_messages(store, told)
                for change in changes:
                    change.is_corrected = True
                await _repeat_facts(store, changes)
                return await self._tell(store, changes, oldest_event_time_us), len(changes)

            found, change_count = await self._transactions.run(transact)
            measures.CHANGES_STORED.inc(change_count)
            entries += found
        return entries

    async def _attribute(self, touched: Touched, oldest_event_time_us: int) -> list[OutboxEntry]:
        async def transact(store: Store) -> tuple[list[OutboxEntry], int]:
            await store.begin()
            changes = await attribute_acts(store, touched, self._rules.reply_window_us)
            return await self._tell(store, changes, oldest_event_time_us), len(changes)

        # On the pool, where such rare statements are planned for what is there.
        entries, change_count = await self._transactions.run(transact)
        measures.CHANGES_STORED.inc(change_count)
        measures.MESSAGES_REATTRIBUTED.inc(change_count)
        return entries

    async def _transact(
        self, store: Store, gathered: Gathered, oldest_event_time_us: int
    ) -> _Stored:
        await store.begin()
        if gathered.address_acts:
            await store.add_address_acts(gathered.address_acts)
        told = told_by(gathered)
        if self._joined:
            told.people = await people_of_records(store, gathered, self._joined)
        await resolve_refs(store, gathered, told)
        if told.facts or told.ref_facts:
            for standing in await store.add_facts(told.facts, told.ref_facts):
                told.replace_fact(*standing)
        changes, unmoved = await move_messages(store, told)
        await _repeat_facts(store, changes)
        touched = await note_sends(store, told, changes, unmoved, self._rules.reply_window_us)
        touched.add_acts(gathered.address_acts.items())
        await self._keep(store, gathered, changes)
        entries = await self._tell(store, changes, oldest_event_time_us)
        change_count = sum(change.is_moved for change in changes)
        return _Stored(entries, change_count, touched, unsettled(told, changes, unmoved))

    async def _keep(self, store: Store, gathered: Gathered, changes: Sequence[Change]) -> None:
        if spilled := {change.key: change.spilled for change in changes if change.spilled}:
            await store.spill_history(spilled)
        if fresh := unrecorded(changes):
            due_us = self._clock.now_us() + self._rules.unrecorded_days * DAY_US
            await store.add_due(Due.FORGET_UNRECORDED, {due_us: fresh})
        if gathered.notices:
            await store.add_notices(gathered.notices)
        if gathered.quarantined:
            await store.add_quarantined(gathered)
        if words := sorted(unknown_words(gathered)):
            await store.add_unknown_words(words)
        if gathered.door_reports:
            await store.add_door_reports(gathered.door_reports)

    async def _tell(
        self, store: Store, changes: Sequence[Change], oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        """Store what others will read of the changes."""
        now_us = self._clock.now_us()
        entries = []
        for group in by_state(changes, now_us, self._rules.change_batch_bytes_max):
            outbox_id = uuid.uuid4()
            subject = changes_subject(group.tenant_id, word(group.state))
            payload = group.batch_bytes(str(outbox_id), oldest_event_time_us)
            entries.append(
                OutboxEntry(group.tenant_id, outbox_id, subject, payload, oldest_event_time_us)
            )
        if entries:
            await store.add_outbox(entries, now_us)
        if waiting := begun_to_wait(changes, self._rules.patience, now_us):
            await store.add_due(Due.TELL_SILENCE, waiting)
        if hours := moves(changes):
            # Last, since it locks what others want, too.
            await store.add_account_hours(hours, random.randrange(_SHARDS))  # noqa: S311
        return entries


async def _repeat_facts(store: Store, changes: Sequence[Change]) -> None:
    wanting = [change for change in changes if change.needs_all_facts()]
    if wanting:
        facts = await store.read_all_facts([change.key for change in wanting])
        for change in wanting:
            repeat_facts(change, facts.get(change.key, ()))
