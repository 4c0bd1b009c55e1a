"""How far the numbers are complete: what status says, once its changes are in the cells."""

from collections.abc import Sequence

import msgspec

# Marks that wait. When there are more, every second one is left out, so that the marks always reach
# from the oldest change under way to the newest: the promise then moves in larger steps, and never
# stands still because of a lag, however long.
_MARKS_MAX = 1_024


class Gap(msgspec.Struct, frozen=True):
    """Broker messages that are not in the cells and will not come."""

    # EXPIRED, MISSING or SET_ASIDE.
    reason: str
    batch_count: int
    # Between these two times they were stored, microseconds since 1970; 0: not known.
    from_time_us: int
    to_time_us: int


class Freshness(msgspec.Struct, frozen=True):
    """What an answer says of its own completeness."""

    # All that was answered OK before, but for the gaps, is included; None: not known.
    complete_until_us: int | None
    gaps: Sequence[Gap]

    def at_most(self, time_us: int | None) -> "Freshness":
        """Return the same, complete until a time at most; None: no further limit."""
        if time_us is None or self.complete_until_us is None:
            return self
        return Freshness(min(self.complete_until_us, time_us), self.gaps)


class Watermark:
    """Everything answered OK before ``complete_until_us`` is in the cells; None: not known yet.

    It never goes back, whatever order its news come in.
    """

    def __init__(self) -> None:
        self.complete_until_us: int | None = None
        self.gaps: Sequence[Gap] = ()
        # (sequence, time): complete until the time, once all changes up to the sequence are in.
        # Ascending by sequence.
        self._marks: list[tuple[int, int]] = []

    @property
    def freshness(self) -> Freshness:
        """What an answer may promise that is read from now on."""
        return Freshness(self.complete_until_us, self.gaps)

    def expect(self, complete_until_us: int, changes_seq: int) -> None:
        """Note that all before ``complete_until_us`` lies at or before ``changes_seq``."""
        marks = self._marks
        if marks and changes_seq < marks[-1][0]:
            # Another replica of status answered, or another stream counts from 1 again.
            marks[:] = [mark for mark in marks if mark[0] < changes_seq]
        if marks and marks[-1][0] == changes_seq:
            complete_until_us = max(complete_until_us, marks.pop()[1])
        marks.append((changes_seq, complete_until_us))
        if len(marks) > _MARKS_MAX:
            del marks[1:-1:2]

    def advance(self, folded_seq: int) -> None:
        """Note that all changes up to ``folded_seq`` are in the cells, or in a gap."""
        done = [time_us for changes_seq, time_us in self._marks if changes_seq <= folded_seq]
        if done:
            self.complete_until_us = max(self.complete_until_us or done[0], *done)
            self._marks = [mark for mark in self._marks if mark[0] > folded_seq]
