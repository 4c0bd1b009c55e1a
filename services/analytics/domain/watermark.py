"""How far the numbers are complete: what status says, once its changes are in the cells."""

from collections.abc import Mapping, Sequence

import msgspec

# Marks that wait. When there are more, they are thinned out evenly, so that they always reach from
# the oldest change under way to the newest: the promise then moves in steps of 1/500 of the lag,
# and never stands still, however long the lag.
_MARKS_MAX = 1_000


class Gap(msgspec.Struct, frozen=True):
    """Broker messages that are not in the cells and will not come."""

    # Word of bluetick.v1.Gap: EXPIRED, MISSING or SET_ASIDE.
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
        # Tenant -> when what is shown was begun to be counted anew: older gaps are closed for it.
        self.rebuilt_us: Mapping[str, int] = {}
        # (sequence, time): complete until the time, once all changes up to the sequence are in.
        # Ascending by sequence.
        self._marks: list[tuple[int, int]] = []

    def freshness(self, tenant_id: str) -> Freshness:
        """Return what an answer to a tenant may promise that is read from now on."""
        since_us = self.rebuilt_us.get(tenant_id, 0)
        by_reason: dict[str, Gap] = {}
        for gap in self.gaps:
            if gap.to_time_us >= since_us:
                known = by_reason.get(gap.reason)
                by_reason[gap.reason] = gap if known is None else _joined(known, gap)
        return Freshness(self.complete_until_us, tuple(by_reason.values()))

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
            self._marks = _thinned(marks)

    def advance(self, folded_seq: int) -> None:
        """Note that all changes up to ``folded_seq`` are in the cells, or in a gap."""
        done = [time_us for changes_seq, time_us in self._marks if changes_seq <= folded_seq]
        if done:
            self.complete_until_us = max(self.complete_until_us or done[0], *done)
            self._marks = [mark for mark in self._marks if mark[0] > folded_seq]


def _thinned(marks: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return half as many marks at most, evenly spaced in time, the first and last among them."""
    step_us = 2 * (marks[-1][1] - marks[0][1]) // _MARKS_MAX
    kept = [marks[0]]
    for mark in marks[1:-1]:
        if mark[1] - kept[-1][1] >= step_us and len(kept) < _MARKS_MAX - 1:
            kept.append(mark)
    return [*kept, marks[-1]]


def _joined(one: Gap, other: Gap) -> Gap:
    first_us = min((us for us in (one.from_time_us, other.from_time_us) if us), default=0)
    last_us = max(one.to_time_us, other.to_time_us)
    return Gap(one.reason, one.batch_count + other.batch_count, first_us, last_us)
