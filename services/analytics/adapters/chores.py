"""What runs beside the consumers: following the flow, forgetting old marks."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.verdicts import explained
from services.analytics.adapters.cell_store import CellStore
from services.analytics.adapters.folded_sequences import StreamPlace
from services.analytics.adapters.old_rows import OldRows
from services.analytics.domain.sequences import StreamState
from services.analytics.domain.watermark import Watermark
from services.analytics.follow_progress import FlowUnknown
from services.analytics.log_events import LogEvent
from services.analytics.measures import BATCHES_LOST, COMPLETE_UNTIL
from services.analytics.rebuild_cells import AnotherRebuild, NotComparable, SnapshotUnavailable

_log = logs.get_logger()
_HOUR_US = 3_600_000_000
# A missing column stops the follower like the consumers: tried again, and said.
_PASSING = (FlowUnknown, DatabaseUnavailable, asyncpg.PostgresError)

# Hours that a rebuild may rest before it has to begin anew; while it rests, each fold does its work
# twice.
_UNFINISHED_H = 24

# One look at how far the flow has come.
Look = Callable[[], Awaitable[StreamState]]


async def keep_following(
    look: Look, place: StreamPlace, watermark: Watermark, interval_s: float, stopping: asyncio.Event
) -> None:
    """Move the watermark on until ``stopping``; says once when that begins and ends to fail."""
    is_known, gaps = True, list(watermark.gaps)
    while not await _wait(stopping, interval_s):
        try:
            stream = await look()
        except _PASSING as error:
            if is_known:
                unknown: LogEvent = "progress.unknown"
                _log.warning(unknown, error=explained(error))
            is_known = False
            continue
        place.stream_time_us = stream.stream_time_us
        if not is_known:
            known: LogEvent = "progress.known"
            _log.info(known)
        is_known = True
        if list(watermark.gaps) != gaps:
            gaps = list(watermark.gaps)
            changed: LogEvent = "gaps.changed"
            _log.error(changed, gaps={gap.reason: gap.batch_count for gap in gaps})
        BATCHES_LOST.set(sum(gap.batch_count for gap in gaps))
        if watermark.complete_until_us is not None:
            COMPLETE_UNTIL.set(watermark.complete_until_us / 1e6)


async def keep_settling(
    store: CellStore, *, interval_s: float, sums_max: int, stopping: asyncio.Event
) -> None:
    """Add sums whose rows were locked, as soon as the locks are gone."""
    while not await _wait(stopping, interval_s):
        try:
            while await store.settle_postponed(sums_max) and not stopping.is_set():
                pass
        except _PASSING as error:
            kept: LogEvent = "postponed.kept"
            _log.warning(kept, error=explained(error))


async def keep_mending(
    mend: Callable[[], Awaitable[list[str]]], interval_s: float, stopping: asyncio.Event
) -> None:
    """Count anew what a restored database made wrong, until ``stopping``; see mend_restored.py."""
    while not await _wait(stopping, interval_s):
        try:
            tenants = await mend()
        except (*_PASSING, AnotherRebuild, NotComparable, SnapshotUnavailable) as error:
            postponed: LogEvent = "mending.postponed"
            _log.info(postponed, error=explained(error))
            continue
        for tenant_id in tenants:
            mended: LogEvent = "numbers.mended"
            _log.warning(mended, tenant_id=tenant_id)


async def keep_forgetting(
    store: OldRows,
    clock: Clock,
    *,
    retention_h: int,
    ledger_h: int,
    interval_s: float,
    rows_max: int,
    stopping: asyncio.Event,
) -> None:
    """Delete what is kept for a while only until ``stopping``, in small steps.

    That is: marks of batches older than ``retention_h``, the ledger of before ``ledger_h``, cells
    by the minute, unfinished rebuilds.
    """
    while not await _wait(stopping, interval_s):
        try:
            while await store.forget_old_cells(clock.now_us(), rows_max) >= rows_max:
                pass
            ledger_us = clock.now_us() - ledger_h * _HOUR_US
            while await store.forget_ledger(ledger_us, rows_max) >= rows_max:
                pass
            await store.forget_unfinished(clock.now_us() - _UNFINISHED_H * _HOUR_US)
            rows = rows_max
            while rows >= rows_max and not stopping.is_set():
                before_us = clock.now_us() - retention_h * _HOUR_US
                rows = await store.forget_applied(before_us, rows_max)
                if rows:
                    forgotten: LogEvent = "applied.forgotten"
                    _log.info(forgotten, rows=rows)
        except _PASSING as error:
            kept: LogEvent = "applied.kept"
            _log.warning(kept, error=explained(error))


async def _wait(stopping: asyncio.Event, seconds: float) -> bool:
    """Return whether ``stopping`` was set within ``seconds``."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
