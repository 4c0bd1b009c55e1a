"""Turns at the one thread that all callbacks share.

Callbacks are worked on as they come, a fraction of a millisecond each. But a body may take half a
second, and a thousand connections may bring theirs in one turn of the loop; whoever comes behind
would wait for all of them. So when a turn's time is spent, what comes waits, and whoever has spent
least of late comes first. A large body always waits for a turn of its own, and while others are
there, the next one waits until they had their share of the time. Few are under way at once: their
events would stand before everybody's at the broker.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from services.ingest.domain.fair_queue import FairQueue
from services.ingest.domain.fair_share import Party

# Without a small body for so long, large ones have nobody to wait for.
_ALONE_S = 1.0


class TurnLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one turn."""

    turn_s: float = 0.02
    large_bodies_at_once_max: int = 2
    large_bodies_share: float = 0.5  # of the time, while there are others
    wait_s_max: float = 5.0


class WaitedTooLong(Exception):
    """No turn came in time: others had more of a right to it."""


class Turns:
    """Decides whether a callback is worked on now or later."""

    def __init__(self, limits: TurnLimits) -> None:
        """Give turns within ``limits``."""
        self._limits = limits
        self._spent_s = 0.0  # in this turn of the loop
        self._small_at_s = -_ALONE_S  # when a small body was last worked on
        self._large_from_s = 0.0  # when the next large one may be
        self._small: FairQueue[Callable[[], None]] = FairQueue()
        self._large: FairQueue[asyncio.Future[None]] = FairQueue()
        self._large_count = 0  # under way
        self._is_reading_large = False  # or about to
        self._large_began = 0.0
        self._large_timer: asyncio.TimerHandle | None = None
        self._is_turning = False

    @property
    def is_over(self) -> bool:
        """Whether what comes now must wait."""
        return self._spent_s >= self._limits.turn_s or bool(self._small)

    @property
    def waiting_count(self) -> int:
        """How many callbacks wait for a turn."""
        return len(self._small) + len(self._large)

    def spent(self, party: Party, began: float) -> None:
        """Note that work for ``party`` went on since ``began`` (``time.perf_counter``)."""
        now = time.perf_counter()
        spent_s = now - began
        party.spend(spent_s, now)
        self._spent_s += spent_s
        if not self._is_reading_large:
            self._small_at_s = now
        if not self._is_turning:
            self._turn_soon()

    def later(self, party: Party, job: Callable[[bool], None]) -> None:
        """Call ``job`` in a later turn, with whether that came in time."""
        came = time.perf_counter()
        limit_s = self._limits.wait_s_max
        self._small.put(party, lambda: job(time.perf_counter() - came <= limit_s))
        self._turn_soon()

    async def small(self, party: Party) -> None:
        """Return when the time has come for a body of any but a large size.

        Raises:
            WaitedTooLong: it never did.
        """
        if not self.is_over:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.later(party, lambda is_in_time: _let(future, is_in_time=is_in_time))
        await future

    @asynccontextmanager
    async def large(self, party: Party) -> AsyncIterator[None]:
        """Enter when the time has come for a large body; the block ends when it is stored.

        Raises:
            WaitedTooLong: it never did.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._large.put(party, future)
        self._turn_soon()
        timer = loop.call_later(self._limits.wait_s_max, lambda: _let(future, is_in_time=False))
        try:
            await future
            self._large_began = time.perf_counter()
            yield
        finally:
            timer.cancel()
            # Also for one who left in the very moment of its turn.
            if future.done() and not future.cancelled() and future.exception() is None:
                self._large_count -= 1
                self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Begin a turn of the loop with what waits from those before."""
        self._is_turning = False
        self._spent_s = 0.0
        now = began = time.perf_counter()
        while self._small and now - began < self._limits.turn_s:
            self._small.pop(now)()
            now = time.perf_counter()
        self._begin_large(now)
        if self._small:
            self._turn_soon()

    def _large_is_read(self) -> None:
        """Note how long a large body was read and given to the broker, in one step of its task."""
        self._is_reading_large = False
        now = time.perf_counter()
        share = self._limits.large_bodies_share
        self._large_from_s = now + (now - self._large_began) * (1.0 - share) / share
        self._turn_soon()

    def _begin_large(self, now_s: float) -> None:
        """Let one large body be read, if it is time and none is; the next comes when it was."""
        if now_s < self._large_from_s and now_s - self._small_at_s < _ALONE_S:
            if self._large and self._large_timer is None:
                rest_s = self._large_from_s - now_s
                self._large_timer = asyncio.get_running_loop().call_later(rest_s, self._rested)
            return
        while (
            self._large
            and not self._is_reading_large
            and self._large_count < self._limits.large_bodies_at_once_max
        ):
            future = self._large.pop(now_s)
            if not future.done():
                self._large_count += 1
                self._is_reading_large = True
                self._large_began = now_s
                future.set_result(None)
                # Comes right after the step that the task makes now.
                asyncio.get_running_loop().call_soon(self._large_is_read)

    def _rested(self) -> None:
        self._large_timer = None
        self._turn_soon()


def _let(future: "asyncio.Future[None]", *, is_in_time: bool) -> None:
    if future.done():
        return
    if is_in_time:
        future.set_result(None)
    else:
        future.set_exception(WaitedTooLong())
