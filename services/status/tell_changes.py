"""Stores, in a transaction, what others will read of the messages that it moved."""

import random
import uuid
from collections.abc import Sequence

from libs.runtime.broker import changes_subject
from libs.runtime.clock import Clock
from services.status.domain.account_hours import moves
from services.status.domain.change_bytes import by_state
from services.status.domain.changes import Change
from services.status.domain.due import DAY_US, Due, unrecorded
from services.status.domain.merging import repeat_acts
from services.status.domain.silence import begun_to_wait
from services.status.domain.states import word
from services.status.ports import OutboxEntry, Store
from services.status.rules import Rules

# Cells of health are few and hot; replicas that write different shards do not wait for another.
_SHARDS = 16


class TellChanges:
    """What every transaction that moves messages ends with."""

    def __init__(self, clock: Clock, rules: Rules) -> None:
        """Build it: ``clock`` gives the times of changes."""
        self._clock = clock
        self._rules = rules

    async def tell(
        self, store: Store, changes: Sequence[Change], oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        """Store the changes to be published, and what the clock and the health have to know."""
        now_us = self._clock.now_us()
        entries = []
        for group in by_state(changes, now_us, self._rules.change_batch_bytes_max):
            outbox_id = uuid.uuid4()
            subject = changes_subject(group.tenant_id, word(group.state))
            payload = group.batch_bytes(str(outbox_id), oldest_event_time_us)
            entries.append(
                OutboxEntry(group.tenant_id, outbox_id, subject, payload, oldest_event_time_us)
            )
        if fresh := unrecorded(changes):
            due_us = now_us + self._rules.unrecorded_days * DAY_US
            await store.add_due(Due.FORGET_UNRECORDED, {due_us: fresh})
        if entries:
            await store.add_outbox(entries, now_us)
        if waiting := begun_to_wait(changes, self._rules.patience, now_us):
            await store.add_due(Due.TELL_SILENCE, waiting)
        if hours := moves(changes):
            # Last, since it locks what others want, too.
            await store.add_account_hours(hours, random.randrange(_SHARDS))  # noqa: S311
        return entries


async def repeat_all_acts(store: Store, changes: Sequence[Change]) -> None:
    """Give the changes that need it the acts that were counted before them."""
    wanting = [change for change in changes if change.needs_all_acts()]
    if wanting:
        acts = await store.read_all_acts([change.key for change in wanting])
        for change in wanting:
            repeat_acts(change, acts.get(change.key, ()))
