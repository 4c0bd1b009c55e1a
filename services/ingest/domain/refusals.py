"""How long whoever is refused waits for the word: at a modest pace it comes at once.

A refusal costs as much as a callback, and a stranger gets as many as he asks for. When each of them
comes a little later than the one before, his connections wait instead of asking, and the time of
the door is for others. Only the refused wait: what is good gets on from the same address, too.
"""

from typing import Final

# Nobody waits for longer: a provider whose secret was changed has to see it.
DELAY_S_MAX: Final = 2.0
_ADDRESSES_MAX: Final = 20_000


class Refusals:
    """Counts refusals by address, as a leaky bucket that holds those of one second."""

    def __init__(self, per_s_max: float) -> None:
        """Let ``per_s_max`` of one address have their answer at once."""
        self._every_s = 1.0 / per_s_max
        # Of each address: when the refusals so far would be over, at the pace that is allowed.
        self._over_at_s: dict[str, float] = {}

    def delay_s(self, address: str, now_s: float) -> float:
        """Note one more refusal at ``now_s``, of a clock that never goes back; return its delay."""
        if len(self._over_at_s) >= _ADDRESSES_MAX:
            kept = {name: at_s for name, at_s in self._over_at_s.items() if at_s > now_s}
            self._over_at_s = kept if len(kept) < _ADDRESSES_MAX else {}
        over_at_s = max(self._over_at_s.get(address, now_s), now_s) + self._every_s
        # What would have to wait for longer does not make those behind it wait for it.
        self._over_at_s[address] = min(over_at_s, now_s + 1.0 + DELAY_S_MAX)
        return max(0.0, self._over_at_s[address] - now_s - 1.0)
