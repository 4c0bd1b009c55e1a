"""``bluetick migrate``: the database's schema up to date."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from libs.runtime.migrate import OWNERS, run_migrations, wait_for_database
from libs.runtime.settings import RuntimeSettings, load

_PATIENCE_S = 60.0


def migrate(
    service: Annotated[
        str | None, typer.Argument(help="status, analytics or ingest.", show_default="all")
    ] = None,
) -> None:
    """Bring the schema in BLUETICK_DATABASE_URL up to date, of all services or of one."""
    if service is not None and service not in OWNERS:
        typer.echo(f"{service} owns no tables; {', '.join(OWNERS)} do.", err=True)
        raise typer.Exit(2)
    url = load(RuntimeSettings).database_url
    try:
        asyncio.run(wait_for_database(url, _PATIENCE_S))
    except TimeoutError:
        typer.echo("BLUETICK_DATABASE_URL: no PostgreSQL answers there.", err=True)
        raise typer.Exit(1) from None
    for owner in (service,) if service else OWNERS:
        run_migrations(owner, url)
        typer.echo(f"{owner}: schema up to date")
