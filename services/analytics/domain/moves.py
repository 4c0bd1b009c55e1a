"""What a move between two shapes does, before any time or dimension is looked at."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from operator import attrgetter
from typing import Any

import msgspec

from services.analytics.domain.counters import STORED, Moment
from services.analytics.domain.families.family import Counted, Family, Shaped, Sums
from services.analytics.domain.lists.marks import marks_of
from services.analytics.domain.shape import TIME_OF, Counts, ReadTime, Shape, counts_of


class Vector:
    """Counts to add together. Compared and hashed by identity, which is quick."""

    __slots__ = ("counts",)

    def __init__(self, counts: Counts) -> None:
        self.counts = counts


@lru_cache(maxsize=65_536)
def vector_of(counts: Counts) -> Vector | None:
    """Return the one vector of these counts, None if there are none."""
    return Vector(counts) if counts else None


class Step(msgspec.Struct, frozen=True):
    """What one moment of a move adds: vectors before and after, and how to read their times."""

    before: Vector | None
    after: Vector | None
    difference: Vector | None
    # The field that nearly always holds the time; 0 there sends the reader to ``time_of``.
    field: ReadTime
    time_of: ReadTime


class ShapedMove(msgspec.Struct, frozen=True):
    """What a move adds to one family whose sums follow from shapes."""

    family: Family
    how: Shaped
    before: Sums | None
    after: Sums | None
    # None: nothing but a change of place would add anything.
    difference: Sums | None


# Times of an image, as many as there are fields.
ReadTimes = Callable[[Any], tuple[int, ...]]


class QuickMove(msgspec.Struct, frozen=True):
    """A move that is known by the minutes of its moments; see plain_changes.py.

    The moments are those of ``kept`` and those of ``come``; the first one is the send.
    """

    # Moments that both images have; of a new message, the send. They must not move.
    kept: ReadTimes
    # Moments that the new image alone has.
    come: ReadTimes | None
    # What is added at each, and in the quarter of the send.
    vectors: tuple[Vector | None, ...]
    cohort: Vector | None
    is_still: bool
    moves_people: bool


class Plan(msgspec.Struct, frozen=True):
    """What a move between two shapes does; None stands for a message that is not counted."""

    steps: tuple[Step, ...]
    before: Vector | None
    after: Vector | None
    difference: Vector | None
    shaped: tuple[ShapedMove, ...]
    # Families that the images of these shapes may add to: whether the old one, whether the new one.
    counted: tuple[tuple[Family, Counted, bool, bool], ...]
    # Nothing counts differently, unless a time or a dimension has moved.
    is_still: bool
    # Some set gains or loses the person.
    moves_people: bool
    # None: there is more to it than minutes and people.
    quick: QuickMove | None
    number: int
    # Terms of lists that find the message after and did not before, or the other way round.
    turned: frozenset[int]


_FIELD_OF = {
    Moment.SEND: "cohort_time_us",
    Moment.UNDELIVER: "undeliver_time_us",
    Moment.DELIVER: "deliver_time_us",
    Moment.READ: "read_time_us",
    Moment.HUMAN_READ: "human_read_time_us",
    Moment.EVIDENCE: "evidence_time_us",
    Moment.CLICK: "click_time_us",
    Moment.HUMAN_CLICK: "human_click_time_us",
    Moment.REPLY: "reply_time_us",
    Moment.UNSUBSCRIBE: "unsubscribe_time_us",
    Moment.COMPLAIN: "complain_time_us",
    Moment.OPT_OUT_BEFORE: "opted_out_before_time_us",
    Moment.COMPLAIN_BEFORE: "complained_before_time_us",
}


def _counts(shape: Shape | None) -> Counts:
    return counts_of(shape) if shape is not None else ()


def _minus(new: Counts, old: Counts) -> Counts:
    sums = dict(new)
    for index, n in old:
        sums[index] = sums.get(index, 0) - n
    return tuple(sorted((index, n) for index, n in sums.items() if n))


def _at(counts: Counts, moment: Moment) -> Counts:
    return tuple((index, n) for index, n in counts if STORED[index].moment is moment)


def _step(moment: Moment, old: Counts, new: Counts) -> Step:
    before, after = _at(old, moment), _at(new, moment)
    vectors = vector_of(before), vector_of(after), vector_of(_minus(after, before))
    name = _FIELD_OF.get(moment)
    return Step(*vectors, attrgetter(name) if name else TIME_OF[moment], TIME_OF[moment])


def _shaped(family: Family, how: Shaped, old: Shape | None, new: Shape | None) -> ShapedMove:
    before = how.sums_of(old) if old is not None else None
    after = how.sums_of(new) if new is not None else None
    nothing = (0,) * len(family.sums)
    pairs = zip(before or nothing, after or nothing, strict=True)
    difference = tuple(b - a for a, b in pairs)
    return ShapedMove(family, how, before, after, difference if any(difference) else None)


def _quick(
    moments: Mapping[Moment, Step], cohort: Vector | None, *, is_still: bool, moves_people: bool
) -> QuickMove | None:
    kept = [m for m, step in moments.items() if step.before and step.after]
    come = [m for m, step in moments.items() if not step.before]
    names = {m: _FIELD_OF.get(m, "") for m in moments}
    is_new = not kept
    if is_new:
        kept, come = come[:1], come[1:]
    if len(kept) + len(come) < len(moments) or not all(names.values()) or not moments:
        return None
    assert kept[0] is Moment.SEND
    vectors = [moments[m].after if is_new else moments[m].difference for m in kept]
    added: list[Vector | None] = [moments[m].after for m in come]
    for some, theirs in ((kept, vectors), (come, added)):
        if len(some) == 1:
            # Of one name a getter returns no tuple; the second one adds nothing.
            some.append(some[0])
            theirs.append(None)
    return QuickMove(
        attrgetter(*(names[m] for m in kept)),
        attrgetter(*(names[m] for m in come)) if come else None,
        (*vectors, *added),
        cohort,
        is_still,
        moves_people,
    )


class Planner:
    """Plans for the families that it was made for; each plan is made once."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self.families = families
        self._numbers = count()
        self.plan = lru_cache(maxsize=65_536)(self._plan)

    def _plan(self, old: Shape | None, new: Shape | None) -> Plan:
        before, after = _counts(old), _counts(new)
        steps = {moment: _step(moment, before, after) for moment in TIME_OF}
        steps = {moment: step for moment, step in steps.items() if step.before or step.after}
        counted: list[tuple[Family, Counted, bool, bool]] = []
        for family in self.families:
            how = family.how
            if isinstance(how, Counted):
                is_old = old is not None and how.concerns(old)
                is_new = new is not None and how.concerns(new)
                if is_old or is_new:
                    counted.append((family, how, is_old, is_new))
        shaped = [
            _shaped(family, family.how, old, new)
            for family in self.families
            if isinstance(family.how, Shaped)
        ]
        is_still = before == after and not counted and all(one.difference is None for one in shaped)
        moves_people = any(one.difference is not None for one in shaped)
        quick = None
        if new is not None and not counted:
            cohort = vector_of(_minus(after, before))
            quick = _quick(steps, cohort, is_still=is_still, moves_people=moves_people)
        return Plan(
            tuple(steps.values()),
            vector_of(before),
            vector_of(after),
            vector_of(_minus(after, before)),
            tuple(shaped),
            tuple(counted),
            is_still,
            moves_people,
            quick,
            next(self._numbers),
            marks_of(old) ^ marks_of(new),
        )
