"""Takes broker messages to the fold, and says what cannot be folded."""

import time
from collections.abc import Sequence

from libs.runtime import set_aside
from libs.runtime.broker import CHANGES_STREAM
from libs.runtime.clock import Clock
from libs.runtime.consumer import Delivery, Refused
from libs.runtime.verdicts import is_content, word_of
from services.analytics.adapters.cell_store import CellStore
from services.analytics.fold_changes import Folding, Incoming, Rejected, fold_changes
from services.analytics.measures import CHANGES_FOLDED, FOLD_SECONDS, VISIBLE_SECONDS


class ChangeConsumer:
    """What is done with what was pulled; as many at once as there are stores."""

    def __init__(self, stores: Sequence[CellStore], folding: Folding, clock: Clock) -> None:
        # Each writes a shard of its own, so that two folds do not wait for one another.
        self._free = list(stores)
        self._folding = folding
        self._clock = clock

    async def handle(self, deliveries: list[Delivery]) -> list[Refused]:
        """Fold; the messages are acknowledged after this returns, and only then.

        Returns:
            What is no batch of changes; it is kept for the operator.
        """
        start = time.perf_counter()
        messages = [_incoming(delivery) for delivery in deliveries]
        store = self._free.pop()
        try:
            outcome = await fold_changes(messages, store, self._folding, self._clock.now_us())
        finally:
            self._free.append(store)
        CHANGES_FOLDED.inc(outcome.new_change_count)
        FOLD_SECONDS.observe(time.perf_counter() - start)
        if outcome.oldest_event_time_us and outcome.new_change_count:
            delay_us = self._clock.now_us() - outcome.oldest_event_time_us
            VISIBLE_SECONDS.observe(max(0, delay_us) / 1e6)
        by_seq = {one.stream_seq: one for one in deliveries}
        return [Refused(by_seq[one.incoming.stream_seq], one.reason) for one in outcome.rejected]


class LostAndFound:
    """Folds messages that the consumer will not get any more; see follow_progress.Fold."""

    def __init__(self, store: CellStore, folding: Folding, clock: Clock) -> None:
        self._store = store
        self._folding = folding
        self._clock = clock

    async def fold(self, messages: Sequence[Incoming]) -> None:
        """Fold; what the tables refuse by its content is noted as set aside."""
        now_us = self._clock.now_us()
        try:
            await fold_changes(messages, self._store, self._folding, now_us)
        except Exception as error:
            if not is_content(error):
                raise
            if len(messages) == 1:
                await self._store.give_up([Rejected(messages[0], word_of(error))])
                return
            for message in messages:
                await self.fold([message])


def _incoming(delivery: Delivery) -> Incoming:
    # An operator who sends a message again says where it had been.
    headers = delivery.headers
    before = headers.get(set_aside.SEQUENCE, "0")
    is_ours = headers.get(set_aside.STREAM) == CHANGES_STREAM and before.isdecimal()
    return Incoming(
        delivery.data, delivery.stream_seq, delivery.stored_time_us, int(before) if is_ours else 0
    )
