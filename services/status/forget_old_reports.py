"""Forgets, from time to time, what the health of callbacks needs no longer."""

import asyncio
from typing import Final, Protocol

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.status.log_events import LogEvent

_log = logs.get_logger()
INTERVAL_S: Final = 600.0


class Forgetful(Protocol):
    """Deletes what is old."""

    async def forget(self, now_us: int) -> None:
        """Delete what is older than anybody asks for; what is gone already does not matter."""


async def forget_old_reports(rows: Forgetful, clock: Clock, stopping: asyncio.Event) -> None:
    """Forget until ``stopping`` is set. Outages are waited out. Every replica may run it."""
    while not stopping.is_set():
        try:
            await rows.forget(clock.now_us())
        except DatabaseUnavailable as error:
            postponed: LogEvent = "reports.forgetting_failed"
            _log.warning(postponed, error=type(error).__name__)
        try:
            await asyncio.wait_for(stopping.wait(), INTERVAL_S)
        except TimeoutError:
            continue
