"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import timedelta


class ManualClock:
    """A ``libs.runtime.clock.Clock`` under the test's control; never goes backwards by itself."""

    def __init__(self, now_us: int = 1_785_900_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return self._now_us

    def advance(self, by: timedelta | None = None, *, us: int = 0, s: float = 0.0) -> int:
        """Move on by the sum of what is given; returns the new time in microseconds."""
        if by is not None:
            us += round(by / timedelta(microseconds=1))
        self._now_us += us + round(s * 1_000_000)
        return self._now_us

    def set(self, now_us: int) -> None:
        """Jump to a time, also an earlier one."""
        self._now_us = now_us
