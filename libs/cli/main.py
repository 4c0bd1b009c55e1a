"""The program ``bluetick``: a table of commands, each imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

# Name on the command line -> module and function. The modules pull in gRPC, rich and more; a
# command pays only for its own.
COMMANDS = {
    "up": "libs.cli.up:up",
    "demo": "libs.cli.demo:demo",
    "simulate": "libs.cli.simulate:simulate",
    "report": "libs.cli.report:report",
    "export": "libs.cli.export:export",
    "replay": "libs.cli.replay:replay",
    "accounts": "libs.cli.accounts:accounts",
    "keys": "libs.cli.keys:keys",
    "verify": "libs.cli.rebuild:verify",
    "rebuild": "libs.cli.rebuild:rebuild",
    "listeners": "libs.cli.listeners:listeners",
    "doctor": "libs.cli.doctor:doctor",
    "bench": "libs.cli.bench:bench",
    "migrate": "libs.cli.migrate:migrate",
    "ingest": "libs.cli.services:ingest",
    "status": "libs.cli.services:status",
    "analytics": "libs.cli.services:analytics",
    "gateway": "libs.cli.services:gateway",
}


def program(arguments: Sequence[str]) -> typer.Typer:
    """Return the program with the command that ``arguments`` call for, or with all (for help)."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="What became of your messages: states, events and campaign numbers.",
    )
    app.callback()(_bluetick)
    called = [name for name in arguments[:1] if name in COMMANDS]
    for name in called or COMMANDS:
        module, function = COMMANDS[name].split(":")
        command = getattr(import_module(module), function)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _bluetick() -> None:
    """Hold the commands: without it a program of one command would take no command's name."""


def main() -> None:
    """Run the command line."""
    program(sys.argv[1:])(prog_name="bluetick")


if __name__ == "__main__":
    main()
