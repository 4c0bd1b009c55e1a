"""Tells of messages without a report, when their time has come, that they were not delivered."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from bluetick.v1.event_pb2 import Event, EventBatch

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.verdicts import TryAgain
from services.status import measures
from services.status.apply_events import ApplyEvents
from services.status.domain.gathered import Key
from services.status.domain.message import Message
from services.status.domain.silence import Patience, is_pending, silence_of, silent_from_us
from services.status.log_events import LogEvent

_log = logs.get_logger()
INTERVAL_S: Final = 60.0
# Entries taken at once; each holds messages of at most one transaction of a lane.
ENTRIES_MAX: Final = 20


class Silent(Protocol):
    """Entries that were taken, and the messages in them, as stored."""

    entry_count: int
    messages: Sequence[tuple[Key, Message]]

    async def postpone(self, later: Sequence[tuple[int, Key]]) -> None:
        """Note messages again, with their times: theirs has not come."""


class SilentShelf(Protocol):
    """Messages by the time from which on their silence counts."""

    def take(self, until_us: int, entries_max: int) -> AbstractAsyncContextManager[Silent]:
        """Take entries up to a time that nobody else has taken; they go if the block succeeds."""


class TellSilence:
    """The use case. Every replica may run it: each takes other entries, and all tell alike."""

    def __init__(
        self, shelf: SilentShelf, apply_events: ApplyEvents, clock: Clock, patience: Patience
    ) -> None:
        """Build it of the entries, of what applies events, and of what settings say."""
        self._shelf = shelf
        self._apply_events = apply_events
        self._clock = clock
        self._patience = patience

    async def tell_due(self) -> int:
        """Tell everything that is due; return of how many messages.

        Raises:
            DatabaseUnavailable, TryAgain: some is untold yet, or told and still noted; what is
                told twice is told once.
        """
        total = 0
        while True:
            now_us = self._clock.now_us()
            async with self._shelf.take(now_us, ENTRIES_MAX) as silent:
                events, later = self._decide(silent.messages, now_us)
                if later:
                    await silent.postpone(later)
                if events:
                    await self._apply_events.apply([EventBatch(events=events)], now_us)
                taken = silent.entry_count
            total += len(events)
            if taken < ENTRIES_MAX:
                return total

    def _decide(
        self, messages: Sequence[tuple[Key, Message]], now_us: int
    ) -> tuple[list[Event], list[tuple[int, Key]]]:
        events, later = [], []
        for key, message in messages:
            until_us = silent_from_us(message, self._patience)
            if not until_us or not is_pending(message):
                continue
            if until_us <= now_us:
                events.append(silence_of(key, message, until_us))
            else:
                later.append((until_us, key))
        return events, later

    async def keep_telling(self, stopping: asyncio.Event) -> None:
        """Tell what is due until ``stopping`` is set. Outages are waited out."""
        while not stopping.is_set():
            try:
                if told := await self.tell_due():
                    measures.REPORTS_MISSED.inc(told)
                    done: LogEvent = "reports.missed"
                    _log.info(done, messages=told)
            except (DatabaseUnavailable, TryAgain) as error:
                postponed: LogEvent = "reports.missing_untold"
                _log.warning(postponed, error=type(error).__name__)
            try:
                await asyncio.wait_for(stopping.wait(), INTERVAL_S)
            except TimeoutError:
                continue
