"""`bluetick export CAMPAIGN`: numbers or messages as a file; a cut one is gone on with."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import grpc
import msgspec
import typer
from bluetick.v1 import common_pb2
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub
from google.protobuf import json_format
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller, explain
from libs.cli.plain_terminal import tolerate_plain_terminals

# A stream that ends early is no loss: the next one goes on where it was.
_TRIES_MAX = 5
_RETRY_S = 1.0
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_READ_BYTES = 1024 * 1024


class Kind(StrEnum):
    """What the file holds."""

    SUMMARY = "summary"
    DETAILED = "detailed"


class Format(StrEnum):
    """Form of the file."""

    CSV = "csv"
    PARQUET = "parquet"


def export(
    campaign: Annotated[str, typer.Argument(help="Campaign id.")],
    kind: Annotated[Kind, typer.Option(help="Numbers, or a row a message.")] = Kind.SUMMARY,
    file_format: Annotated[Format, typer.Option("--format", help="Form.")] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option(help="File; CAMPAIGN-KIND.FORMAT unless said.")
    ] = None,
    where: Annotated[
        str, typer.Option(help='Which messages, as JSON: \'{"metric": "failed"}\'.')
    ] = "{}",
    bom: Annotated[bool, typer.Option("--bom", help="CSV: begin with a byte order mark.")] = False,
    gateway: Annotated[
        str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")
    ] = DEFAULT_GATEWAY,
    api_key: Annotated[
        str, typer.Option(envvar="BLUETICK_API_KEY", help="API key; ADMIN sees addresses.")
    ] = "",
) -> None:
    """Write the numbers of a campaign, or its messages, to a file. Cut anywhere, the same command
    goes on where it was; the file takes its name when its checksum is right."""
    tolerate_plain_terminals()
    request = pb.ExportMessagesRequest(
        campaign_id=campaign,
        kind=common_pb2.ExportKind.Value(f"EXPORT_KIND_{kind.name}"),
        format=common_pb2.FileFormat.Value(f"FILE_FORMAT_{file_format.name}"),
        where=_where(where),
        with_byte_order_mark=bom,
    )
    name = re.sub(r"[^A-Za-z0-9._-]", "_", campaign)
    path = output or Path(f"{name}-{kind}.{file_format}")
    caller = GatewayCaller(gateway, api_key)
    part = _Part(path, request)
    count = _count(caller, request)
    with part, Progress(*_columns(), console=Console(stderr=True)) as progress:
        task = progress.add_task(path.name, total=count, completed=part.row_count)

        def show(rows: int) -> None:
            progress.update(task, completed=rows)

        digest = _follow(caller, gateway, part, show)
    if not part.finish(digest):
        typer.echo(f"{part.path} does not have the checksum it should; run this again.", err=True)
        part.path.unlink()
        raise typer.Exit(1)
    typer.echo(f"{path}: {part.row_count:,} rows, SHA-256 {digest.hex()}")


def _columns() -> tuple[ProgressColumn, ...]:
    name, count = TextColumn("{task.description}"), MofNCompleteColumn()
    return name, BarColumn(), count, TimeRemainingColumn()


def _where(text: str) -> pb.MessageFilter:
    try:
        return json_format.Parse(text, pb.MessageFilter())
    except json_format.ParseError as error:
        raise typer.BadParameter(f"--where: {error}") from None


def _count(caller: GatewayCaller, request: pb.ExportMessagesRequest) -> int | None:
    """Return how many rows there will be, about; None: nobody knows."""
    if request.kind != common_pb2.EXPORT_KIND_DETAILED:
        return None
    stub = MessageServiceStub(caller.channel)
    asked = pb.ListMessagesRequest(
        campaign_id=request.campaign_id, where=request.where, page_size=1
    )
    return caller.call(stub.ListMessages, asked).total_count


class _Note(msgspec.Struct):
    """What lies beside a file that is not whole yet."""

    question: str
    cursor: str
    byte_count: int
    row_count: int


class _Part:
    """A file that is not whole yet, with a note of how far it came."""

    def __init__(self, path: Path, request: pb.ExportMessagesRequest) -> None:
        self.target, self.request = path, request
        self.path = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".part.json")
        question = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        self._told = _Note(question, "", 0, 0)
        try:
            told = msgspec.json.decode(self._note.read_bytes(), type=_Note)
            if told.question == question and self.path.stat().st_size >= told.byte_count:
                self._told = told
        except (OSError, msgspec.MsgspecError):
            pass  # nothing, or nothing of use
        self.row_count = self._told.row_count

    def __enter__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("r+b" if self._told.byte_count else "wb")

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rewind(self) -> str:
        """Go back to the last place from which one can go on; return its cursor."""
        self._file.seek(self._told.byte_count)
        self._file.truncate()
        self.row_count = self._told.row_count
        return self._told.cursor

    def start_anew(self) -> None:
        """Forget what has come."""
        self._told = _Note(self._told.question, "", 0, 0)

    def add(self, piece: pb.ExportMessagesResponse) -> None:
        """Add what has come."""
        self._file.write(piece.data)
        self.row_count = piece.row_count
        if piece.cursor:
            self._file.flush()
            told = self._told
            self._told = _Note(told.question, piece.cursor, self._file.tell(), piece.row_count)
            scratch = self._note.with_suffix(".new")
            scratch.write_bytes(msgspec.json.encode(self._told))
            scratch.replace(self._note)

    def finish(self, digest: bytes) -> bool:
        """Give the file its name if it is what it should be; return whether it is."""
        self._note.unlink(missing_ok=True)
        sha256 = hashlib.sha256()
        with self.path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                sha256.update(data)
        if sha256.digest() != digest:
            return False
        self.path.replace(self.target)
        return True


def _follow(caller: GatewayCaller, gateway: str, part: _Part, show: Callable[[int], None]) -> bytes:
    """Write pieces until the last one, over as many streams as it takes; return the checksum."""
    stub, failures = MessageServiceStub(caller.channel), 0
    while True:
        request = pb.ExportMessagesRequest()
        request.CopyFrom(part.request)
        request.cursor = part.rewind()
        try:
            for piece in stub.ExportMessages(request, metadata=caller.metadata):
                failures = 0
                part.add(piece)
                show(piece.row_count)
                if piece.sha256:
                    return bytes(piece.sha256)
            typer.echo(f"{gateway} ended the file without its checksum.", err=True)
            raise typer.Exit(1)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.ABORTED and request.cursor:
                typer.echo("Messages have moved meanwhile; the file is begun anew.", err=True)
                part.start_anew()
                continue
            failures += 1
            if error.code() not in _PASSING or failures >= _TRIES_MAX:
                typer.echo(explain(error, gateway), err=True)
                raise typer.Exit(1) from error
            time.sleep(_RETRY_S)
