"""Sums under one combination of dimensions, and how moves are added to them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import add
from typing import Any

from services.analytics.domain.counters import STORED
from services.analytics.domain.families.family import Key, Sums
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Listed
from services.analytics.domain.moves import Plan, Vector

# Family name -> key -> sums, of one campaign and cause.
Members = dict[str, dict[Key, Sums]]


class Place:
    """Sums under one frame and for one cause."""

    __slots__ = ("cause", "cohort", "event", "frame", "listed", "members", "people", "versions")

    def __init__(self, frame: Frame, cause: int, members: Members) -> None:
        self.frame = frame
        self.cause = cause
        # (minute since 1970, vector) -> how often; clock EVENT_TIME.
        self.event: defaultdict[tuple[int, Vector], int] = defaultdict(int)
        # (quarter since 1970, vector) -> how often; clock SEND_COHORT.
        self.cohort: defaultdict[tuple[int, Vector], int] = defaultdict(int)
        # Number of a plan -> the plan, and the people that it moves under these dimensions.
        self.people: dict[int, tuple[Plan, list[bytes]]] = {}
        self.versions = 0
        self.members = members
        self.listed = Listed()


def add_vector(rows: dict[Any, list[int]], key: Any, vector: Vector, n: int) -> None:
    """Add a vector ``n`` times to the row of a key."""
    row = rows.get(key)
    if row is None:
        row = rows[key] = [0] * len(STORED)
    for index, count in vector.counts:
        row[index] += count * n


def merge(into: dict[Key, Sums], rows: dict[Key, Sums]) -> None:
    """Add rows to rows."""
    if not into:
        into.update(rows)
        return
    for key, sums in rows.items():
        known = into.get(key)
        into[key] = sums if known is None else tuple(map(add, known, sums))


def add_people(
    rows: dict[Key, Sums],
    places: Callable[[Frame, bytes], Iterable[Key]],
    frame: Frame,
    people: Iterable[bytes],
    sums: Sums,
) -> None:
    """Add the same sums for each person, wherever the person is placed."""
    for person in people:
        for key in places(frame, person):
            known = rows.get(key)
            rows[key] = sums if known is None else tuple(map(add, known, sums))


def add_sums(members: Members, name: str, key: Key, sums: Sums) -> None:
    """Add sums to one member of one family."""
    rows = members.get(name)
    if rows is None:
        rows = members[name] = {}
    known = rows.get(key)
    rows[key] = sums if known is None else tuple(map(add, known, sums))


def shift(
    sums: defaultdict[tuple[int, Vector], int],
    before: Vector | None,
    after: Vector | None,
    difference: Vector | None,
    was: int,
    now: int,
) -> None:
    """Add one move: where both ends lie in one bucket only the difference is left."""
    if before is not None and after is not None and was == now:
        if difference is not None:
            sums[now, difference] += 1
        return
    if before is not None:
        sums[was, before] -= 1
    if after is not None:
        sums[now, after] += 1
