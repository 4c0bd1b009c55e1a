"""What was measured, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from libs.bench.page import amount, cpu_cells, cpu_heads, target_text
from libs.bench.results import Row


def table_of(rows: Sequence[Row]) -> Table:
    """The table; the floors stand beneath their paths, the ratio is to the first."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("path")
    for name in ("ours", "ratio", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", justify="center", no_wrap=True)
    for row in rows:
        path = Text(row.path)
        for floor in row.floors:
            path.append(f"\n  {amount(floor.value, row.unit)} {floor.name}", style="dim")
        table.add_row(
            path,
            Text(amount(row.ours, row.unit), style="bold"),
            f"{row.ratio:.2f}" if row.ratio is not None else "–",
            target_text(row.target, row.unit),
            _met(row.is_met),
        )
    return table


def cpu_table_of(rows: Sequence[Row]) -> Table:
    """CPU microseconds for each thing, by process: load generators as well."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("CPU us")
    for name in cpu_heads():
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.cpu_us:
            table.add_row(f"{row.path}, a {row.per}", *cpu_cells(row))
    return table


def dialects_of(rows: Sequence[Row], begins: str) -> Table:
    """One line a provider's format; the floor of all is Meta's format in the same minute."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("provider, channel, statuses a request")
    for name in ("Meta's", "theirs", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", justify="center", no_wrap=True)
    for row in rows:
        table.add_row(
            row.path.removeprefix(begins),
            f"{row.floors[0].value:,.0f}" if row.floors else "–",
            Text(f"{row.ours:,.0f}", style="bold"),
            f"{row.ratio:.2f}" if row.ratio is not None else "–",
            _met(row.is_met),
        )
    return table


def _met(is_met: bool | None) -> Text:
    if is_met is None:
        return Text("–", style="dim")
    return Text("yes", style="green") if is_met else Text("no", style="yellow")
