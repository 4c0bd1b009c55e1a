"""What was measured, as rows: for people and for machines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Unit(Enum):
    """Unit of a row, and whether more of it is better."""

    PER_SECOND = ("/s", True)
    PER_CPU_SECOND = ("/CPU s", True)
    MICROSECONDS = ("us", False)
    MILLISECONDS = ("ms", False)
    SECONDS = ("s", False)
    MEBIBYTES = ("MiB", False)
    TIMES = ("x", False)  # one time as a multiple of another
    MORE_PER_SECOND = ("more/s", False)  # how fast something grows that should not

    @property
    def more_is_better(self) -> bool:
        """False for times."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Target:
    """At least (or at most, for times) `value`; `of_floor`: as a multiple of the first floor."""

    value: float
    of_floor: bool = False


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that any program could do for the same work, in the unit of its row."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One path beside its floors, all measured in the same run."""

    path: str
    unit: Unit
    ours: float
    floors: tuple[Floor, ...] = ()
    target: Target | None = None
    # CPU microseconds for each `per` ("callback"), by process; empty: not measured here.
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    per: str = ""
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours divided by the first floor; above 1 is better for rates, worse for times."""
        return self.ours / self.floors[0].value if self.floors and self.floors[0].value else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None if there is none, or nothing to compare with."""
        if self.target is None:
            return None
        measured = self.ratio if self.target.of_floor else self.ours
        if measured is None:
            return None
        if self.unit.more_is_better:
            return measured >= self.target.value
        return measured <= self.target.value


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was not measured, and why."""

    path: str
    why: str


@dataclass(slots=True)
class PartResult:
    """What came of one part of a run. `failure` is empty unless its numbers or its run failed."""

    name: str
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0


def parts_json(parts: Sequence[PartResult], facts: dict[str, str]) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "machine": facts,
        "failures": {part.name: part.failure for part in parts if part.failure},
        "seconds": {part.name: part.seconds for part in parts},
        "skipped": [{"path": one.path, "why": one.why} for part in parts for one in part.skipped],
        "rows": [_row_json(part.name, row) for part in parts for row in part.rows],
    }


def _row_json(part: str, row: Row) -> dict[str, Any]:
    return {
        "part": part,
        "path": row.path,
        "unit": row.unit.value[0],
        "ours": row.ours,
        "floors": {floor.name: floor.value for floor in row.floors},
        "ratio": row.ratio,
        "target": row.target.value if row.target else None,
        "target_is_of_floor": row.target.of_floor if row.target else False,
        "is_met": row.is_met,
        "cpu_us_per": row.per,
        "cpu_us": dict(row.cpu_us),
        "notes": dict(row.notes),
    }
