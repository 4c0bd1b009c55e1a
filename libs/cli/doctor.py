"""``bluetick doctor``: looks at everything and says what to fix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from libs.cli.doctor_accounts import tenant_account_signs
from libs.cli.doctor_addresses import Addresses
from libs.cli.doctor_broker import broker_signs
from libs.cli.doctor_callbacks import callback_signs
from libs.cli.doctor_database import database_signs
from libs.cli.doctor_files import account_signs, key_signs
from libs.cli.doctor_services import service_signs
from libs.cli.doctor_signs import Sign, Verdict, worst
from libs.cli.doctor_view import checkup_page
from libs.cli.plain_terminal import tolerate_plain_terminals


def doctor(
    data_dir: Annotated[
        Path,
        typer.Option(envvar="BLUETICK_DATA_DIR", help="Folder of the `bluetick up` to look at."),
    ] = Path(".bluetick"),
    gateway: Annotated[
        str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.", show_default=False)
    ] = "",
    ingest: Annotated[
        str, typer.Option(envvar="BLUETICK_INGEST", help="Callback door, URL.", show_default=False)
    ] = "",
    api_key: Annotated[
        str,
        typer.Option(envvar="BLUETICK_API_KEY", help="API key, SENDER or ADMIN: whose callbacks."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The signs as JSON.")] = False,
) -> None:
    """Look at broker, database, services, accounts, keys and callbacks, and say what to fix.
    Looks where BLUETICK_* says, else at the `bluetick up` of the data folder. Exit code 1 if
    something is wrong."""
    addresses = Addresses(data_dir, gateway=gateway, ingest=ingest.rstrip("/"), api_key=api_key)
    signs = asyncio.run(_look(addresses))
    if as_json:
        typer.echo(msgspec.json.encode([_plain(sign) for sign in signs]).decode())
    else:
        tolerate_plain_terminals()
        if addresses.machine is None:
            where = f"No `bluetick up` runs in {data_dir}: looking where BLUETICK_* says, else at "
            typer.echo(f"{where}the default addresses.", err=True)
        Console().print(checkup_page(signs))
    if worst(signs) is Verdict.WRONG:
        raise typer.Exit(1)


async def _look(addresses: Addresses) -> list[Sign]:
    settings = addresses.settings
    areas = await asyncio.gather(
        broker_signs(settings),
        database_signs(settings.database_url),
        asyncio.to_thread(service_signs, addresses.ready_urls, str(addresses.folder)),
        asyncio.to_thread(account_signs, settings, addresses.ingest),
        asyncio.to_thread(tenant_account_signs, addresses.gateway, addresses.api_key),
        asyncio.to_thread(key_signs, settings),
        asyncio.to_thread(callback_signs, addresses.gateway, addresses.api_key),
    )
    return [sign for area in areas for sign in area]


def _plain(sign: Sign) -> dict[str, str]:
    return {
        "area": sign.area,
        "subject": sign.subject,
        "verdict": sign.verdict.name,
        "says": sign.says,
        "cure": sign.cure,
    }
