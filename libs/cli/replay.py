"""``bluetick replay``: what could not be read or worked on, once more, by the code of today."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from bluetick.v1.ingest_service_pb2 import (
    QUARANTINE_SHELF_CALLBACKS,
    QUARANTINE_SHELF_SET_ASIDE,
    ListQuarantineRequest,
    QuarantinedCallback,
    QuarantineShelf,
    ReplayedCallback,
    ReplayQuarantineRequest,
    ReplayQuarantineResponse,
)
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceStub
from rich.console import Console
from rich.progress import track

from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.cli.replay_view import kept_table, outcome_table, summary

# Few enough to be answered well within the deadline of a call.
_IDS_IN_A_CALL = 50
_PAGE = 500


def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Identities, as --list shows them.", metavar="ID...")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the tenant.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Show them, replay nothing.")] = False,
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside",
            help="Broker messages that a service could not work on, back onto their streams; "
            "API key of role OPERATOR.",
        ),
    ] = False,
    gateway: Annotated[
        str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")
    ] = DEFAULT_GATEWAY,
    api_key: Annotated[
        str, typer.Option(envvar="BLUETICK_API_KEY", help="API key, SENDER or ADMIN; OPERATOR.")
    ] = "",
) -> None:
    """Read quarantined callbacks again, after an update that knows more: what can be read now
    becomes events, the rest stays with its newest reason. Exit code 1 if any stays."""
    everything = everything or (set_aside and not ids and not only_list)
    if bool(ids) + everything + only_list != 1:
        typer.echo("Say which: identities, or --all; or --list to see them.", err=True)
        raise typer.Exit(2)
    tolerate_plain_terminals()
    console = Console()
    shelf = QUARANTINE_SHELF_SET_ASIDE if set_aside else QUARANTINE_SHELF_CALLBACKS
    stub_caller = _Quarantine(GatewayCaller(gateway, api_key), shelf)
    if only_list:
        console.print(kept_table(list(stub_caller.kept())))
        return
    before = {one.quarantine_id: one for one in stub_caller.kept()}
    wanted = list(dict.fromkeys(one.lower() for one in ids)) if ids else list(before)
    answers = [
        stub_caller.replay(wanted[start : start + _IDS_IN_A_CALL])
        for start in track(
            range(0, len(wanted), _IDS_IN_A_CALL),
            "Reading again",
            console=Console(stderr=True),
            transient=True,
        )
    ]
    _tell(console, before, answers)


def _tell(
    console: Console,
    before: dict[str, QuarantinedCallback],
    answers: list[ReplayQuarantineResponse],
) -> None:
    outcomes: list[ReplayedCallback] = [one for answer in answers for one in answer.callbacks]
    replayed = sum(answer.replayed_count for answer in answers)
    remaining = sum(answer.remaining_count for answer in answers)
    if outcomes:
        console.print(outcome_table(outcomes, before))
    console.print(summary(replayed, remaining))
    if remaining or any(not one.is_replayed for one in outcomes):
        raise typer.Exit(1)


class _Quarantine:
    """The quarantine behind the gateway."""

    def __init__(self, caller: GatewayCaller, shelf: QuarantineShelf.ValueType) -> None:
        self._caller = caller
        self._shelf = shelf
        self._stub = IngestServiceStub(caller.channel)

    def kept(self) -> Iterator[QuarantinedCallback]:
        """All that is kept, newest first."""
        token = ""
        while True:
            request = ListQuarantineRequest(page_size=_PAGE, page_token=token, shelf=self._shelf)
            page = self._caller.call(self._stub.ListQuarantine, request)
            yield from page.callbacks
            token = page.next_page_token
            if not token:
                return

    def replay(self, ids: list[str]) -> ReplayQuarantineResponse:
        """Have some read again."""
        request = ReplayQuarantineRequest(quarantine_ids=ids, shelf=self._shelf)
        return self._caller.call(self._stub.ReplayQuarantine, request)
