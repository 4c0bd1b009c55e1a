"""Removes messages that no sender recorded in time: other software sends from the same accounts."""

import asyncio
from typing import Final, Protocol

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.status import measures
from services.status.log_events import LogEvent

_log = logs.get_logger()
INTERVAL_S: Final = 60.0
# Entries taken in one transaction; each holds the keys of at most one transaction of a lane.
ENTRIES_MAX: Final = 20


class DueShelf(Protocol):
    """Messages by the time at which they have to be looked at again."""

    async def forget_unrecorded(self, until_us: int, entries_max: int) -> tuple[int, int]:
        """Take entries up to a time and remove those messages that have no record.

        Returns:
            How many entries were taken, and how many messages removed.
        """


async def forget_due(shelf: DueShelf, clock: Clock) -> int:
    """Remove everything that is due; return how many messages. Every replica may do so.

    A message that is told of again later starts anew, uncounted as before: its record would have to
    come later than the limit.

    Raises:
        DatabaseUnavailable: some are still there.
    """
    total = 0
    while True:
        taken, forgotten = await shelf.forget_unrecorded(clock.now_us(), ENTRIES_MAX)
        total += forgotten
        if taken < ENTRIES_MAX:
            return total


async def keep_forgetting(shelf: DueShelf, clock: Clock, stopping: asyncio.Event) -> None:
    """Remove what is due until ``stopping`` is set. Outages are waited out."""
    while not stopping.is_set():
        try:
            if forgotten := await forget_due(shelf, clock):
                measures.MESSAGES_FORGOTTEN.inc(forgotten)
                told: LogEvent = "messages.forgotten"
                _log.info(told, messages=forgotten)
        except DatabaseUnavailable as error:
            postponed: LogEvent = "messages.forgetting_failed"
            _log.warning(postponed, error=type(error).__name__)
        try:
            await asyncio.wait_for(stopping.wait(), INTERVAL_S)
        except TimeoutError:
            continue
