"""One broker message in the making, and everybody who waits for it."""

import asyncio
from collections.abc import Callable

from libs.runtime import logs
from libs.runtime.broker import BrokerUnavailable
from services.ingest.log_events import LogEvent

_log = logs.get_logger()
# Is told None when what was given is on the broker's disk, else why that is not sure.
Done = Callable[[BrokerUnavailable | None], None]


class SharedMessage:
    """The pieces of several submitters. Each is told on its own how it ended, once, in time."""

    __slots__ = ("_overdue_timer", "byte_count", "event_count", "is_overdue", "pieces", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Begin empty; after ``timeout_s`` everybody is told to send it again."""
        self.pieces: list[bytes] = []
        self.byte_count = 0
        self.event_count = 0
        self.is_overdue = False
        self.waiting: list[Done] = []
        self._overdue_timer = loop.call_later(timeout_s, self._overdue)

    def add(self, piece: bytes, event_count: int) -> None:
        """Put one piece in."""
        self.pieces.append(piece)
        self.byte_count += len(piece)
        self.event_count += event_count

    def settle(self, error: BrokerUnavailable | None) -> None:
        """Tell everybody who waits how it ended."""
        self._overdue_timer.cancel()
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            try:
                done(error)
            except Exception as failure:
                # A bug of ours at one submitter is no reason to leave the others without an answer.
                crashed: LogEvent = "answer.crashed"
                _log.error(crashed, exc_info=failure)

    def _overdue(self) -> None:
        self.is_overdue = True
        self.settle(BrokerUnavailable("The broker did not acknowledge in time."))
