"""Applies what was gathered: one transaction, then its changes are published, then it is done."""

from collections.abc import Sequence
from time import perf_counter

import msgspec
from bluetick.v1.event_pb2 import EventBatch

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from libs.runtime.verdicts import TryAgain
from services.status import measures
from services.status.attribute_acts import note_sends
from services.status.domain.changes import Change
from services.status.domain.gather import gather
from services.status.domain.gathered import Gathered
from services.status.domain.merging import told_by
from services.status.domain.unknown_words import unknown_words
from services.status.follow_up import FollowUp, Loose
from services.status.move_messages import move_messages
from services.status.ports import Outbox, OutboxEntry, Store, Transactions
from services.status.resolve_refs import resolve_refs
from services.status.rules import Rules
from services.status.settle_attempts import unsettled
from services.status.settle_recipients import note_recorded, note_strays
from services.status.tell_changes import TellChanges, repeat_all_acts

_log = logs.get_logger()


class _Stored(msgspec.Struct):
    """What a transaction leaves to be done."""

    entries: list[OutboxEntry]
    change_count: int
    loose: Loose


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
        rules = rules or Rules()
        self._window_us = rules.reply_window_us
        self._tell = TellChanges(clock, rules)
        self._follow_up = FollowUp(transactions, self._tell, rules)

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
        measures.TRANSACTION_SECONDS.observe(perf_counter() - start)
        measures.EVENTS_APPLIED.inc(gathered.event_count)
        measures.CHANGES_STORED.inc(stored.change_count)
        measures.NOTICES_KEPT.inc(len(gathered.notices))
        for quarantined in gathered.quarantined.values():
            measures.QUARANTINED.labels(quarantined.reason).inc()
        return stored.entries + await self._follow_up.run(
            transactions, gathered, stored.loose, oldest_event_time_us
        )

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

    async def _transact(
        self, store: Store, gathered: Gathered, oldest_event_time_us: int
    ) -> _Stored:
        await store.begin()
        if gathered.address_acts:
            await store.add_address_acts(gathered.address_acts)
        told = told_by(gathered)
        told.people = await self._follow_up.people_of(store, gathered)
        batches = await note_recorded(store, gathered) if gathered.batched else set()
        await resolve_refs(store, gathered, told)
        if told.acts or told.ref_acts:
            for standing in await store.add_acts(told.acts, told.ref_acts):
                told.replace_act(*standing)
        changes, unmoved = await move_messages(store, told)
        await repeat_all_acts(store, changes)
        touched = await note_sends(store, told, changes, unmoved, self._window_us)
        touched.add_acts(gathered.address_acts.items())
        if gathered.batched:
            batches |= await note_strays(store, gathered, changes, unmoved)
        await _keep(store, gathered, changes)
        entries = await self._tell.tell(store, changes, oldest_event_time_us)
        change_count = sum(change.is_moved for change in changes)
        loose = Loose(touched, unsettled(told, changes, unmoved), batches)
        return _Stored(entries, change_count, loose)


async def _keep(store: Store, gathered: Gathered, changes: Sequence[Change]) -> None:
    if spilled := {change.key: change.spilled for change in changes if change.spilled}:
        await store.spill_history(spilled)
    if gathered.notices:
        await store.add_notices(gathered.notices)
    if gathered.quarantined:
        await store.add_quarantined(gathered)
    if words := sorted(unknown_words(gathered)):
        await store.add_unknown_words(words)
    if gathered.door_reports:
        await store.add_door_reports(gathered.door_reports)
