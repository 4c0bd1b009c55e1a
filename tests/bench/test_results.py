"""Rows of the benchmark say what was measured, beside what, and whether it is enough."""

import io
import json

import pytest
from rich.console import Console

from libs.bench.results import Row, Target, Unit, rows_json
from libs.cli.bench import table_of


def a_row(
    ours: float, target: Target | None, unit: Unit = Unit.PER_SECOND, floor: float | None = 200
) -> Row:
    return Row(path="door", unit=unit, ours=ours, floor=floor, floor_name="bare", target=target)


@pytest.mark.parametrize(
    ("row", "is_met"),
    [
        (a_row(100, Target(100)), True),
        (a_row(99, Target(100)), False),
        (a_row(100, Target(0.5, of_floor=True)), True),
        (a_row(99, Target(0.5, of_floor=True)), False),
        (a_row(4, Target(4), Unit.MILLISECONDS), True),
        (a_row(5, Target(4), Unit.MILLISECONDS), False),
        (a_row(100, None), None),
        (a_row(100, Target(0.5, of_floor=True), floor=None), None),
    ],
)
def test_a_target_is_a_least_for_rates_and_a_most_for_times(row: Row, is_met: bool | None) -> None:
    """One comparison the wrong way round would praise every slow run."""
    assert row.is_met is is_met


def test_the_table_shows_floor_ours_ratio_target_and_verdict() -> None:
    """The ratio is what a person should look at; the rest says where it comes from."""
    out = io.StringIO()
    rows = [a_row(150, Target(0.5, of_floor=True)), a_row(3, None, Unit.SECONDS, floor=None)]

    Console(file=out, width=80).print(table_of(rows))

    text = out.getvalue()
    assert "floor: bare" in text
    for cell in ("200/s", "150/s", "0.75", "≥ 0.5 ×", "yes", "3.0 s"):
        assert cell in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_figures_are_plain_data() -> None:
    """Runs are compared by programs, too."""
    data = json.loads(json.dumps(rows_json([a_row(150, Target(100))], {"cores": "2"})))

    assert data["machine"] == {"cores": "2"}
    assert data["rows"][0]["ratio"] == 0.75
    assert data["rows"][0]["is_met"] is True
