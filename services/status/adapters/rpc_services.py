"""The gRPC doors of status. What it does not serve stays as generated: UNIMPLEMENTED."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from bluetick.v1.ingest_service_pb2 import (
    QUARANTINE_SHELF_SET_ASIDE,
    GetCallbackHealthRequest,
    GetCallbackHealthResponse,
    ListQuarantineRequest,
    ListQuarantineResponse,
    ReplayQuarantineRequest,
    ReplayQuarantineResponse,
)
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceServicer
from bluetick.v1.message_service_pb2 import (
    ExportMessagesRequest,
    ExportMessagesResponse,
    GetMessageRequest,
    GetMessageResponse,
    ListMessagesRequest,
    ListMessagesResponse,
    ListUnmatchedOptOutsRequest,
    ListUnmatchedOptOutsResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from bluetick.v1.message_service_pb2_grpc import MessageServiceServicer
from bluetick.v1.snapshot_service_pb2 import StreamSnapshotRequest, StreamSnapshotResponse
from bluetick.v1.snapshot_service_pb2_grpc import SnapshotServiceServicer

from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.rpc_context import caller
from services.status import measures
from services.status.export_messages import ExportMessages
from services.status.get_callback_health import HealthReader, get_callback_health
from services.status.get_message import MessageReader, get_message
from services.status.list_messages import MessageIndex, list_messages
from services.status.list_quarantine import QuarantineReader, list_quarantine
from services.status.list_set_aside import SetAsideShelf, list_set_aside
from services.status.list_unmatched_opt_outs import OptOutReader, list_unmatched_opt_outs
from services.status.replay_quarantine import ReplayQuarantine
from services.status.replay_set_aside import replay_set_aside
from services.status.stream_snapshot import SnapshotReader, stream_snapshot
from services.status.watch_changes import Feed, watch_changes

# Of the caller's deadline, what is left for the answer's way back.
_MARGIN_S = 1.0
# Of a stream whose end nobody has said.
_LIFE_S: Final = 3_600.0
# A stream ends so much before the gateway would end it; those that began together not together.
_LAST_WORDS: Final = (0.90, 0.97)


class MessageRpc(MessageServiceServicer):
    """MessageService: single messages."""

    def __init__(
        self,
        reader: MessageReader,
        index: MessageIndex,
        export: ExportMessages,
        feed: Feed,
        opt_outs: OptOutReader,
        *,
        heartbeat_s: float = 15.0,
    ) -> None:
        self._reader = reader
        self._index = index
        self._export = export
        self._feed = feed
        self._opt_outs = opt_outs
        self._heartbeat_s = heartbeat_s

    async def GetMessage(self, request: GetMessageRequest, context: Any) -> GetMessageResponse:
        """Return one message with its history; the address in clear for ADMIN only."""
        asking = caller(context)
        asking.require(Role.READER)
        message = await get_message(
            self._reader,
            asking.tenant_id,
            request,
            is_address_shown=asking.role.may(Role.ADMIN),
        )
        return GetMessageResponse(message=message)

    async def ListUnmatchedOptOuts(
        self, request: ListUnmatchedOptOutsRequest, context: Any
    ) -> ListUnmatchedOptOutsResponse:
        """Return a page of opt-outs on no message; addresses in clear for ADMIN only."""
        asking = caller(context)
        asking.require(Role.READER)
        return await list_unmatched_opt_outs(
            self._opt_outs,
            asking.tenant_id,
            request,
            is_address_shown=asking.role.may(Role.ADMIN),
        )

    async def ListMessages(
        self, request: ListMessagesRequest, context: Any
    ) -> ListMessagesResponse:
        """Return a page of the messages behind a number; addresses in clear for ADMIN only."""
        asking = caller(context)
        asking.require(Role.READER)
        return await list_messages(
            self._index,
            self._reader,
            asking.tenant_id,
            request,
            is_address_shown=asking.role.may(Role.ADMIN),
        )

    async def ExportMessages(
        self, request: ExportMessagesRequest, context: Any
    ) -> AsyncIterator[ExportMessagesResponse]:
        """Stream the messages behind a number as a file; addresses in clear for ADMIN only."""
        asking = caller(context)
        asking.require(Role.READER)
        pieces = self._export.stream(
            asking.tenant_id, request, is_address_shown=asking.role.may(Role.ADMIN)
        )
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def WatchChanges(
        self, request: WatchChangesRequest, context: Any
    ) -> AsyncIterator[WatchChangesResponse]:
        """Stream changes of the caller's tenant; what names a person from SENDER on."""
        asking = caller(context)
        asking.require(Role.READER)
        life_s = (asking.stream_life_s or _LIFE_S) * random.uniform(*_LAST_WORDS)  # noqa: S311
        answers = watch_changes(
            self._feed,
            asking.tenant_id,
            request,
            is_whole=asking.role.may(Role.SENDER),
            heartbeat_s=self._heartbeat_s,
            life_s=life_s,
        )
        async with aclosing(answers):
            async for answer in answers:
                measures.CHANGES_WATCHED.inc(len(answer.changes))
                yield answer


