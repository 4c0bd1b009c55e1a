"""How fast requests may come: a bucket that fills with time. Pure: it is told the time."""

import math


class Pace:
    """Lets ``requests_per_second`` through, with bursts of a second's worth, one at the least."""

    __slots__ = ("_burst", "_left", "_rate", "_since_s")

    def __init__(self, requests_per_second: float) -> None:
        """Begin full."""
        self._rate = requests_per_second
        self._burst = max(1.0, requests_per_second)
        self._left = self._burst
        self._since_s = 0.0

    @property
    def pause_s(self) -> int:
        """After how many whole seconds one more is let through at the latest."""
        return max(1, math.ceil(1 / self._rate))

    def lets_through(self, now_s: float) -> bool:
        """Say whether a request that comes now is taken, and count it if so.

        ``now_s`` is of any clock that does not go back; where it does, nothing is added.
        """
        passed_s = max(0.0, now_s - self._since_s)
        self._since_s = now_s
        self._left = min(self._burst, self._left + passed_s * self._rate)
        if self._left < 1:
            return False
        self._left -= 1
        return True
