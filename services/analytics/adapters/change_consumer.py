"""Takes broker messages to the fold, and keeps what cannot be folded."""

import time

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.consumer import Delivery
from services.analytics.adapters.cell_store import CellStore
from services.analytics.fold_changes import Incoming, Rejected, fold_changes
from services.analytics.log_events import LogEvent
from services.analytics.measures import BATCHES_REJECTED, CHANGES_FOLDED, FOLD_SECONDS

_log = logs.get_logger()


class ChangeConsumer:
    """What one worker does with what it pulled."""

    def __init__(self, store: CellStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle(self, deliveries: list[Delivery]) -> None:
        """Fold; the messages are acknowledged after this returns, and only then."""
        start = time.perf_counter()
        messages = [Incoming(one.data, one.stream_seq) for one in deliveries]
        outcome = await fold_changes(messages, self._store, self._clock.now_us())
        for rejected in outcome.rejected:
            _tell(rejected)
        CHANGES_FOLDED.inc(outcome.new_change_count)
        FOLD_SECONDS.observe(time.perf_counter() - start)

    async def quarantine(self, delivery: Delivery, reason: str) -> None:
        """Keep a message that the database refuses again and again."""
        # The error's class only: its text may quote the content.
        word = f"REFUSED_BY_STORE {reason.split(':')[0]}"
        rejected = Rejected(Incoming(delivery.data, delivery.stream_seq), word)
        await self._store.reject(rejected, self._clock.now_us())
        _tell(rejected)


def _tell(rejected: Rejected) -> None:
    event: LogEvent = "batch.rejected"
    _log.error(event, stream_seq=rejected.incoming.stream_seq, reason=rejected.reason)
    BATCHES_REJECTED.labels(rejected.reason.split(" ")[0]).inc()
