"""`bluetick simulate`: a campaign with known truth, told as a provider tells it, and judged."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as ProgressBar,
)
from rich.table import Table

from libs.cli.gateway_channel import DEFAULT_GATEWAY, explain
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.embedded.demo_accounts import signing_secret
from libs.simulator.chaos import LEVELS
from libs.simulator.door import DoorClosed
from libs.simulator.facts import Channel
from libs.simulator.gateway import RecordRefused
from libs.simulator.registry import PROVIDERS, channels_of, every_channel
from libs.simulator.run import Progress, Verdict
from libs.simulator.run import simulate as run_simulation
from libs.simulator.simulation import Simulation, usual_fallback

_ALL = "all"
_MESSAGES = 10_000
_MESSAGES_OF_ALL = 200  # each
_DIFFERENCES_MAX = 40


def simulate(
    gateway: Annotated[
        str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")
    ] = DEFAULT_GATEWAY,
    ingest: Annotated[
        str, typer.Option(envvar="BLUETICK_INGEST", help="Callback door, http://host:port.")
    ] = "http://127.0.0.1:8080",
    api_key: Annotated[
        str, typer.Option(envvar="BLUETICK_API_KEY", help="API key; ADMIN, or SENDER.")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            envvar="BLUETICK_APP_SECRET",
            help="What callbacks are proven with: a shared secret, 'user:password', "
            "'Header: value' or a private key (PEM). Empty: that of the demo account.",
        ),
    ] = "",
    public_url: Annotated[
        str,
        typer.Option(
            envvar="BLUETICK_PUBLIC_URL",
            help="What providers call, if it is not --ingest: some signatures cover it.",
        ),
    ] = "",
    messages: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help=f"Messages; 0: {_MESSAGES:,}, or {_MESSAGES_OF_ALL} each for all providers.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same campaign.")] = 1,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second; 0: as fast as they are taken.")
    ] = 0.0,
    provider: Annotated[
        str, typer.Option(help=f"One of: {', '.join(PROVIDERS)}; or {_ALL}, one after the other.")
    ] = "meta",
    channel: Annotated[
        str,
        typer.Option(help=f"One of: {', '.join(Channel)}; empty: the provider's usual one."),
    ] = "",
    account: Annotated[str, typer.Option(help="Account at the provider.")] = "acct_1",
    campaign: Annotated[
        str, typer.Option(help="Campaign id; empty: a new one. Use an id once.")
    ] = "",
    chaos: Annotated[str, typer.Option(help=f"One of: {', '.join(LEVELS)}.")] = "mild",
    truth: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the truth to this JSON file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Send a synthetic campaign through the real doors, reordered, repeated and delayed, and
    compare the report with the truth. Exits 1 if a single number differs."""
    _refuse_unknown("provider", provider, [*PROVIDERS, _ALL])
    _refuse_unknown("chaos", chaos, LEVELS)
    if provider == _ALL and (channel or secret or truth):
        raise typer.BadParameter(f"not with --provider {_ALL}", param_hint="channel, secret, truth")
    is_all = provider == _ALL
    count = messages or (_MESSAGES_OF_ALL if is_all else _MESSAGES)
    simulation = Simulation(
        gateway=gateway,
        ingest_url=ingest.rstrip("/"),
        public_url=public_url.rstrip("/"),
        api_key=api_key,
        secret=secret,
        campaign_id=campaign or f"sim-{seed}-{int(time.time()):x}",
        message_count=count,
        seed=seed,
        rate=rate,
        account=account,
        chaos=chaos,
        wait_max_s=max(60.0, count / 500),
    )
    tolerate_plain_terminals()
    console = Console(stderr=as_json)
    told = every_channel() if is_all else [(provider, _channel_of(provider, channel))]
    one_by_one = [_of_channel(simulation, *pair, is_one=not is_all) for pair in told]
    verdicts = [_judge(one, console, is_quiet=as_json) for one in one_by_one]
    pairs = list(zip(one_by_one, verdicts, strict=True))
    if truth is not None:
        truth.write_text(json.dumps(truth_json(*pairs[0]), indent=2) + "\n")
    if as_json:
        said = [verdict_json(*pair) for pair in pairs]
        typer.echo(json.dumps(said if is_all else said[0], indent=2))
    if any(verdict.differences for verdict in verdicts):
        raise typer.Exit(1)


