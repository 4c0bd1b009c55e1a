"""Members of sets, by the seat that they have in it; see family.Family."""

from collections.abc import Sequence
from functools import lru_cache
from operator import add

from services.analytics.domain.families.family import Seat, Sums

# Member -> how its sums move.
Members = dict[bytes, Sums]
# Family name -> seat -> members.
Seats = dict[str, dict[Seat, Members]]


@lru_cache(maxsize=65_536)
def plus(one: Sums, other: Sums) -> Sums:
    """Return the sum, the same object for the same sums: there are few and many members."""
    return tuple(map(add, one, other))


def enter(members: Members, coming: Sequence[bytes], sums: Sums) -> None:
    """Add the same sums for each of ``coming``, which may name a member several times."""
    fresh = dict.fromkeys(coming, sums)
    if len(fresh) == len(coming):
        known = members.keys() & fresh.keys() if members else ()
        for member in known:
            fresh[member] = plus(members[member], sums)
        members.update(fresh)
        return
    for member in coming:
        before = members.get(member)
        members[member] = sums if before is None else plus(before, sums)


def without_zeros(seats: Seats) -> Seats:
    """Return the same without members whose sums came out 0."""
    kept: Seats = {}
    for family, rows in seats.items():
        for seat, members in rows.items():
            still = (0,) * len(next(iter(members.values()), ()))
            if still in members.values():
                members = {member: sums for member, sums in members.items() if sums != still}
            if members:
                kept.setdefault(family, {})[seat] = members
    return kept
