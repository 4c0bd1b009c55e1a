"""Lists what could not be read, newest first."""

from typing import Protocol

import msgspec
from bluetick.v1 import ingest_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.paging import Paging

# Bodies in one answer, bytes; a page ends early rather than grow past what a caller can receive.
BODIES_BYTES_MAX = 2 * 1024 * 1024
_MICROSECONDS = 1_000_000
# By receive time (us) and key, newest first.
_PAGES: Paging[tuple[int, bytes]] = Paging(tuple[int, bytes])


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
    proof: int  # CallbackProof


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
    size, before = _PAGES.size(request), _PAGES.after(tenant_id, request)
    rows = await reader.rows(tenant_id, request.provider, request.account, before, size + 1)
    page = _fitting(rows[:size]) if are_bodies_shown else rows[:size]
    keys = [row.quarantine_key for row in page]
    bodies = await reader.bodies(tenant_id, keys) if are_bodies_shown and keys else {}
    answer = ingest_service_pb2.ListQuarantineResponse(
        callbacks=[_callback(row, bodies.get(row.quarantine_key, b"")) for row in page]
    )
    if len(rows) > len(page):
        last = page[-1].receive_time_us, page[-1].quarantine_key
        answer.next_page_token = _PAGES.token(tenant_id, request, last)
    return answer


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
        proof=row.proof,  # type: ignore[arg-type]
    )
