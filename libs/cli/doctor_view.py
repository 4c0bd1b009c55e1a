"""What ``bluetick doctor`` shows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from libs.cli.doctor_signs import Sign, Verdict, worst

_MARKS = {Verdict.FINE: "[green]✓[/]", Verdict.ODD: "[yellow]▲[/]", Verdict.WRONG: "[red]✗[/]"}
_STYLES = {Verdict.FINE: "", Verdict.ODD: "yellow", Verdict.WRONG: "red"}
_ENDINGS = {
    Verdict.FINE: ("green", "All is well."),
    Verdict.ODD: ("yellow", "It works; something should be looked at."),
    Verdict.WRONG: ("red", "Something is wrong."),
}


def checkup_page(signs: Sequence[Sign]) -> RenderableType:
    """All that was looked at, then what to fix, most urgent first."""
    style, ending = _ENDINGS[worst(signs)]
    return Group(_table(signs), *_cures(signs), Text(ending, style=f"bold {style}"))


def _table(signs: Iterable[Sign]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for area, group in itertools.groupby(signs, key=lambda sign: sign.area):
        rows = list(group)
        for number, sign in enumerate(rows):
            table.add_row(
                escape(area) if number == 0 else "",
                _MARKS[sign.verdict],
                escape(sign.subject),
                Text(sign.says, style=_STYLES[sign.verdict]),
                end_section=number == len(rows) - 1,
            )
    return table


def _cures(signs: Sequence[Sign]) -> Iterable[RenderableType]:
    wanting = sorted(
        (sign for sign in signs if sign.cure), key=lambda sign: sign.verdict, reverse=True
    )
    if not wanting:
        return
    yield Text("What to fix", style="bold")
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for number, sign in enumerate(wanting, 1):
        name = f"{sign.area}: {sign.subject}"
        table.add_row(f"{number}.", escape(name), Text(sign.cure))
    yield table
    yield Text("")
