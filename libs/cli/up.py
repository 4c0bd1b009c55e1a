"""``bluetick up``: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from libs.cli.up_view import print_ready, say
from libs.embedded.data_folder import TemporaryFolder, keep
from libs.embedded.errors import EmbeddedError
from libs.embedded.machine import Description, Machine
from libs.embedded.surroundings import forget_postgres_defaults


def up(
    data_dir: Annotated[
        Path,
        typer.Option(envvar="BLUETICK_DATA_DIR", help="Folder for all data, keys and logs."),
    ] = Path(".bluetick"),
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Free ports, temporary data, gone at exit.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready.")
    ] = False,
) -> None:
    """Run database, broker and all services here, until Ctrl-C."""
    temporary = TemporaryFolder() if ephemeral else None
    if not ephemeral:
        keep(data_dir)
    if not os.environ.get("BLUETICK_DATABASE_URL"):
        forget_postgres_defaults(os.environ)
    folder = temporary.path / "data" if temporary else data_dir
    try:
        asyncio.run(_run(folder, is_ephemeral=ephemeral, as_json=as_json))
    except EmbeddedError as error:
        say(f"bluetick cannot start. {error.problem}\n{error.cure}")
        raise typer.Exit(1) from None
    finally:
        if temporary:
            temporary.remove()


async def _run(folder: Path, *, is_ephemeral: bool, as_json: bool) -> None:
    asked_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    machine = Machine(folder, is_ephemeral=is_ephemeral, say=say)
    ending = asyncio.create_task(asked_to_end.wait())
    starting = asyncio.create_task(machine.start())
    if not as_json:
        say("starting ...")
    await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()  # it stops what it had started
        await asyncio.gather(starting, return_exceptions=True)
        return
    description = starting.result()
    machine.supervise()
    _tell(description, folder, as_json=as_json)
    await ending
    if not as_json:
        say("stopping ...")
    await machine.stop()


def _tell(description: Description, folder: Path, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(description).decode() + "\n")
        sys.stdout.flush()
    else:
        print_ready(description, folder)
