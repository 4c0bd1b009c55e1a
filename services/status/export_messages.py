"""Streams the messages behind a number as a file, in constant memory, resumable between pieces."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final, Protocol

import grpc
import msgspec
from bluetick.v1 import common_pb2
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1.change_pb2 import MessageImage

from libs.runtime.rpc_errors import InvalidArgument, RpcError
from services.status.domain.export_columns import DETAILED, SCHEMA_VERSION, SUMMARY, Column, Row
from services.status.domain.export_columns import detailed_row as row_of
from services.status.domain.export_file import (
    CsvExport,
    ExportFile,
    ParquetExport,
    Place,
    Written,
)
from services.status.list_messages import MessageIndex, Wanted
from services.status.show_message import mask

PIECE_BYTES_MAX: Final = 1024 * 1024
# Keys that analytics is asked for at once, and rows that are read at once.
_KEYS_MAX: Final = 4_000
_READ_MAX: Final = 500
# Bytes of images from which on a piece ends: what bounds memory where messages are large.
_WAITING_BYTES_MAX: Final = 8 * 1024 * 1024
# Exports at once in one process: each holds some ten MiB, and they share its time.
EXPORTS_MAX: Final = 4
# Places of which is known how to go on without reading anew, of all exports together.
_PLACES_MAX: Final = 4_096
_RETRY_S: Final = 5.0
# In place of a number: nothing follows.
_END: Final = -1
# A cursor: a mark of the question, and the SHA-256 of the file up to it.
_MARK_BYTES: Final = 8
_DIGEST_BYTES: Final = 32


class ExportMoved(RpcError):
    """What was sent would no longer be sent so: messages have moved. gRPC code: ABORTED."""

    code = grpc.StatusCode.ABORTED
    reason = "EXPORT_MOVED"


class TooManyExports(RpcError):
    """As many run as may at once. gRPC code: RESOURCE_EXHAUSTED."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_EXPORTS"


class Exported(msgspec.Struct, frozen=True):
    """A message as an export reads it."""

    key: bytes
    image: bytes  # bluetick.v1.MessageImage
    address: str
    # Links that were clicked, sorted.
    links: Sequence[str]


class ExportReader(Protocol):
    """Reads messages for exports."""

    async def exported(self, tenant_id: str, keys: Sequence[bytes]) -> dict[bytes, Exported]:
        """The messages, those left out that are no longer there."""


class Summaries(Protocol):
    """Reads reports."""

    async def summary(self, tenant_id: str, campaign_id: str) -> list[Row]:
        """Return a row a number, in the order of ``SUMMARY``.

        Raises:
            RpcError: there is no such campaign, or analytics does not answer.
        """


class ExportMessages:
    """The use case. One per process."""

    def __init__(self, index: MessageIndex, summaries: Summaries, reader: ExportReader) -> None:
        self._index = index
        self._summaries = summaries
        self._reader = reader
        # (question, SHA-256 up to the place)
        self._places: OrderedDict[tuple[bytes, bytes], Place] = OrderedDict()
        self._running = 0

    async def stream(
        self, tenant_id: str, request: pb.ExportMessagesRequest, *, is_address_shown: bool
    ) -> AsyncGenerator[pb.ExportMessagesResponse, None]:
        """Yield the pieces of the file.

        Raises:
            RpcError: the request cannot be answered.
        """
        file = _file_of(request)
        if self._running >= EXPORTS_MAX:
            raise TooManyExports(
                f"{EXPORTS_MAX} exports run already; try again when one has ended.",
                retry_s=_RETRY_S,
            )
        # Who sees other addresses asks another question.
        mark = _mark(f"{tenant_id}\x00{is_address_shown}", request)
        sent = _sent(mark, request.cursor)
        self._running += 1
        try:
            rows = partial(self._rows, tenant_id, request, file.rows_max, is_address_shown)
            async for written in self._written(file, rows, mark, sent):
                for piece in _pieces(written, _cursor(mark, written.place.digest)):
                    yield piece
        finally:
            self._running -= 1

    async def _written(
        self,
        file: ExportFile,
        rows: Callable[[int], AsyncIterator[tuple[list[Row], int]]],
        mark: bytes,
        sent: bytes,
    ) -> AsyncIterator[Written]:
        """Yield what is behind what was sent; where nobody knows that place any more, all before
        it is written anew, and not sent again."""
        place = self._places.get((mark, sent))
        is_sent = place is not None
        if place is None:
            begun = file.begin()
            place, is_sent = begun.place, not sent or begun.place.digest == sent
            if not sent:
                yield begun
        async for members, number in rows(place.number):
            written = await asyncio.to_thread(file.add, place, members, number)
            place = written.place
            self._remember(mark, place)
            if is_sent:
                yield written
            is_sent = is_sent or place.digest == sent
        if not is_sent:
            raise ExportMoved(
                "Messages have moved since, so the file cannot be gone on with; start it anew, "
                "without a cursor."
            )
        end = await asyncio.to_thread(file.end, place)
        yield Written(end.data, msgspec.structs.replace(end.place, number=_END))

    async def _rows(
        self,
        tenant_id: str,
        request: pb.ExportMessagesRequest,
        rows_max: int,
        is_address_shown: bool,
        after: int,
    ) -> AsyncIterator[tuple[list[Row], int]]:
        """Yield rows with the number of the last one, as many as are written together."""
        if request.kind != common_pb2.EXPORT_KIND_DETAILED:
            if not after:
                yield await self._summaries.summary(tenant_id, request.campaign_id), 1
            return
        rows, waiting_bytes, last = list[Row](), 0, after
        is_end = False
        while not is_end:
            wanted = Wanted(tenant_id, request.campaign_id, request.where, last, _KEYS_MAX, False)
            found = await self._index.find(wanted)
            is_end = found.is_end
            for first in range(0, len(found.messages), _READ_MAX):
                part = found.messages[first : first + _READ_MAX]
                read = await self._reader.exported(tenant_id, [key for _, key in part])
                some = [(number, read[key]) for number, key in part if key in read]
                made = await asyncio.to_thread(_rows_of, some, is_address_shown)
                for (number, one), row in zip(some, made, strict=True):
                    rows.append(row)
                    last, waiting_bytes = number, waiting_bytes + len(one.image)
                    if len(rows) >= rows_max or waiting_bytes >= _WAITING_BYTES_MAX:
                        yield rows, last
                        rows, waiting_bytes = [], 0
            last = found.messages[-1][0] if found.messages else last
        if rows:
            yield rows, last

    def _remember(self, mark: bytes, place: Place) -> None:
        self._places[mark, place.digest] = place
        if len(self._places) > _PLACES_MAX:
            self._places.popitem(last=False)


