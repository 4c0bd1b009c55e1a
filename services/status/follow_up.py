"""What follows a transaction: to whom its messages and acts belong, now that all can see them.

Only what is committed is seen by everybody: of a send and an act, two attempts, or two names that
come at one moment on two replicas, the later one finds the other. So each step is a transaction of
its own, and a function of all that is stored. A crash in between costs a redelivery, which comes
through here again. Nearly always there is nothing to do, which one look shows.
"""

from collections.abc import Mapping, Sequence

import msgspec

from services.status import measures
from services.status.attribute_acts import attribute_acts, note_sends
from services.status.domain.attribution import Touched
from services.status.domain.changes import Change
from services.status.domain.gathered import Gathered, Key
from services.status.domain.merging import Told
from services.status.domain.message import Message
from services.status.join_names import (
    EVER_US,
    MESSAGES_MAX,
    Unsettled,
    find_unsettled,
    join_names,
    people_of_records,
)
from services.status.move_messages import move_messages
from services.status.ports import OutboxEntry, Store, Transactions
from services.status.rules import Rules
from services.status.settle_attempts import settle_attempts, unsettled
from services.status.settle_recipients import find_mixed, settle_recipients
from services.status.tell_changes import TellChanges, repeat_all_acts


class Loose(msgspec.Struct):
    """What a transaction leaves to be decided."""

    # Acts that may belong to another message now, and people.
    touched: Touched = msgspec.field(default_factory=Touched)
    # References whose attempts may compare differently now.
    refs: set[Key] = set()
    # Ids under which messages were recorded, or told of without a record.
    batches: set[Key] = set()


class FollowUp:
    """The steps, in order. One per process."""

    def __init__(self, pool: Transactions, tell: TellChanges, rules: Rules) -> None:
        """Build it.

        Args:
            pool: where such rare statements are planned for what is there.
            tell: stores the changes.
            rules: what settings say.
        """
        self._pool = pool
        self._tell = tell
        self._rules = rules
        # Tenants of which names were joined here; a hint, see ``people_of_records``.
        self._joined: set[str] = set()

    async def people_of(self, store: Store, gathered: Gathered) -> Mapping[Key, bytes]:
        """Return the people of whom records are told, as far as they are known to have names."""
        return await people_of_records(store, gathered, self._joined) if self._joined else {}

    async def run(
        self, transactions: Transactions, gathered: Gathered, loose: Loose, oldest_us: int
    ) -> list[OutboxEntry]:
        """Decide what a transaction left; return what is to be published, committed.

        Args:
            transactions: where to look.
            gathered: what it applied.
            loose: what it left.
            oldest_us: the oldest of its events was stored then.
        """
        entries: list[OutboxEntry] = []
        if loose.batches:
            mixed = await find_mixed(transactions, gathered, loose.batches)
            if mixed:
                entries += await self._settle_recipients(mixed, loose, oldest_us)
        if loose.refs:
            entries += await self._settle_attempts(loose, oldest_us)
        joined: set[Key] = set()
        if gathered.joins:
            self._joined.update(tenant_id for tenant_id, _ in gathered.joins)
            joined = await join_names(transactions, self._pool, gathered.joins)
        if joined or loose.touched:
            entries += await self._settle_people(transactions, loose.touched, joined, oldest_us)
        return entries

    async def _settle_recipients(
        self, batches: set[Key], loose: Loose, oldest_us: int
    ) -> list[OutboxEntry]:
        """Let what was told under unrecorded recipients count for the recorded one."""

        async def transact(store: Store) -> tuple[list[OutboxEntry], Loose]:
            await store.begin()
            return await self._end(store, *await settle_recipients(store, batches), oldest_us)

        entries, left = await self._pool.run(transact)
        loose.touched.join(left.touched)
        loose.refs |= left.refs
        return entries

    async def _settle_attempts(self, loose: Loose, oldest_us: int) -> list[OutboxEntry]:
        """Let the attempt that got furthest stand for each reference."""

        async def transact(store: Store) -> tuple[list[OutboxEntry], Loose]:
            await store.begin()
            return await self._end(store, *await settle_attempts(store, loose.refs), oldest_us)

        entries, left = await self._pool.run(transact)
        loose.touched.join(left.touched)
        return entries

    async def _end(
        self,
        store: Store,
        told: Told,
        changes: Sequence[Change],
        unmoved: Mapping[Key, Message],
        oldest_us: int,
    ) -> tuple[list[OutboxEntry], Loose]:
        await repeat_all_acts(store, changes)
        touched = await note_sends(store, told, changes, unmoved, self._rules.reply_window_us)
        entries = await self._tell.tell(store, changes, oldest_us)
        measures.CHANGES_STORED.inc(len(changes))
        return entries, Loose(touched, unsettled(told, changes, unmoved))

    async def _settle_people(
        self, transactions: Transactions, touched: Touched, joined: set[Key], oldest_us: int
    ) -> list[OutboxEntry]:
        """Let messages count for the right people, and acts by a name for the right messages."""
        has_acts, strangers = False, set[Key]()
        if touched:
            has_acts, strangers = await transactions.look(lambda store: store.find_touched(touched))
        entries: list[OutboxEntry] = []
        found = Unsettled()
        if joined or strangers:
            self._joined.update(tenant_id for tenant_id, _ in strangers)
            found = await self._pool.run(lambda store: find_unsettled(store, joined | strangers))
            entries += await self._rename(found, oldest_us)
            if found.names:
                has_acts = True
                for name in found.people:
                    touched.add(name, 0, EVER_US)
        if has_acts and self._rules.reply_window_us:
            entries += await self._attribute(touched, oldest_us)
        if found.names:
            await self._pool.run(lambda store: store.settle_names(found.names))
        return entries

    async def _rename(self, found: Unsettled, oldest_us: int) -> list[OutboxEntry]:
        """Let messages count for the people whose names are joined with their addresses."""
        entries: list[OutboxEntry] = []
        for start in range(0, len(found.messages), MESSAGES_MAX):
            some = found.messages[start : start + MESSAGES_MAX]

            async def transact(store: Store) -> tuple[list[OutboxEntry], int]:
                await store.begin()
                told = Told(people=found.people, named=some)  # noqa: B023 awaited at once
                changes, _ = await move_messages(store, told)
                for change in changes:
                    change.is_corrected = True
                await repeat_all_acts(store, changes)
                return await self._tell.tell(store, changes, oldest_us), len(changes)

            told, change_count = await self._pool.run(transact)
            measures.CHANGES_STORED.inc(change_count)
            entries += told
        return entries

    async def _attribute(self, touched: Touched, oldest_us: int) -> list[OutboxEntry]:
        """Move acts that were told by a name to where they belong now."""

        async def transact(store: Store) -> tuple[list[OutboxEntry], int]:
            await store.begin()
            changes = await attribute_acts(store, touched, self._rules.reply_window_us)
            return await self._tell.tell(store, changes, oldest_us), len(changes)

        entries, change_count = await self._pool.run(transact)
        measures.CHANGES_STORED.inc(change_count)
        measures.MESSAGES_REATTRIBUTED.inc(change_count)
        return entries
