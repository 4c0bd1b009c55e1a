"""Lists what could not be read, newest first."""

import base64
import binascii
from hashlib import blake2b
from typing import Protocol

import msgspec
from bluetick.v1 import ingest_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.rpc_errors import InvalidArgument

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
# Bodies in one answer, bytes; a page ends early rather than grow past what a caller can receive.
BODIES_BYTES_MAX = 2 * 1024 * 1024
_MICROSECONDS = 1_000_000


class QuarantineRow(msgspec.Struct, frozen=True):
    """One quarantined callback, without its body."""

    quarantine_key: bytes
    provider: str
    account: str
    reason: str
    detail: str
    receive_time_us: int
    body_bytes: int
    receive_count: int


class _Place(msgspec.Struct, array_like=True, frozen=True):
    """Where a page ended, and for which question."""

    question: bytes
    receive_time_us: int
    quarantine_key: bytes


class QuarantineReader(Protocol):
    """Reads what was set aside."""

    async def rows(
        self,
        tenant_id: str,
        provider: str,
        account: str,
        before: tuple[int, bytes] | None,
        limit: int,
    ) -> list[QuarantineRow]:
        """Rows older than ``before``, newest first; empty names match any."""

    async def bodies(self, tenant_id: str, keys: list[bytes]) -> dict[bytes, bytes]:
        """Bodies by key."""


async def list_quarantine(
    reader: QuarantineReader,
    tenant_id: str,
    request: ingest_service_pb2.ListQuarantineRequest,
    *,
    are_bodies_shown: bool,
) -> ingest_service_pb2.ListQuarantineResponse:
    """Return a page.

    Raises:
        InvalidArgument: the page size or the page token cannot be used.
    """
    size = _page_size(request.page_size)
    question = _question(tenant_id, request)
    before = _before(request.page_token, question)
    rows = await reader.rows(tenant_id, request.provider, request.account, before, size + 1)
    page = _fitting(rows[:size]) if are_bodies_shown else rows[:size]
    keys = [row.quarantine_key for row in page]
    bodies = await reader.bodies(tenant_id, keys) if are_bodies_shown and keys else {}
    answer = ingest_service_pb2.ListQuarantineResponse(
        callbacks=[_callback(row, bodies.get(row.quarantine_key, b"")) for row in page]
    )
    if len(rows) > len(page):
        answer.next_page_token = _token(question, page[-1])
    return answer


def _page_size(asked: int) -> int:
    if asked < 0 or asked > PAGE_MAX:
        raise InvalidArgument.of(
            "page_size", f"From 1 to {PAGE_MAX}, or 0 for {PAGE_DEFAULT}; it is {asked}."
        )
    return asked or PAGE_DEFAULT


def _question(tenant_id: str, request: ingest_service_pb2.ListQuarantineRequest) -> bytes:
    text = "\x00".join((tenant_id, request.provider, request.account))
    return blake2b(text.encode(), digest_size=8).digest()


def _token(question: bytes, last: QuarantineRow) -> str:
    place = _Place(question, last.receive_time_us, last.quarantine_key)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode()


def _before(token: str, question: bytes) -> tuple[int, bytes] | None:
    if not token:
        return None
    try:
        place = msgspec.msgpack.decode(base64.urlsafe_b64decode(token), type=_Place)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidArgument.of("page_token", "Not a token of ListQuarantine.") from None
    if place.question != question:
        raise InvalidArgument.of(
            "page_token", "It belongs to another filter; start again without a token."
        )
    return place.receive_time_us, place.quarantine_key


def _fitting(rows: list[QuarantineRow]) -> list[QuarantineRow]:
    """Return the first rows whose bodies fit, at least one."""
    room = BODIES_BYTES_MAX
    for number, row in enumerate(rows):
        room -= row.body_bytes
        if room < 0 and number:
            return rows[:number]
    return rows


def _callback(row: QuarantineRow, body: bytes) -> ingest_service_pb2.QuarantinedCallback:
    seconds, rest = divmod(row.receive_time_us, _MICROSECONDS)
    return ingest_service_pb2.QuarantinedCallback(
        quarantine_id=row.quarantine_key.hex(),
        provider=row.provider,
        account=row.account,
        reason=row.reason,
        detail=row.detail,
        receive_time=Timestamp(seconds=seconds, nanos=rest * 1_000),
        body_bytes=row.body_bytes,
        body=body,
        receive_count=row.receive_count,
    )
