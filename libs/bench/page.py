"""The measured parts as Markdown, each in its place of a page. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from libs.bench.results import PartResult, Row, Target, Unit

_FACTS = ("cores", "processor", "memory", "python")
# Load generators and whoever keeps the others running are counted, too.
_PROCESSES = (
    "ingest",
    "status",
    "analytics",
    "gateway",
    "postgres",
    "nats",
    "up",
    "load",
    "bench",
)


class PageUnfit(Exception):
    """The page has no place for a part; the text says what to add."""


def write_parts(
    page: str, parts: Sequence[PartResult], facts: Mapping[str, str], command: str
) -> str:
    """The page with each part's rows in its place, between its two comments.

    Raises:
        PageUnfit: a part has no place.
    """
    for part in parts:
        begin, end = f"<!-- bench:{part.name} -->", f"<!-- /bench:{part.name} -->"
        place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = f"{begin}\n{_part(part, facts, command)}\n{end}"
        found = place.search(page)
        if found is None:
            raise PageUnfit(f"The page needs a line {begin} and a line {end}.")
        page = f"{page[: found.start()]}{text}{page[found.end() :]}"
    return page


def amount(value: float | None, unit: Unit) -> str:
    """A figure with its unit, as exact as it is."""
    if value is None:
        return "–"
    if unit in (Unit.PER_SECOND, Unit.PER_CPU_SECOND):
        return f"{value:,.0f}{unit.value[0]}"
    if unit is Unit.TIMES:
        return f"{value:.2f} ×"
    return f"{value:,.{0 if abs(value) >= 100 else 1}f} {unit.value[0]}"


def target_text(target: Target | None, unit: Unit) -> str:
    """A target with its direction."""
    if target is None:
        return "–"
    sign = "≥" if unit.more_is_better else "≤"
    if target.of_floor:
        return f"{sign} {target.value:g} × floor"
    return f"{sign} {amount(target.value, unit)}"


def cpu_cells(row: Row) -> list[str]:
    """CPU microseconds by process, then their sum."""
    cells = [_us(row.cpu_us.get(name)) for name in _PROCESSES]
    return [*cells, _us(sum(row.cpu_us.values()))]


def cpu_heads() -> list[str]:
    """What stands above `cpu_cells`."""
    return [*_PROCESSES, "all"]


def _part(part: PartResult, facts: Mapping[str, str], command: str) -> str:
    machine = ", ".join(f"{name} {facts[name]}" for name in _FACTS if name in facts)
    lines = [f"{facts.get('date', '')}, `{command}`, {part.seconds:,.0f} s; {machine}.", ""]
    rows = [
        [
            row.path,
            amount(row.ours, row.unit),
            "<br>".join(f"{amount(floor.value, row.unit)} {floor.name}" for floor in row.floors)
            or "–",
            f"{row.ratio:.2f}" if row.ratio is not None else "–",
            target_text(row.target, row.unit),
            {True: "met", False: "**not met**", None: "–"}[row.is_met],
        ]
        for row in part.rows
    ]
    lines += _table(["path", "ours", "floors", "ratio", "target", ""], rows)
    lines += [f"Not measured: {one.path}: {one.why}." for one in part.skipped]
    if costly := [row for row in part.rows if row.cpu_us]:
        lines += ["", "CPU microseconds, by process:", ""]
        cells = [[f"{row.path}, a {row.per}", *cpu_cells(row)] for row in costly]
        lines += _table(["", *cpu_heads()], cells)
    return "\n".join(lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    return [_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _us(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"
