"""Messages that made their handler fail while alone: each is counted, and tried alone again."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from libs.runtime.delivery import Delivery

# Crashes alone, with neighbours passing in between, after which a message is set aside.
CRASHES_MAX = 5
# So many at once are no accident of a message: the code is at fault.
SUSPECTS_MAX = 50
_DELAYS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
# Not seen for so long, somebody else has handled it.
_FORGET_S = 60.0


@dataclass(slots=True)
class _Suspect:
    crashes: int = 0
    # How many batches had passed when it crashed last.
    passes: int = -1
    delays: int = 0
    seen_s: float = 0.0


class Suspects:
    """By the sequence in the stream. Of this replica only: what others saw is not known."""

    def __init__(self) -> None:
        self._by_seq: dict[int, _Suspect] = {}
        self._passes = 0
        self._passes_at_crash = -1

    def knows(self, stream_seq: int) -> bool:
        """Return whether the message is to be handled alone."""
        return stream_seq in self._by_seq

    @property
    def too_many(self) -> bool:
        """Whether it is the code that is at fault, not so many messages."""
        return sum(one.crashes > 0 for one in self._by_seq.values()) > SUSPECTS_MAX

    def passed(self) -> None:
        """Note that other messages were handled."""
        self._passes += 1

    def crashed(self, delivery: Delivery) -> bool:
        """Count a crash of a message alone; return whether it is proven to be at fault.

        Only a crash since which neighbours have passed counts: without them, the message and a bug
        that hits everything look the same.
        """
        suspect = self._noted(delivery)
        if suspect.passes != self._passes:
            suspect.crashes += 1
            suspect.passes = self._passes
        return suspect.crashes > CRASHES_MAX

    def nothing_passes(self) -> bool:
        """Return whether nothing passed since this was last asked; ask once a crash."""
        before, self._passes_at_crash = self._passes_at_crash, self._passes
        return before == self._passes

    def locked(self, delivery: Delivery) -> None:
        """Note that others hold the rows of a message."""
        self._noted(delivery)

    def _noted(self, delivery: Delivery) -> _Suspect:
        now_s = time.monotonic()
        if delivery.stream_seq not in self._by_seq:
            for seq in [q for q, s in self._by_seq.items() if now_s - s.seen_s > _FORGET_S]:
                del self._by_seq[seq]
        suspect = self._by_seq.setdefault(delivery.stream_seq, _Suspect())
        suspect.seen_s = now_s
        return suspect

    def delay_s(self, delivery: Delivery) -> float:
        """Return after which time to try the message again; grows."""
        suspect = self._by_seq[delivery.stream_seq]
        delay_s = _DELAYS_S[min(suspect.delays, len(_DELAYS_S) - 1)]
        suspect.delays += 1
        return delay_s

    def forget(self, batch: Iterable[Delivery]) -> None:
        """Drop messages that are done."""
        for delivery in batch:
            self._by_seq.pop(delivery.stream_seq, None)
