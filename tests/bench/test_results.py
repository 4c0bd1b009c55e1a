"""Rows of the benchmark say what was measured, beside what, and whether it is enough."""

import io
import json

import pytest
from rich.console import Console

from libs.bench.page import PageUnfit, write_parts
from libs.bench.results import Floor, PartResult, Row, Skipped, Target, Unit, parts_json
from libs.cli.bench_view import cpu_table_of, table_of


def a_row(
    ours: float, target: Target | None, unit: Unit = Unit.PER_SECOND, floor: float | None = 200
) -> Row:
    floors = (Floor("bare", floor), Floor("barer", 400)) if floor else ()
    cpu_us = {"status": 12.5, "load": 3.0}
    return Row(
        path="door", unit=unit, ours=ours, floors=floors, target=target, cpu_us=cpu_us, per="event"
    )


@pytest.mark.parametrize(
    ("row", "is_met"),
    [
        (a_row(100, Target(100)), True),
        (a_row(99, Target(100)), False),
        (a_row(100, Target(0.5, of_floor=True)), True),
        (a_row(99, Target(0.5, of_floor=True)), False),
        (a_row(4, Target(4), Unit.MILLISECONDS), True),
        (a_row(5, Target(4), Unit.MILLISECONDS), False),
        (a_row(24, Target(24), Unit.MICROSECONDS), True),
        (a_row(251, Target(250), Unit.MEBIBYTES), False),
        (a_row(1.4, Target(1.3), Unit.TIMES), False),
        (a_row(-7, Target(1), Unit.MORE_PER_SECOND), True),
        (a_row(100, None), None),
        (a_row(100, Target(0.5, of_floor=True), floor=None), None),
    ],
)
def test_a_target_is_a_least_for_rates_and_a_most_for_times(row: Row, is_met: bool | None) -> None:
    """One comparison the wrong way round would praise every slow run."""
    assert row.is_met is is_met


def test_the_table_shows_floors_ours_ratio_target_and_verdict() -> None:
    """The ratio is what a person should look at; the rest says where it comes from."""
    out = io.StringIO()
    rows = [a_row(150, Target(0.5, of_floor=True)), a_row(3, None, Unit.SECONDS, floor=None)]

    Console(file=out, width=80).print(table_of(rows))

    text = out.getvalue()
    for cell in ("200/s bare", "400/s barer", "150/s", "0.75", "≥ 0.5 × floor", "yes", "3.0 s"):
        assert cell in text
    assert max(map(len, text.splitlines())) <= 80


def test_cpu_of_load_generators_is_shown_beside_that_of_services() -> None:
    """On a machine that all share, a load that is not counted flatters whoever is measured."""
    out = io.StringIO()

    Console(file=out, width=120).print(cpu_table_of([a_row(150, None)]))

    assert "12.5" in out.getvalue()
    assert "15.5" in out.getvalue()


def test_the_figures_are_plain_data() -> None:
    """Runs are compared by programs, too."""
    parts = [
        PartResult("door", rows=[a_row(150, Target(100))], skipped=[Skipped("peer", "not there")]),
        PartResult("whole", failure="NumbersDiffer: read is 3, must be 4"),
    ]

    data = json.loads(json.dumps(parts_json(parts, {"cores": "2"})))

    assert data["machine"] == {"cores": "2"}
    assert data["rows"][0]["ratio"] == 0.75
    assert data["rows"][0]["floors"] == {"bare": 200, "barer": 400}
    assert data["rows"][0]["is_met"] is True
    assert data["failures"] == {"whole": "NumbersDiffer: read is 3, must be 4"}
    assert data["skipped"] == [{"path": "peer", "why": "not there"}]


def test_a_part_is_written_into_its_place_and_nothing_else_changes() -> None:
    """Parts are measured apart: one must not wipe out what another said."""
    page = (
        "# Figures\n\n<!-- bench:door -->\nold\n<!-- /bench:door -->\nprose\n"
        "<!-- bench:whole -->\nkept\n<!-- /bench:whole -->\n"
    )
    row = a_row(99, Target(0.5, of_floor=True))
    part = PartResult("door", rows=[row], skipped=[Skipped("peer", "not there")])

    text = write_parts(page, [part], {"cores": "2", "date": "2026-11-29"}, "bluetick bench")

    assert "old" not in text
    assert "kept" in text
    assert "prose" in text
    assert (
        "| door | 99/s | 200/s bare<br>400/s barer | 0.49 | ≥ 0.5 × floor | **not met** |" in text
    )
    assert "Not measured: peer: not there." in text
    assert "2026-11-29" in text
    assert write_parts(text, [part], {"cores": "2", "date": "2026-11-29"}, "bluetick bench") == text


def test_a_page_without_a_place_is_refused_by_name() -> None:
    """Figures that vanish silently would be measured again for nothing."""
    with pytest.raises(PageUnfit, match="bench:door"):
        write_parts("# Figures\n", [PartResult("door")], {}, "bluetick bench")
