"""What runs beside the consumers: following the flow, forgetting old marks."""

import asyncio

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from services.analytics.adapters.cell_store import CellStore
from services.analytics.domain.watermark import Watermark
from services.analytics.follow_progress import FlowProbe, FlowUnknown, follow_progress
from services.analytics.log_events import LogEvent
from services.analytics.measures import COMPLETE_UNTIL

_log = logs.get_logger()
_HOUR_US = 3_600_000_000


async def keep_following(
    probe: FlowProbe, watermark: Watermark, interval_s: float, stopping: asyncio.Event
) -> None:
    """Move the watermark on until ``stopping``; says once when that begins and ends to fail."""
    is_known = True
    while not await _wait(stopping, interval_s):
        try:
            await follow_progress(probe, watermark)
        except FlowUnknown as error:
            if is_known:
                unknown: LogEvent = "progress.unknown"
                _log.warning(unknown, error=str(error))
            is_known = False
            continue
        if not is_known:
            known: LogEvent = "progress.known"
            _log.info(known)
        is_known = True
        if watermark.complete_until_us is not None:
            COMPLETE_UNTIL.set(watermark.complete_until_us / 1e6)


async def keep_forgetting(
    store: CellStore,
    clock: Clock,
    *,
    retention_h: int,
    interval_s: float,
    rows_max: int,
    stopping: asyncio.Event,
) -> None:
    """Delete marks of batches older than ``retention_h`` until ``stopping``, in small steps."""
    while not await _wait(stopping, interval_s):
        try:
            rows = rows_max
            while rows >= rows_max and not stopping.is_set():
                before_us = clock.now_us() - retention_h * _HOUR_US
                rows = await store.forget_applied(before_us, rows_max)
                if rows:
                    forgotten: LogEvent = "applied.forgotten"
                    _log.info(forgotten, rows=rows)
        except DatabaseUnavailable as error:
            kept: LogEvent = "applied.kept"
            _log.warning(kept, error=str(error)[:200])


async def _wait(stopping: asyncio.Event, seconds: float) -> bool:
    """Return whether ``stopping`` was set within ``seconds``."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
