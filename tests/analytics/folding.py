"""Folds changes without a database, and spells the cells out so that they can be compared."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from bluetick.v1 import change_pb2

from services.analytics.domain.cells import Cells
from services.analytics.domain.change_view import PlainBatchView
from services.analytics.domain.families.family import Family
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.folder import Folder
from services.analytics.domain.frames import Frame, FrameBook
from services.analytics.domain.links import link_key
from services.analytics.domain.moves import Planner
from tests.analytics.building import TENANT
from tests.analytics.oracle import TABLES, Rows, without_zeros

# Plans are made once.
_PLANNERS: dict[tuple[Family, ...], Planner] = {}


class Numbers:
    """Stands for the dictionary: numbers in any order, and what they stand for."""

    def __init__(self) -> None:
        self.scopes: dict[int, tuple[Any, ...]] = {}
        self.names: dict[int, str] = {}
        self.values: dict[int, str] = {}

    def resolve(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            frame.scope_id = _number(self.scopes, tuple(frame.dimensions))
            frame.attribute_ids = tuple(
                (_number(self.names, name), _number(self.values, value))
                for name, value in frame.attributes
            )


def _number(known: dict[int, Any], value: Any) -> int:
    for number, other in known.items():
        if other == value:
            return number
    known[len(known) + 1] = value
    return len(known)


class Folded:
    """Cells of some changes."""

    def __init__(self, families: tuple[Family, ...] = FAMILIES) -> None:
        self.families = families
        self.numbers = Numbers()
        self.folder = Folder(_PLANNERS.setdefault(families, Planner(families)), FrameBook())

    def add(self, changes: Iterable[change_pb2.MessageChanged]) -> "Folded":
        batch = change_pb2.MessageChangedBatch(tenant_id=TENANT, changes=list(changes))
        data = batch.SerializeToString()
        self.folder.add_batch(PlainBatchView.FromString(data), data)
        return self

    def cells(self) -> dict[str, Cells]:
        """Return the cells by campaign."""
        self.numbers.resolve(self.folder.unresolved)
        return {campaign_id: cells for (_, campaign_id), cells in self.folder.cells().items()}

    def tables(self) -> dict[str, Rows]:
        """Return the rows of each family as the oracle spells them; sets by their sizes."""
        tables: dict[str, Rows] = {}
        for campaign_id, cells in self.cells().items():
            for family in self.families:
                if family.name not in TABLES:
                    continue
                if family.seat:
                    _add_seats(tables, campaign_id, cells, family)
                    continue
                rows = tables.setdefault(family.name, {})
                for key, row in _rows(cells, family):
                    spelled = (campaign_id, *self._spelled(family.name, key))
                    rows.setdefault(spelled, Counter()).update(
                        dict(zip(family.sums, row, strict=True))
                    )
        return {table: kept for table, rows in tables.items() if (kept := without_zeros(rows))}

    def _spelled(self, table: str, key: tuple[Any, ...]) -> tuple[Any, ...]:
        if table == "quarters":
            return (*key[:2], self.numbers.scopes[key[2]])
        if table == "attributes":
            return self.numbers.names[key[0]], self.numbers.values[key[1]], *key[2:]
        if table in ("links", "link_people"):
            return LINKS[key[0]], *key[1:]
        return key


def _add_seats(tables: dict[str, Rows], campaign_id: str, cells: Cells, family: Family) -> None:
    """Count each member once in the whole, and once in each word of each column of its seats."""
    members: dict[tuple[Any, ...], dict[bytes, Counter[str]]] = {}
    for families in cells.seats.values():
        for seat, people in families.get(family.name, {}).items():
            parts = [
                ("part_" + family.name, campaign_id, at, word) for at, word in enumerate(seat, 1)
            ]
            for key in [(family.name, campaign_id), *(part for part in parts if part[-1])]:
                for person, row in people.items():
                    sums = members.setdefault(key, {}).setdefault(person, Counter())
                    sums.update(dict(zip(family.sums, row, strict=True)))
    for (table, *key), people in members.items():
        rows = tables.setdefault(table, {}).setdefault(tuple(key), Counter())
        for sums in people.values():
            rows.update({name: int(n > 0) for name, n in sums.items()})


def _rows(cells: Cells, family: Family) -> Iterable[tuple[tuple[Any, ...], list[int]]]:
    if family.member is None:
        return cells.sums.get(family.name, {}).items()
    members: dict[tuple[Any, ...], list[int]] = {}
    for families in cells.sets.values():
        for key, row in families.get(family.name, {}).items():
            known = members.setdefault(key, [0] * len(row))
            members[key] = [a + b for a, b in zip(known, row, strict=True)]
    return [(key[:-1], [int(n > 0) for n in row]) for key, row in members.items()]


class _Links(dict[bytes, tuple[Any, ...]]):
    """Keys of the few links that the tests click, as the oracle spells them."""

    def __init__(self) -> None:
        from bluetick.v1.event_pb2 import Engagement

        for link in ("x", "y", "L1", "L2"):
            for card in range(2):
                key = link_key(Engagement(link_id=link, card_index=card))
                self[key] = (False, card, True, link)


LINKS = _Links()
