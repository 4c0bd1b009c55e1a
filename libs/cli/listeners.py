"""``bluetick listeners``: what a broker's configuration must say of other teams' consumers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.runtime.accounts import AccountsProblem
from libs.runtime.listeners import broker_accounts, load_listeners


def listeners(
    file: Annotated[
        Path, typer.Argument(help="The listeners file that status has, too.", dir_okay=False)
    ],
    user: Annotated[str, typer.Option(help="User of Bluetick's own services.")] = "bluetick",
) -> None:
    """Print the accounts of a NATS server: Bluetick's own, and one for each listener.

    Passwords are left to the server's environment: NATS_PASSWORD, and for a listener
    LISTENER_<NAME>_PASSWORD.
    """
    try:
        found = load_listeners(str(file))
    except AccountsProblem as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
    words = {
        one: f"$LISTENER_{re.sub('[^A-Z0-9]', '_', one.name.upper())}_PASSWORD" for one in found
    }
    typer.echo("accounts " + _block(broker_accounts(user, "$NATS_PASSWORD", words)))


def _block(value: Any, indent: str = "") -> str:
    """Return it in the server's own notation, in which a word with a $ is a variable."""
    inner = indent + "    "
    if isinstance(value, dict):
        lines = [f"{inner}{name}: {_block(each, inner)}" for name, each in value.items()]
        return "\n".join(["{", *lines, indent + "}"])
    if isinstance(value, list):
        return "\n".join(["[", *(inner + _block(each, inner) for each in value), indent + "]"])
    if isinstance(value, str) and re.fullmatch(r"\$[A-Z0-9_]+", value):
        return value
    return json.dumps(value)
