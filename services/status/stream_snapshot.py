"""Streams the message store, so that numbers can be recounted from it."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

import msgspec
from bluetick.v1.change_pb2 import MessageAct, MessageImage
from bluetick.v1.snapshot_service_pb2 import (
    MessageSnapshot,
    SnapshotPlace,
    StreamSnapshotRequest,
    StreamSnapshotResponse,
)

from libs.runtime.clock import Clock
from libs.runtime.rpc_errors import InvalidArgument
from services.status.domain.acts import Act, act_bytes

PAGE_DEFAULT: Final = 1_000
PAGE_MAX: Final = 10_000
_KEY_BYTES: Final = 16

# (message_key, tenant_id)
Place = tuple[bytes, str]
FIRST: Final[Place] = (b"", "")


class Shot(msgspec.Struct, frozen=True):
    """One message as it stands: all of one moment."""

    place: Place
    version: int
    image: bytes  # bluetick.v1.MessageImage
    acts: list[Act]


class SnapshotReader(Protocol):
    """Reads the store in the order of its keys."""

    async def page(
        self, after: Place, tenant_id: str, campaign_id: str, limit: int
    ) -> tuple[list[Shot], Place | None]:
        """Read messages that others were told of, each consistent by itself.

        Returns:
            At most ``limit`` messages behind ``after``, and where to go on; None: that was all. A
            page may hold fewer, or none, before the end.
        """


async def stream_snapshot(
    reader: SnapshotReader, clock: Clock, request: StreamSnapshotRequest
) -> AsyncIterator[StreamSnapshotResponse]:
    """Yield pages until the end of the store. Pages without a message are left out.

    Raises:
        InvalidArgument: a field of the request cannot be used.
    """
    limit = _checked(request)
    place: Place | None = FIRST
    if request.HasField("after"):
        place = (request.after.message_key, request.after.tenant_id)
    while place is not None:
        # Before it is read: what happens in between is in the page, and known to be.
        read_time_us = clock.now_us()
        shots, place = await reader.page(place, request.tenant_id, request.campaign_id, limit)
        if not shots:
            continue
        last = place or shots[-1].place
        yield StreamSnapshotResponse(
            messages=[_message(shot) for shot in shots],
            next_after=SnapshotPlace(message_key=last[0], tenant_id=last[1]),
            read_time_us=read_time_us,
        )


def _checked(request: StreamSnapshotRequest) -> int:
    if not 0 <= request.page_size <= PAGE_MAX:
        raise InvalidArgument.of("page_size", f"It is none of 0 to {PAGE_MAX:,}.")
    if request.campaign_id and not request.tenant_id:
        raise InvalidArgument.of("tenant_id", "Required with campaign_id.")
    if request.HasField("after") and len(request.after.message_key) != _KEY_BYTES:
        raise InvalidArgument.of("after.message_key", f"It needs {_KEY_BYTES} bytes.")
    return request.page_size or PAGE_DEFAULT


def _message(shot: Shot) -> MessageSnapshot:
    return MessageSnapshot(
        message_key=shot.place[0],
        tenant_id=shot.place[1],
        version=shot.version,
        image=MessageImage.FromString(shot.image),
        acts=[MessageAct.FromString(act_bytes(act)) for act in shot.acts],
    )
