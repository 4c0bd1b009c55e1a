"""What ``bluetick up`` shows to a person."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from libs.cli.own_name import own_name
from libs.embedded.demo_accounts import ACCOUNT
from libs.embedded.machine import Description


def say(line: str) -> None:
    """One line on stderr; stdout belongs to the answer."""
    Console(stderr=True, highlight=False, markup=False).print(line, style="dim", soft_wrap=True)


def print_ready(description: Description, folder: Path) -> None:
    """Addresses, a ready-made key and what to do next, on stdout."""
    console = Console(highlight=False)
    console.print(
        Panel.fit(
            _addresses(description, folder),
            title="[bold green]bluetick is up[/]",
            subtitle="Ctrl-C stops it",
            padding=(1, 2),
        )
    )
    if description.api_keys:
        key = description.api_keys["admin"]
        console.print("\nTo try it, in another terminal:\n")
        for line in (
            f"export BLUETICK_API_KEY={key}",
            f"export BLUETICK_GATEWAY={description.gateway}",
            f"export BLUETICK_INGEST={description.ingest}",
            f"{own_name()} simulate",
        ):
            console.print(f"  [cyan]{line}[/]", soft_wrap=True)


def _addresses(description: Description, folder: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("gRPC gateway", description.gateway)
    table.add_row("web", description.web)
    table.add_row("callbacks", f"{description.ingest}/callbacks/[italic]provider[/]/{ACCOUNT}")
    table.add_row("tenant", description.tenant)
    for role, key in description.api_keys.items():
        table.add_row(f"{role} key", f"[yellow]{key}[/]")
    table.add_row("PostgreSQL", _without_password(description.postgres))
    table.add_row("NATS", _without_password(description.nats))
    table.add_row("data and logs", str(folder.absolute()))
    return table


def _without_password(url: str) -> str:
    """For the screen; the whole address is in the data folder, or with whoever gave it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"
