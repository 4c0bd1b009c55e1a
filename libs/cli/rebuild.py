"""``bluetick verify`` and ``bluetick rebuild``: numbers counted anew from the messages themselves.

Both go through the gateway, as the tenant whose key they carry: an admin rebuilds their own numbers
and nobody else's, and no token of the services has to leave the machine room.
"""

from __future__ import annotations

import time
from typing import Annotated

import grpc
import typer
from bluetick.v1 import rebuild_service_pb2 as pb
from bluetick.v1.rebuild_service_pb2_grpc import RebuildServiceStub
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller, explain
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.cli.rebuild_view import differences_table, summary

_SAID = {
    pb.REBUILD_PHASE_COUNTING: "Counting messages",
    pb.REBUILD_PHASE_WAITING: "Waiting for changes under way",
    pb.REBUILD_PHASE_COMPARING: "Comparing",
    pb.REBUILD_PHASE_CLEANING: "Cleaning up",
    pb.REBUILD_PHASE_DONE: "Done",
}
# A stream that ends early is no loss: the next one goes on where it was.
_TRIES_MAX = 5
_RETRY_S = 1.0
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_Gateway = Annotated[str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")]
_ApiKey = Annotated[str, typer.Option(envvar="BLUETICK_API_KEY", help="API key, ADMIN.")]
_Anew = Annotated[bool, typer.Option("--anew", help="Forget what an earlier run has counted.")]


def verify(gateway: _Gateway = DEFAULT_GATEWAY, api_key: _ApiKey = "", anew: _Anew = False) -> None:
    """Count all numbers anew, beside the traffic, and compare. Changes nothing; exit code 1 and the
    numbers at fault if any differ."""
    _run(gateway, api_key, pb.RebuildRequest(is_verify_only=True, is_from_scratch=anew))


def rebuild(
    gateway: _Gateway = DEFAULT_GATEWAY, api_key: _ApiKey = "", anew: _Anew = False
) -> None:
    """Count all numbers anew, beside the traffic, and show those from then on: closes gaps, and
    gives a new counter its history."""
    _run(gateway, api_key, pb.RebuildRequest(is_from_scratch=anew))


def _run(gateway: str, api_key: str, request: pb.RebuildRequest) -> None:
    tolerate_plain_terminals()
    done = _follow(GatewayCaller(gateway, api_key), gateway, request)
    console = Console()
    if done.differences:
        console.print(differences_table(done))
    console.print(summary(done, is_verify=request.is_verify_only))
    if request.is_verify_only and done.difference_count:
        raise typer.Exit(1)


def _follow(caller: GatewayCaller, gateway: str, request: pb.RebuildRequest) -> pb.RebuildResponse:
    """Return the last answer, over as many streams as it takes."""
    stub, failures = RebuildServiceStub(caller.channel), 0
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("Starting", total=None)
        while True:
            try:
                for told in stub.Rebuild(request, metadata=caller.metadata):
                    failures = 0
                    request.is_from_scratch = False
                    expected = max(told.message_count_expected, told.message_count)
                    progress.update(
                        task,
                        description=_SAID.get(told.phase, "Working"),
                        completed=told.message_count,
                        total=expected or None,
                    )
                    if told.phase == pb.REBUILD_PHASE_DONE:
                        return told
            except grpc.RpcError as error:
                failures += 1
                if error.code() not in _PASSING or failures >= _TRIES_MAX:
                    typer.echo(explain(error, gateway), err=True)
                    raise typer.Exit(1) from error
                time.sleep(_RETRY_S)
