"""Counts what goes through each account's door, and reports it every few seconds.

What a crash loses is the counts of one interval, never a callback.
"""

import asyncio
import uuid
from collections import Counter
from statistics import median_low
from typing import Final

from bluetick.v1.event_pb2 import DoorRefusals, EventBatch

from libs.runtime import logs
from libs.runtime.accounts import Account
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from services.ingest.log_events import LogEvent
from services.ingest.record_callback import EventSink

_log = logs.get_logger()
# Enough for a median; bounds memory and the cost of sorting.
LAGS_MAX: Final = 64
# Reasons of refusals in a report.
REASONS_MAX: Final = 8
# Reports in one broker message.
REPORTS_MAX: Final = 500
# Reports kept through an outage of the broker; bounds memory.
UNSENT_MAX: Final = 10_000


class _Door:
    """What went through one door since the last report."""

    __slots__ = (
        "callback_count",
        "lags_us",
        "last_receive_time_us",
        "refusals",
        "refused_count",
    )

    def __init__(self) -> None:
        self.callback_count = 0
        self.refused_count = 0
        self.last_receive_time_us = 0
        self.lags_us: list[int] = []
        # (reason, cure) -> how often.
        self.refusals: Counter[tuple[str, str]] = Counter()


class DoorReports:
    """The use case: one per process."""

    def __init__(self, events: EventSink, clock: Clock) -> None:
        """Report through ``events``."""
        self._events = events
        self._clock = clock
        self._doors: dict[tuple[str, str, str], _Door] = {}
        self._unsent = EventBatch()

    def took(self, account: Account, receive_time_us: int, occur_time_us: int) -> None:
        """Note a callback that was answered as stored.

        Args:
            account: whose.
            receive_time_us: when it came.
            occur_time_us: the provider's time of one of its events; 0: it told none.
        """
        door = self._door(account)
        door.callback_count += 1
        if receive_time_us > door.last_receive_time_us:
            door.last_receive_time_us = receive_time_us
        if occur_time_us and len(door.lags_us) < LAGS_MAX:
            door.lags_us.append(receive_time_us - occur_time_us)

    def refused(
        self, account: Account, reason: str = "", cure: str = "", *, is_unproven: bool = True
    ) -> None:
        """Note a refused request; most are because nothing proved it to be the provider's."""
        door = self._door(account)
        door.refused_count += is_unproven
        if reason:
            door.refusals[reason, cure] += 1

    async def report(self) -> None:
        """Send what was noted. What the broker does not take is sent again, under its ids."""
        for (tenant_id, provider, account), door in self._doors.items():
            self._unsent.door_reports.add(
                report_id=uuid.uuid4().bytes,
                tenant_id=tenant_id,
                provider=provider,
                account=account,
                report_time_us=self._clock.now_us(),
                callback_count=door.callback_count,
                refused_count=door.refused_count,
                last_receive_time_us=door.last_receive_time_us,
                lag_us=median_low(door.lags_us) if door.lags_us else None,
                refusals=[
                    DoorRefusals(reason=reason, cure=cure, count=count)
                    for (reason, cure), count in door.refusals.most_common(REASONS_MAX)
                ],
            )
        self._doors.clear()
        while self._unsent.door_reports:
            # A copy of few: what waits to be sent must not grow meanwhile, nor outgrow a message.
            part = EventBatch(door_reports=self._unsent.door_reports[:REPORTS_MAX])
            await self._events.submit(part)
            del self._unsent.door_reports[: len(part.door_reports)]

    async def run(self, interval_s: float, stopping: asyncio.Event) -> None:
        """Report until ``stopping`` is set. Outages are waited out."""
        while not stopping.is_set():
            try:
                await asyncio.wait_for(stopping.wait(), interval_s)
            except TimeoutError:
                await self.report_if_possible()

    async def report_if_possible(self) -> None:
        """Send what was noted, or keep it for the next time."""
        try:
            await self.report()
        except BrokerUnavailable:
            del self._unsent.door_reports[:-UNSENT_MAX]
            postponed: LogEvent = "reports.postponed"
            _log.warning(postponed, reports=len(self._unsent.door_reports))

    def _door(self, account: Account) -> _Door:
        key = (account.tenant, account.provider, account.account)
        door = self._doors.get(key)
        if door is None:
            door = self._doors[key] = _Door()
        return door