class SnapshotRpc(SnapshotServiceServicer):
    """SnapshotService: the message store, for other services."""

    def __init__(self, reader: SnapshotReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    async def StreamSnapshot(
        self, request: StreamSnapshotRequest, context: Any
    ) -> AsyncIterator[StreamSnapshotResponse]:
        """Stream messages in the order of their keys. Of no tenant: the gateway has no way here."""
        async for page in stream_snapshot(self._reader, self._clock, request):
            yield page


class CallbackRpc(IngestServiceServicer):
    """The part of IngestService about callbacks that status keeps."""

    def __init__(
        self,
        quarantine: QuarantineReader,
        replays: ReplayQuarantine,
        health: HealthReader,
        set_aside: SetAsideShelf,
        clock: Clock,
        *,
        replay_limit_s: float,
        silent_after_h: int,
    ) -> None:
        self._quarantine = quarantine
        self._replays = replays
        self._health = health
        self._set_aside = set_aside
        self._clock = clock
        self._replay_limit_s = replay_limit_s
        self._silent_after_h = silent_after_h

    async def ListQuarantine(
        self, request: ListQuarantineRequest, context: Any
    ) -> ListQuarantineResponse:
        """Return a page of quarantined callbacks; bodies for ADMIN only.

        The shelf SET_ASIDE is the operator's; bodies of its messages are shown to nobody.
        """
        asking = caller(context)
        if request.shelf == QUARANTINE_SHELF_SET_ASIDE:
            asking.require(Role.OPERATOR)
            return await list_set_aside(self._set_aside, request)
        asking.require(Role.SENDER)
        return await list_quarantine(
            self._quarantine,
            asking.tenant_id,
            request,
            are_bodies_shown=asking.role.may(Role.ADMIN),
        )

    async def ReplayQuarantine(
        self, request: ReplayQuarantineRequest, context: Any
    ) -> ReplayQuarantineResponse:
        """Have quarantined callbacks read again, within the caller's deadline.

        From the shelf SET_ASIDE, which is the operator's, messages go back onto their streams.
        """
        asking = caller(context)
        left_s = context.time_remaining()
        limit_s = self._replay_limit_s
        if left_s is not None:
            limit_s = min(limit_s, max(left_s - _MARGIN_S, 0.0))
        if request.shelf == QUARANTINE_SHELF_SET_ASIDE:
            asking.require(Role.OPERATOR)
            return await replay_set_aside(self._set_aside, request, limit_s=limit_s)
        asking.require(Role.SENDER)
        return await self._replays.replay(asking.tenant_id, request, limit_s=limit_s)

    async def GetCallbackHealth(
        self, request: GetCallbackHealthRequest, context: Any
    ) -> GetCallbackHealthResponse:
        """Say how the callbacks of each account are doing."""
        asking = caller(context)
        asking.require(Role.SENDER)
        return await get_callback_health(
            self._health,
            asking.tenant_id,
            request,
            now_us=self._clock.now_us(),
            silent_after_h=self._silent_after_h,
        )
