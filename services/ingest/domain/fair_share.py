"""Who holds how much of the door, and whether somebody may hold more.

Law: no account holds more than what is left free for all the others, and no address of an account
more than what is left of that account's room. So whatever one of them does, and without knowing how
many there are, the next one finds at once half of what is free (one address of it a third), and as
those before it give back and take again, all come to hold the same.
"""

import math
from typing import Final

# What was spent this long ago weighs half as much.
_HALF_LIFE_S: Final = 1.0


class Load:
    """What one account, or one address that calls for it, holds of the door and has spent of it."""

    __slots__ = ("_spent_at_s", "_spent_s", "byte_count", "request_count")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.request_count = 0  # callbacks that are worked on
        self.byte_count = 0  # of bodies that are held
        self._spent_s = 0.0
        self._spent_at_s = 0.0

    def spend(self, seconds: float, now_s: float) -> None:
        """Note work that was done; ``now_s`` is any clock that never goes back."""
        # Within a hundredth of the half-life there is nothing to be forgotten.
        if now_s - self._spent_at_s > _HALF_LIFE_S / 100:
            self._spent_s = self.spent_s(now_s)
            self._spent_at_s = now_s
        self._spent_s += seconds

    def spent_s(self, now_s: float) -> float:
        """Return the seconds of work of late; older ones fade."""
        if not self._spent_s:
            return 0.0
        return self._spent_s * math.exp2((self._spent_at_s - now_s) / _HALF_LIFE_S)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held."""
        return not self.request_count and not self.byte_count


class Party(Load):
    """One address that calls for one account: those of a flood must not be the account's all."""

    __slots__ = ("account",)

    def __init__(self, account: Load) -> None:
        """Begin with nothing; ``account`` holds what all its parties hold."""
        super().__init__()
        self.account = account

    def spend(self, seconds: float, now_s: float) -> None:
        """Note work that was done, for the account as well."""
        super().spend(seconds, now_s)
        self.account.spend(seconds, now_s)


def fits(more: int, *, own: int, account: int, held: int, total: int) -> bool:
    """Say whether a party may hold ``more``.

    Args:
        more: of requests or of bytes, as all the others.
        own: what the party holds.
        account: what its account holds, the party's included.
        held: what everybody holds, the account's included.
        total: what there is.
    """
    free = total - held - more
    room = free - account - more
    return room >= 0 and own + more <= room
