"""What ``bluetick replay`` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bluetick.v1.event_pb2 import (
    CALLBACK_PROOF_CREDENTIAL,
    CALLBACK_PROOF_NOTHING,
    CALLBACK_PROOF_SIGNATURE,
)
from bluetick.v1.ingest_service_pb2 import QuarantinedCallback, ReplayedCallback
from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_PROOFS = {
    CALLBACK_PROOF_SIGNATURE: "signature",
    CALLBACK_PROOF_CREDENTIAL: "credential",
    CALLBACK_PROOF_NOTHING: "nothing",
}


def kept_table(callbacks: Sequence[QuarantinedCallback]) -> RenderableType:
    """What is in quarantine, newest first."""
    if not callbacks:
        return Text("The quarantine is empty.", style="green")
    table = _table(f"{len(callbacks):,} in quarantine")
    table.add_column("id", no_wrap=True)
    table.add_column("account")
    table.add_column("received", no_wrap=True)
    table.add_column("times", justify="right")
    table.add_column("bytes", justify="right")
    table.add_column("proof")
    table.add_column("why")
    for one in callbacks:
        received = one.receive_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            one.quarantine_id,
            escape(_origin(one)),
            received,
            f"{one.receive_count:,}",
            f"{one.body_bytes:,}",
            _PROOFS.get(one.proof, ""),
            _why(one.reason, one.detail),
        )
    return table


def outcome_table(
    outcomes: Sequence[ReplayedCallback], before: Mapping[str, QuarantinedCallback]
) -> RenderableType:
    """What became of each."""
    table = _table("")
    table.add_column("id", no_wrap=True)
    table.add_column("account")
    table.add_column("was")
    table.add_column("now")
    for one in outcomes:
        known = before.get(one.quarantine_id)
        if one.is_replayed:
            events = "1 event" if one.event_count == 1 else f"{one.event_count:,} events"
            now = f"[green]✓ read, {events}[/]" if one.event_count else "[green]✓ put back[/]"
        else:
            now = f"[yellow]stays[/] {_why(one.reason, one.detail)}"
        account = f"{one.provider}/{one.account}" if one.provider else "–"
        if known is not None:
            account = _origin(known)
        table.add_row(
            one.quarantine_id, escape(account), escape(known.reason) if known else "–", now
        )
    return table


def summary(replayed: int, remaining: int) -> RenderableType:
    """The two counts in a line."""
    style = "yellow" if remaining else "green"
    return Text(f"{replayed:,} read, {remaining:,} stay in quarantine.", style=style)


def _origin(one: QuarantinedCallback) -> str:
    """The account that it came for, or the place on the stream that it came from."""
    if one.service:
        return f"{one.service} {one.stream}/{one.stream_sequence}"
    return f"{one.provider}/{one.account}"


def _why(reason: str, detail: str) -> str:
    return f"[bold]{escape(reason)}[/] [dim]{escape(detail)}[/]"


def _table(title: str) -> Table:
    return Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
