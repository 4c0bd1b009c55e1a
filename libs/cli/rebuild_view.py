"""What ``bluetick verify`` and ``bluetick rebuild`` show."""

from __future__ import annotations

from bluetick.v1.rebuild_service_pb2 import RebuildResponse
from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text


def differences_table(done: RebuildResponse) -> RenderableType:
    """The numbers that differ, as many as the answer names."""
    title = f"{done.difference_count:,} numbers differ"
    if done.difference_count > len(done.differences):
        title += f", the first {len(done.differences):,}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("campaign", "family", "by", "number"):
        table.add_column(name)
    table.add_column("shown", justify="right")
    table.add_column("recounted", justify="right")
    for one in done.differences:
        table.add_row(
            escape(one.campaign_id),
            one.family,
            escape(", ".join(one.key)),
            one.sum,
            f"{one.shown:,}",
            f"[bold]{one.recounted:,}[/]",
        )
    return table


def summary(done: RebuildResponse, *, is_verify: bool) -> RenderableType:
    """One line."""
    counted = f"{done.message_count:,} messages counted"
    if not done.difference_count:
        return Text(f"✓ {counted}; every number is as it was shown.", style="green")
    if is_verify:
        text = (
            f"{counted}; {done.difference_count:,} numbers differ. `bluetick rebuild` mends them."
        )
        return Text(text, style="yellow")
    text = f"✓ {counted}; {done.difference_count:,} numbers were put right."
    return Text(text, style="green")