def _refuse_unknown(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is none of: {', '.join(known)}", param_hint=name)


def _channel_of(provider: str, channel: str) -> Channel:
    known = channels_of(provider)
    _refuse_unknown("channel", channel or known[0], known)
    return Channel(channel or known[0])


def _of_channel(
    simulation: Simulation, provider: str, channel: Channel, *, is_one: bool
) -> Simulation:
    """The simulation for one provider; among several each has a campaign of its own."""
    campaign_id = simulation.campaign_id
    secret = simulation.secret or signing_secret(provider)
    return replace(
        simulation,
        provider=provider,
        channel=channel,
        secret=secret,
        fallback=usual_fallback(provider, channel, simulation.account, secret),
        campaign_id=campaign_id if is_one else f"{campaign_id}-{provider}-{channel.value}",
    )


def _judge(simulation: Simulation, console: Console, *, is_quiet: bool) -> Verdict:
    verdict = run_with_progress(simulation, console)
    if not is_quiet:
        print_verdict(console, simulation, verdict)
    return verdict


def run_with_progress(simulation: Simulation, console: Console) -> Verdict:
    """Run it under a progress bar; refusals end the command with one readable line."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", style="dim"),
        TimeElapsedColumn(),
    )
    try:
        with ProgressBar(*columns, console=console, transient=True) as bar:
            return asyncio.run(run_simulation(simulation, _progress_on(bar)))
    except grpc.aio.AioRpcError as error:
        problem = explain(error, simulation.gateway)
    except (DoorClosed, RecordRefused, LookupError, OSError, ValueError) as error:
        problem = str(error)
    except ExceptionGroup as group:
        problem = "; ".join(sorted({_one_line(error, simulation) for error in group.exceptions}))
    typer.echo(problem, err=True)
    raise typer.Exit(1)


def print_verdict(console: Console, simulation: Simulation, verdict: Verdict) -> None:
    """What was told, how fast, and whether the report says the same."""
    told, plan = verdict.telling, verdict.plan
    pace = told.updates / told.duration_s if told.duration_s else 0.0
    console.print(
        f"[bold]{simulation.provider}[/], {simulation.channel.value}: "
        f"told [bold]{told.updates:,}[/] updates in {told.callbacks:,} signed callbacks, "
        f"{told.records:,} records and {told.engagements:,} engagements "
        f"in {told.duration_s:.1f} s [dim]({pace:,.0f} updates/s)[/]."
    )
    console.print(
        f"[dim]chaos {simulation.chaos}: {plan.repeat_count:,} told again, "
        f"{plan.lost_count:,} lost on purpose, {told.retries:,} retries; "
        f"complete {verdict.complete_after_s:.1f} s after the last answer[/]"
    )
    if not verdict.is_complete:
        console.print("[yellow]The report did not claim to be complete in time.[/]")
    if not verdict.differences:
        numbers = len(verdict.truth.counters) + len(verdict.truth.reasons)
        console.print(
            f"[bold green]✓ All {numbers} numbers of {simulation.campaign_id} equal the truth.[/]",
            highlight=False,
        )
        return
    console.print(f"[bold red]✗ {len(verdict.differences)} numbers differ from the truth.[/]")
    console.print(_differences(verdict))
    if verdict.is_equal_later:
        console.print("Some seconds later all were equal: the report called itself complete early.")
    if verdict.report.counters["targeted"] > verdict.truth.counters["targeted"]:
        console.print("[dim]The campaign has other messages, too: was its id used before?[/]")


def truth_json(simulation: Simulation, verdict: Verdict) -> dict[str, Any]:
    """The truth as the file of `--truth`."""
    return {
        "campaign_id": simulation.campaign_id,
        "seed": simulation.seed,
        "messages": simulation.message_count,
        "provider": simulation.provider,
        "channel": simulation.channel.value,
        "account": simulation.account,
        "chaos": simulation.chaos,
        "counters": verdict.truth.counters,
        "failure_reasons": verdict.truth.reasons,
        "unavailable": verdict.truth.unavailable,
        "caveats": verdict.truth.caveats,
        "told": {
            "callbacks": verdict.plan.callback_count,
            "updates": verdict.plan.update_count,
            "repeats": verdict.plan.repeat_count,
            "lost": verdict.plan.lost_count,
        },
    }


def verdict_json(simulation: Simulation, verdict: Verdict) -> dict[str, Any]:
    """The verdict as `--json` prints it."""
    told = verdict.telling
    return {
        **truth_json(simulation, verdict),
        "is_equal": not verdict.differences,
        "is_complete": verdict.is_complete,
        "is_equal_later": verdict.is_equal_later,
        "complete_after_s": round(verdict.complete_after_s, 3),
        "duration_s": round(told.duration_s, 3),
        "retries": told.retries,
        "differences": [
            {"name": one.name, "expected": one.expected, "reported": one.reported}
            for one in verdict.differences
        ],
    }


def _progress_on(bar: ProgressBar) -> Progress:
    task = bar.add_task("Telling", total=None, pace="")
    started = time.monotonic()

    def update(done: int, total: int) -> None:
        elapsed_s = max(time.monotonic() - started, 1e-3)
        waiting = done >= total
        bar.update(
            task,
            completed=done,
            total=total,
            description="Waiting for the report" if waiting else "Telling",
            pace=f"{done / elapsed_s:,.0f}/s",
        )

    return update


def _differences(verdict: Verdict) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("number")
    table.add_column("truth", justify="right")
    table.add_column("report", justify="right")
    for one in verdict.differences[:_DIFFERENCES_MAX]:
        table.add_row(
            one.name, str(one.expected), "–" if one.reported is None else str(one.reported)
        )
    return table


def _one_line(error: BaseException, simulation: Simulation) -> str:
    if isinstance(error, grpc.RpcError):
        return explain(error, simulation.gateway)
    return str(error) or type(error).__name__
