"""Writes members of sets with seats, and tells how the sets and their parts grew.

All who write to the members of one campaign do it one after another, under a lock of their own: no
row of theirs can move between being found and being changed, no two can put in the same member, and
the order of the rows does not matter.
"""

from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from operator import add
from sys import byteorder
from typing import Any

from libs.runtime.database import DatabaseUnavailable
from services.analytics.adapters.cell_statements import turned
from services.analytics.adapters.seat_statements import compare_members, seat_members
from services.analytics.domain.cells import CampaignName
from services.analytics.domain.families.family import MEMBER_BYTES, Family, Seat, Sums
from services.analytics.domain.seats import Members

# First number of PostgreSQL's advisory locks of analytics; "people" in letters of a telephone.
_LOCK_SPACE = 736753
# Bounds how many locks one transaction takes, however many campaigns it writes.
_LOCKS = 64
# Who has it is one of us and will be done soon: that takes longer than the wait for somebody else's
# lock on a row may last. Until the transaction ends, plans go by the index, however small the
# tables were when they were made.
_LOCK = """
    SELECT set_config('lock_timeout', $3, TRUE), pg_advisory_xact_lock($1, lock),
      set_config('lock_timeout', before.wait, TRUE), set_config('enable_seqscan', 'off', TRUE),
      set_config('enable_hashjoin', 'off', TRUE), set_config('enable_mergejoin', 'off', TRUE)
    FROM (SELECT current_setting('lock_timeout') AS wait OFFSET 0) AS before,
      unnest($2::int[]) AS lock
"""
_LOCK_WAIT = "10s"
# Kinds are told apart by two bytes.
_KINDS_MAX = 60_000

# Column of the seat (0: the whole set) and its word -> by how much each size grew.
Growth = dict[tuple[int, str], Sums]


async def lock_members(connection: Any, names: Iterable[CampaignName]) -> None:
    """Keep others from the members of some campaigns until the transaction ends."""
    locks = sorted({_lock_of(name) for name in names})
    if locks:
        await connection.fetch(_LOCK, _LOCK_SPACE, locks, _LOCK_WAIT)


def _lock_of(name: CampaignName) -> int:
    return blake2b("\0".join(name).encode(), digest_size=1).digest()[0] % _LOCKS


class _Kinds:
    """Members by kind, as the statements want them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Seat, bool, Sums], int] = {}
        self._members: list[bytes] = []
        self._kinds = array("H")

    def add(self, seat: Seat, members: Members, ordered: list[bytes], *, several: bool) -> None:
        """Add some of the members of one seat."""
        numbers = self._numbers
        own = {
            sums: numbers.setdefault((seat, several, sums), len(numbers))
            for sums in set(members.values())
        }
        self._members += ordered
        self._kinds.extend([own[members[member]] for member in ordered])

    @property
    def is_full(self) -> bool:
        """Whether another seat might have more kinds than fit."""
        return len(self._numbers) > _KINDS_MAX // 2

    def __len__(self) -> int:
        return len(self._members)

    def parameters(self) -> list[Any]:
        """Return the parameters of a statement behind those of the campaign."""
        if byteorder == "big":
            self._kinds.byteswap()
        seats, several, sums = zip(*self._numbers, strict=True)
        members = b"".join(self._members)
        assert len(members) == MEMBER_BYTES * len(self._kinds)
        return [
            members, self._kinds.tobytes(), list(several),
            *turned(seats, len(seats[0])), *turned(sums, len(sums[0])),
        ]  # fmt: skip


async def add_to_seats(
    connection: Any,
    family: Family,
    name: CampaignName,
    generation: int,
    seats: Mapping[Seat, Members],
) -> Growth:
    """Add to the members of one campaign, whose lock is held; return how the sizes grew."""
    growth: Growth = {}
    several = _in_several(seats)
    whose = *name, generation
    kinds, many = _Kinds(), set[bytes]()
    for seat, members in seats.items():
        alone = sorted(members.keys() - several if several else members)
        kinds.add(seat, members, alone, several=False)
        if several:
            kinds.add(seat, members, sorted(members.keys() & several), several=True)
        if kinds.is_full:
            many |= await _write(connection, family, whose, kinds, growth)
            kinds = _Kinds()
    if len(kinds):
        many |= await _write(connection, family, whose, kinds, growth)
    if many:
        kinds = _Kinds()
        for seat, members in seats.items():
            kinds.add(seat, members, sorted(members.keys() & many), several=True)
        rows = await connection.fetch(compare_members(family), *whose, *kinds.parameters())
        for kind, part, *grown in rows:
            _grow(growth, (kind, part), tuple(grown))
    return growth


def _in_several(seats: Mapping[Seat, Members]) -> set[bytes]:
    seen, several = set[bytes](), set[bytes]()
    if len(seats) > 1:
        for members in seats.values():
            several |= members.keys() & seen
            seen |= members.keys()
    return several


async def _write(
    connection: Any, family: Family, whose: tuple[Any, ...], kinds: _Kinds, growth: Growth
) -> set[bytes]:
    """Write; return the members who have several seats, of whose growth nothing is told yet."""
    many, written = set[bytes](), 0
    width = len(family.seat)
    rows = await connection.fetch(seat_members(family), *whose, *kinds.parameters())
    for row in rows:
        *grown, count, others = tuple(row)[width:]
        written += count
        many.update(others or ())
        _grow(growth, (0, ""), tuple(grown))
        for at, word in enumerate(tuple(row)[:width], 1):
            _grow(growth, (at, word), tuple(grown))
    if written != len(kinds):
        # Somebody at a prompt changed rows that were found a moment before.
        raise DatabaseUnavailable(f"{len(kinds) - written} members of {family.name} were moved")
    return many


def _grow(growth: Growth, part: tuple[int, str], grown: Sums) -> None:
    known = growth.get(part)
    growth[part] = grown if known is None else tuple(map(add, known, grown))
