"""`bluetick bench`: every path beside its floor, in one table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.bench.machine import MachineFailed
from libs.bench.results import Row, Target, Unit, rows_json
from libs.bench.run import machine_facts, run_benchmarks
from libs.bench.sizes import FULL, QUICK, TINY, Sizes
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.embedded.surroundings import forget_servers

# How the paths of the rows about providers' formats begin.
_DIALECT = "door: "


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Under two minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="More rounds, longer load.")] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", hidden=True, help="Only to see that it works.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the figures here, too.")
    ] = None,
) -> None:
    """Measure every path beside the least that any program could do for the same work, in the
    same run. Figures on a shared machine are noise; the ratios are what to look at."""
    if quick + full + tiny > 1:
        raise typer.BadParameter("choose one of --quick and --full")
    sizes = FULL if full else TINY if tiny else QUICK
    tolerate_plain_terminals()
    forget_servers(os.environ)  # a benchmark fills nobody's database
    console = Console()
    facts = machine_facts()
    try:
        rows = _run(sizes, console)
    except (MachineFailed, TimeoutError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    console.print(table_of([row for row in rows if not _is_dialect(row)]))
    if dialects := [row for row in rows if _is_dialect(row)]:
        console.print("\nThe door in each provider's format, beside Meta's", style="bold")
        console.print("statuses for each second of the door's CPU time\n", style="dim")
        console.print(dialects_of(dialects))
    console.print()
    console.print(_facts_line(facts))
    if json_file is not None:
        json_file.write_text(json.dumps(rows_json(rows, facts), indent=2) + "\n")


def table_of(rows: list[Row]) -> Table:
    """The table; the floors' names stand beneath their paths."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("path")
    for name in ("floor", "ours", "ratio", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", justify="center", no_wrap=True)
    for row in rows:
        path = Text(row.path)
        if row.floor_name:
            path.append(f"\nfloor: {row.floor_name}", style="dim")
        table.add_row(
            path,
            _amount(row.floor, row.unit),
            Text(_amount(row.ours, row.unit), style="bold"),
            f"{row.ratio:.2f}" if row.ratio is not None else "–",
            _target(row.target, row.unit),
            _met(row.is_met),
        )
    return table


def _is_dialect(row: Row) -> bool:
    return row.path.startswith(_DIALECT)


def dialects_of(rows: list[Row]) -> Table:
    """One line a provider's format; the floor of all is Meta's format in the same minute."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("provider, channel, statuses a request")
    for name in ("Meta's", "theirs", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", justify="center", no_wrap=True)
    for row in rows:
        table.add_row(
            row.path.removeprefix(_DIALECT),
            f"{row.floor:,.0f}" if row.floor is not None else "–",
            Text(f"{row.ours:,.0f}", style="bold"),
            f"{row.ratio:.2f}" if row.ratio is not None else "–",
            _met(row.is_met),
        )
    return table


def _run(sizes: Sizes, console: Console) -> list[Row]:
    with console.status("") as status:
        return run_benchmarks(
            sizes,
            say=lambda text: status.update(f"Measuring: {text} ..."),
            watch=lambda row: console.print(
                f"[dim]{row.path}: {_amount(row.ours, row.unit)}[/]", highlight=False
            ),
        )


def _amount(value: float | None, unit: Unit) -> str:
    if value is None:
        return "–"
    if unit in (Unit.PER_SECOND, Unit.PER_CPU_SECOND):
        return f"{value:,.0f}{unit.value[0]}"
    return f"{value:,.{0 if value >= 100 else 1}f} {unit.value[0]}"


def _target(target: Target | None, unit: Unit) -> str:
    if target is None:
        return "–"
    sign = "≥" if unit.more_is_better else "≤"
    return (
        f"{sign} {target.value:g} ×" if target.of_floor else f"{sign} {_amount(target.value, unit)}"
    )


def _met(is_met: bool | None) -> Text:
    if is_met is None:
        return Text("–", style="dim")
    return Text("yes", style="green") if is_met else Text("no", style="yellow")


def _facts_line(facts: dict[str, str]) -> Text:
    return Text(" · ".join(f"{name} {value}" for name, value in facts.items()), style="dim")
