"""Sums of one fold, as they go into the tables."""

import operator
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from services.analytics.domain.families.family import Family, Key, Sums
from services.analytics.domain.links import LinkName
from services.analytics.domain.lists.listed import Lists
from services.analytics.domain.seats import Seats
from services.analytics.domain.seats import without_zeros as seats_without_zeros

Row = list[int]
# (tenant, campaign)
CampaignName = tuple[str, str]


class Cells(msgspec.Struct):
    """Rows to add to the tables of one campaign, by family; none that came out 0."""

    # Family name -> key -> one number per sum. Families that are no sets.
    sums: dict[str, dict[Key, Row]]
    # Cause -> family name -> key with the member -> one number per sum. Sets, by cause: how a set
    # grows is known only where it is stored, and the ledger wants to know why it did.
    sets: dict[int, dict[str, dict[Key, Sums]]]
    # The same of sets with seats.
    seats: dict[int, Seats]
    # Cause -> one number per counter of the catalogue.
    causes: dict[int, Row]
    # Link -> what it is called.
    link_names: dict[bytes, LinkName]
    # What moves in the lists of its messages.
    lists: Lists

    @classmethod
    def empty(cls) -> "Cells":
        """Return no rows."""
        return cls({}, {}, {}, {}, {}, Lists.empty())

    def add(self, family: Family, cause: int, key: Key, sums: Iterable[int], times: int) -> None:
        """Add ``times`` the sums at a place of a family."""
        added = tuple(n * times for n in sums)
        if family.member is not None:
            sets = self.sets.setdefault(cause, {}).setdefault(family.name, {})
            known = sets.get(key)
            sets[key] = added if known is None else tuple(map(operator.add, known, added))
            return
        rows = self.sums.setdefault(family.name, {})
        row = rows.get(key)
        if row is None:
            rows[key] = list(added)
            return
        for at, n in enumerate(added):
            row[at] += n

    def without_zeros(self) -> "Cells":
        """Return the same without rows that came out 0."""
        sets = {cause: _without_zeros(families) for cause, families in self.sets.items()}
        seats = {cause: seats_without_zeros(families) for cause, families in self.seats.items()}
        return Cells(
            _without_zeros(self.sums),
            {cause: families for cause, families in sets.items() if families},
            {cause: families for cause, families in seats.items() if families},
            {cause: row for cause, row in self.causes.items() if any(row)},
            self.link_names,
            self.lists.without_zeros(),
        )

    def packed(self) -> bytes:
        """Return the same as bytes; ``unpacked`` reads them."""
        sums = [(name, list(rows.items())) for name, rows in self.sums.items()]
        sets = [
            (cause, name, list(rows.items()))
            for cause, families in self.sets.items()
            for name, rows in families.items()
        ]
        seats = [
            (cause, name, seat, list(members.items()))
            for cause, families in self.seats.items()
            for name, rows in families.items()
            for seat, members in rows.items()
        ]
        causes, names = list(self.causes.items()), list(self.link_names.items())
        return msgspec.msgpack.encode((sums, sets, seats, causes, names, self.lists.packed()))

    @classmethod
    def unpacked(cls, data: bytes) -> "Cells":
        """Return what was packed."""
        sums, sets, seats, causes, names, lists = msgspec.msgpack.decode(data)
        cells = cls.empty()
        for name, rows in sums:
            cells.sums[name] = {tuple(key): row for key, row in rows}
        for cause, name, rows in sets:
            families = cells.sets.setdefault(cause, {})
            families[name] = {tuple(key): tuple(row) for key, row in rows}
        for cause, name, seat, members in seats:
            rows = cells.seats.setdefault(cause, {}).setdefault(name, {})
            rows[tuple(seat)] = {member: tuple(row) for member, row in members}
        cells.causes.update(causes)
        cells.link_names.update((key, LinkName(*told)) for key, told in names)
        cells.lists = Lists.unpacked(lists)
        return cells

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        has_sums = self.sums or self.sets or self.seats or self.causes or self.link_names
        return not has_sums and self.lists.is_empty


RowT = TypeVar("RowT", Row, Sums)


def _without_zeros(families: Mapping[str, dict[Key, RowT]]) -> dict[str, dict[Key, RowT]]:
    kept = {
        name: {key: row for key, row in rows.items() if any(row)} for name, rows in families.items()
    }
    return {name: rows for name, rows in kept.items() if rows}
