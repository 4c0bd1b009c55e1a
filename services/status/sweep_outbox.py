"""Publishes what a crash between commit and publish left behind."""

import asyncio
from typing import Final

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.status import measures
from services.status.ports import Outbox

_log = logs.get_logger()
_ALL_US: Final = 2**63 - 1
# From one try of what lies aside to the next.
_RETRY_ASIDE_US: Final = 10_000_000


class SweepOutbox:
    """The use case. Every replica runs one; they pass over each other's rows."""

    def __init__(self, outbox: Outbox, clock: Clock, *, age_s: float, batches_max: int) -> None:
        """Build it; ``age_s`` is the age at which a batch counts as left behind."""
        self._outbox = outbox
        self._clock = clock
        self._age_us = int(age_s * 1_000_000)
        self._batches_max = batches_max
        self._aside_until_us = 0

    async def sweep(self) -> int:
        """Publish everything old enough, with the ids it had; return how many batches.

        A batch that was published before its row could be deleted goes out twice with one id:
        whoever folds changes skips the second.

        Raises:
            BrokerUnavailable, DatabaseUnavailable: some are still there.
        """
        total = 0
        while True:
            before_us = self._clock.now_us() - self._age_us
            if self._outbox.is_blocked:
                # Nothing goes out, so nobody else publishes what is younger; and the sooner it is
                # known to go again the better.
                before_us = _ALL_US
            swept = await self._outbox.sweep(before_us, self._batches_max)
            total += swept
            if swept < self._batches_max:
                return total

    async def retry_aside(self) -> int:
        """Put what lies aside back, to be tried again; return how many batches.

        What is still too large lies aside again after that: so the only cure that it needs is a
        broker that takes it.
        """
        now_us = self._clock.now_us()
        if now_us < self._aside_until_us:
            return 0
        self._aside_until_us = now_us + _RETRY_ASIDE_US
        return await self._outbox.put_back()

    async def _measure(self) -> None:
        waiting, oldest_us, aside = await self._outbox.measure()
        age_us = self._clock.now_us() - oldest_us if oldest_us is not None else 0
        measures.OUTBOX_ENTRIES.set(waiting)
        measures.OUTBOX_AGE_SECONDS.set(max(age_us, 0) / 1_000_000)
        measures.OUTBOX_ASIDE.set(aside)
        if aside:
            await self.retry_aside()

    async def run(self, interval_s: float, stopping: asyncio.Event) -> None:
        """Sweep until ``stopping`` is set. Outages are waited out."""
        while not stopping.is_set():
            try:
                await self._measure()
                if swept := await self.sweep():
                    measures.OUTBOX_SWEPT.inc(swept)
                    _log.warning("outbox.swept", batches=swept)
            except (BrokerUnavailable, DatabaseUnavailable) as error:
                _log.warning("outbox.sweep_failed", error=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), interval_s)
            except TimeoutError:
                continue
