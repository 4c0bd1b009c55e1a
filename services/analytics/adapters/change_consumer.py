"""Takes broker messages to the fold, and says what cannot be folded."""

import time

from libs.runtime.clock import Clock
from libs.runtime.consumer import Delivery, Refused
from services.analytics.adapters.cell_store import CellStore
from services.analytics.fold_changes import Incoming, fold_changes
from services.analytics.measures import CHANGES_FOLDED, FOLD_SECONDS


class ChangeConsumer:
    """What one worker does with what it pulled."""

    def __init__(self, store: CellStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle(self, deliveries: list[Delivery]) -> list[Refused]:
        """Fold; the messages are acknowledged after this returns, and only then.

        Returns:
            What is no batch of changes; it is kept for the operator.
        """
        start = time.perf_counter()
        messages = [Incoming(one.data, one.stream_seq) for one in deliveries]
        outcome = await fold_changes(messages, self._store, self._clock.now_us())
        CHANGES_FOLDED.inc(outcome.new_change_count)
        FOLD_SECONDS.observe(time.perf_counter() - start)
        by_seq = {one.stream_seq: one for one in deliveries}
        return [Refused(by_seq[one.incoming.stream_seq], one.reason) for one in outcome.rejected]
