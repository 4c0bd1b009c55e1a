"""What was measured, as rows: for people and for machines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Unit(Enum):
    """Unit of a row, and whether more of it is better."""

    PER_SECOND = ("/s", True)
    PER_CPU_SECOND = ("/CPU s", True)
    MILLISECONDS = ("ms", False)
    SECONDS = ("s", False)

    @property
    def more_is_better(self) -> bool:
        """False for times."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Target:
    """At least (or at most, for times) `value`; `of_floor`: as a multiple of the floor."""

    value: float
    of_floor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One path beside its floor, both measured in the same run. None: there is no floor."""

    path: str
    unit: Unit
    ours: float
    floor: float | None = None
    floor_name: str = ""
    target: Target | None = None
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours divided by the floor; above 1 is better for rates, worse for times."""
        return self.ours / self.floor if self.floor else None

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


def rows_json(rows: Sequence[Row], facts: dict[str, str]) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "machine": facts,
        "rows": [
            {
                "path": row.path,
                "unit": row.unit.value[0],
                "floor": row.floor,
                "floor_name": row.floor_name,
                "ours": row.ours,
                "ratio": row.ratio,
                "target": row.target.value if row.target else None,
                "target_is_of_floor": row.target.of_floor if row.target else False,
                "is_met": row.is_met,
                "notes": row.notes,
            }
            for row in rows
        ],
    }
