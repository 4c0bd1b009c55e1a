"""`bluetick demo`: everything on this machine, one campaign through it, its report; then gone."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer
from rich.console import Console

from libs.bench.machine import MachineFailed, RunningMachine, ephemeral_machine
from libs.cli.gateway_channel import GatewayCaller
from libs.cli.own_name import own_name
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.cli.report import fetch_page
from libs.cli.simulate import print_verdict, run_with_progress
from libs.embedded.demo_accounts import signing_secret
from libs.embedded.surroundings import forget_servers
from libs.simulator.run import Verdict
from libs.simulator.simulation import Fallback, Simulation

_CAMPAIGN = "spring-sale"
# Whoever WhatsApp does not reach gets an SMS.
_FALLBACK = "generic"


def demo(
    messages: Annotated[int, typer.Option(min=1, max=1_000_000, help="Messages.")] = 12_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same campaign.")] = 2026,
) -> None:
    """Show it all in one go: start everything, send a campaign through the real doors with
    callbacks reordered and repeated, print the report, compare it with the truth, stop."""
    tolerate_plain_terminals()
    forget_servers(os.environ)  # a demo writes into nobody's database
    console = Console()
    started = time.monotonic()
    try:
        console.print("[dim]Starting PostgreSQL, NATS and four services ...[/]")
        with ephemeral_machine() as machine:
            console.print(f"[dim]Ready after {machine.start_s:.1f} s.[/]", highlight=False)
            verdict = _run_campaign(console, machine, messages, seed)
            console.print("[dim]Stopping ...[/]")
    except MachineFailed as error:
        typer.echo(f"The machine did not start:\n{error}", err=True)
        raise typer.Exit(1) from error
    console.print(f"[dim]All stopped, nothing left behind; {time.monotonic() - started:.0f} s.[/]")
    if verdict.differences:
        raise typer.Exit(1)
    _say_what_next(console)


def _run_campaign(console: Console, machine: RunningMachine, messages: int, seed: int) -> Verdict:
    simulation = Simulation(
        gateway=machine.gateway,
        ingest_url=machine.ingest,
        api_key=machine.api_key,
        secret=signing_secret("meta"),
        campaign_id=_CAMPAIGN,
        campaign_name="Spring sale: early access",
        message_count=messages,
        seed=seed,
        chaos="wild",
        fallback=Fallback(provider=_FALLBACK, secret=signing_secret(_FALLBACK)),
    )
    verdict = run_with_progress(simulation, console)
    console.print(fetch_page(GatewayCaller(machine.gateway, machine.api_key), _CAMPAIGN))
    print_verdict(console, simulation, verdict)
    return verdict


def _say_what_next(console: Console) -> None:
    name = own_name()
    console.print(f"\nNext: [bold]{name} up[/] keeps it running, and prints what to type.")
