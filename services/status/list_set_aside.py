"""Lists what was set aside for no tenant, newest first, for whoever runs the installation."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

from bluetick.v1.ingest_service_pb2 import (
    ListQuarantineRequest,
    ListQuarantineResponse,
    QuarantinedCallback,
)
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.paging import Paging
from libs.runtime.set_aside_shelf import Kept

# By sequence, newest first; of no tenant.
_PAGES: Paging[tuple[int, ...]] = Paging(tuple[int, ...])
_KEY_BYTES: Final = 16


class SetAsideShelf(Protocol):
    """The operator's quarantine."""

    def newest(self, before_seq: int | None) -> AsyncIterator[Kept]:
        """Messages, newest first; only those older than ``before_seq``."""

    async def oldest(self, limit: int) -> list[int]:
        """Sequences of the oldest messages."""

    async def read(self, seq: int) -> Kept | None:
        """One message, None if it is not there."""

    async def put_back(self, kept: Kept) -> None:
        """Publish it to its stream again, then let go of it."""

    async def count(self) -> int:
        """How many there are."""


async def list_set_aside(
    shelf: SetAsideShelf, request: ListQuarantineRequest
) -> ListQuarantineResponse:
    """Return a page. ``provider`` and ``account`` mean nothing here: no tenant is known.

    Raises:
        InvalidArgument: the page size or the page token cannot be used.
    """
    size, place = _PAGES.size(request), _PAGES.after("", request)
    answer = ListQuarantineResponse()
    last = 0
    async for kept in shelf.newest(place[0] if place else None):
        if len(answer.callbacks) == size:
            answer.next_page_token = _PAGES.token("", request, (last,))
            break
        last = kept.seq
        answer.callbacks.append(told(kept))
    return answer


def told(kept: Kept) -> QuarantinedCallback:
    """Return what may be said of a message: everything but its body, which may be anybody's."""
    seconds, rest_us = divmod(kept.stored_time_us, 1_000_000)
    return QuarantinedCallback(
        quarantine_id=id_of(kept.seq),
        reason=kept.reason,
        receive_time=Timestamp(seconds=seconds, nanos=rest_us * 1_000),
        body_bytes=len(kept.body),
        receive_count=1,
        service=kept.service,
        stream=kept.stream,
        stream_sequence=kept.stream_seq,
    )


def id_of(seq: int) -> str:
    """Return the identity of a message: its place on the shelf, as long as every identity."""
    return seq.to_bytes(_KEY_BYTES, "big").hex()