def _rows_of(messages: Sequence[tuple[int, Exported]], is_address_shown: bool) -> list[Row]:
    rows = []
    for _, one in messages:
        address = one.address if is_address_shown else mask(one.address)
        rows.append(row_of(one.key, MessageImage.FromString(one.image), address, one.links))
    return rows


def _file_of(request: pb.ExportMessagesRequest) -> ExportFile:
    if request.kind not in common_pb2.ExportKind.values():
        raise InvalidArgument.of("kind", "Not a known kind; use SUMMARY or DETAILED.")
    is_detailed = request.kind == common_pb2.EXPORT_KIND_DETAILED
    if not is_detailed and request.where.ByteSize():
        raise InvalidArgument.of("where", "Numbers are of the whole campaign; use DETAILED.")
    columns: tuple[Column, ...] = DETAILED if is_detailed else SUMMARY
    is_marked = request.with_byte_order_mark
    if request.format in (common_pb2.FILE_FORMAT_UNSPECIFIED, common_pb2.FILE_FORMAT_CSV):
        return CsvExport(columns, with_byte_order_mark=is_marked)
    if request.format != common_pb2.FILE_FORMAT_PARQUET:
        raise InvalidArgument.of("format", "Not a known format; use CSV or PARQUET.")
    if is_marked:
        raise InvalidArgument.of("with_byte_order_mark", "CSV only; leave it out.")
    kind = "detailed" if is_detailed else "summary"
    told = {"bluetick.schema": kind, "bluetick.schema_version": SCHEMA_VERSION}
    return ParquetExport(columns, told | {"bluetick.campaign_id": request.campaign_id})


def _mark(asking: str, request: pb.ExportMessagesRequest) -> bytes:
    """Return what tells one question from another."""
    question = pb.ExportMessagesRequest()
    question.CopyFrom(request)
    question.ClearField("cursor")
    text = asking.encode() + b"\x00" + question.SerializeToString(deterministic=True)
    return blake2b(text, digest_size=_MARK_BYTES).digest()


def _cursor(mark: bytes, digest: bytes) -> str:
    return urlsafe_b64encode(mark + digest).decode().rstrip("=")


def _sent(mark: bytes, cursor: str) -> bytes:
    """Return the SHA-256 of what was sent before; empty: nothing was.

    Raises:
        InvalidArgument: no cursor of ours, or one of another question.
    """
    if not cursor:
        return b""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    if len(raw) != _MARK_BYTES + _DIGEST_BYTES or raw[:_MARK_BYTES] != mark:
        raise InvalidArgument.of(
            "cursor",
            "Not a cursor of this question. Send the last one as it is, with every other field as "
            "it was, or start anew without one.",
        )
    return raw[_MARK_BYTES:]


def _pieces(written: Written, cursor: str) -> list[pb.ExportMessagesResponse]:
    place, data = written.place, written.data
    cuts = range(0, max(len(data), 1), PIECE_BYTES_MAX)
    pieces = [
        pb.ExportMessagesResponse(data=data[at : at + PIECE_BYTES_MAX], row_count=place.row_count)
        for at in cuts
    ]
    if place.number == _END:
        pieces[-1].sha256 = place.digest
    else:
        pieces[-1].cursor = cursor
    return pieces
