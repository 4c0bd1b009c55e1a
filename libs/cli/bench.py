"""`bluetick bench`: every path beside its floor, every number checked, in one table."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from libs.bench.dialects import DIALECT
from libs.bench.machine import MachineFailed
from libs.bench.page import PageUnfit, amount, write_parts
from libs.bench.results import PartResult, Row, Skipped, parts_json
from libs.bench.run import PARTS, machine_facts, run_benchmarks
from libs.bench.sizes import FULL, QUICK, TINY, Sizes
from libs.cli.bench_view import cpu_table_of, dialects_of, table_of
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.embedded.surroundings import forget_servers

_FEW_OF_STORED = 20  # growth begins at a twentieth of the stored messages


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Under two minutes.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Ten million messages in a campaign, twenty million stored."),
    ] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", hidden=True, help="Only to see that it works.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Parts: {', '.join(PARTS)}. May be given again.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Callbacks a second of the steady load.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Seconds of the steady load.")
    ] = None,
    stored: Annotated[
        int | None,
        typer.Option(min=1000, help="Messages stored in the end; half of them in one campaign."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the figures here, too.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, exists=True, help="Write each part into its place of this page, too."
        ),
    ] = None,
) -> None:
    """Measure every path beside the least that any program could do for the same work, in the
    same run. Figures on a shared machine are noise; the ratios are what to look at. A run in which
    a report says a wrong number fails, and says which."""
    if quick + full + tiny > 1:
        raise typer.BadParameter("choose one of --quick and --full")
    if unknown := set(only or ()) - set(PARTS):
        raise typer.BadParameter(f"no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    sizes = _sizes(FULL if full else TINY if tiny else QUICK, rate, seconds, stored)
    tolerate_plain_terminals()
    forget_servers(os.environ)  # a benchmark fills nobody's database
    console = Console()
    facts = machine_facts()
    try:
        parts = _run(sizes, only or [], console)
    except MachineFailed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    _print(parts, facts, console)
    if json_file is not None:
        json_file.write_text(json.dumps(parts_json(parts, facts), indent=2) + "\n")
    if failed := [part for part in parts if part.failure]:
        for part in failed:
            typer.echo(f"\nThe part {part.name} failed. {part.failure}", err=True)
        raise typer.Exit(1)
    if page is not None:
        _write_page(page, parts, facts)


def _sizes(sizes: Sizes, rate: float | None, seconds: float | None, stored: int | None) -> Sizes:
    if rate is not None:
        sizes = replace(sizes, rate=rate)
    if seconds is not None:
        sizes = replace(sizes, whole_s=seconds)
    if stored is not None:
        sizes = replace(
            sizes,
            stored_few=max(1, stored // _FEW_OF_STORED),
            stored_many=stored,
            campaign_messages=stored // 2,
        )
    return sizes


def _run(sizes: Sizes, only: list[str], console: Console) -> list[PartResult]:
    def watch(one: Row | Skipped) -> None:
        told = amount(one.ours, one.unit) if isinstance(one, Row) else f"skipped, {one.why}"
        console.print(f"[dim]{one.path}: {told}[/]", highlight=False)

    with console.status("") as status:
        return run_benchmarks(
            sizes,
            only,
            say=lambda text: status.update(f"Measuring: {text} ..."),
            watch=watch,
        )


def _print(parts: list[PartResult], facts: dict[str, str], console: Console) -> None:
    rows = [row for part in parts for row in part.rows]
    dialects = [row for row in rows if row.path.startswith(DIALECT)]
    others = [row for row in rows if not row.path.startswith(DIALECT)]
    console.print()
    console.print(table_of(others))
    if any(row.cpu_us for row in others):
        console.print()
        console.print(cpu_table_of(others))
    if dialects:
        console.print("\nThe door in each provider's format, beside Meta's", style="bold")
        console.print("statuses for each second of the door's CPU time\n", style="dim")
        console.print(dialects_of(dialects, DIALECT))
    console.print()
    facts_line = " · ".join(f"{name} {value}" for name, value in facts.items())
    console.print(facts_line, style="dim", highlight=False)


def _write_page(page: Path, parts: list[PartResult], facts: dict[str, str]) -> None:
    # What was asked for, without where the results go.
    asked = " ".join(sys.argv[1:]).replace(f"--page {page}", "").split(" --json ")[0].strip()
    try:
        page.write_text(write_parts(page.read_text(), parts, facts, f"bluetick {asked}"))
    except PageUnfit as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
