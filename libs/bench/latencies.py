"""Latencies from the time at which something was due: how late it was is part of them."""

from __future__ import annotations

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

_MAX_US = 600_000_000
_DIGITS = 3


class Latencies:
    """Milliseconds by share, from 1 us to ten minutes, exact to a thousandth."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._histogram = HdrHistogram(1, _MAX_US, _DIGITS)
        for one in seconds:
            self.add(one)

    def __len__(self) -> int:
        """How many were added."""
        return int(self._histogram.get_total_count())

    def add(self, seconds: float) -> None:
        """Add one; negative counts as none, above ten minutes as ten minutes."""
        self._histogram.record_value(min(max(1, round(seconds * 1e6)), _MAX_US))

    def at(self, percent: float) -> float:
        """Milliseconds within which `percent` of all were; 0 if there are none."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1000 if len(self) else 0.0
