"""The message store of status, streamed over gRPC."""

from collections.abc import AsyncIterator

import grpc
from bluetick.v1 import snapshot_service_pb2 as pb

from libs.runtime.rpc_connections import channel_options
from libs.runtime.rpc_context import INTERNAL_TOKEN
from services.analytics.domain.change_view import PageView
from services.analytics.rebuild_cells import Page, SnapshotUnavailable

_METHOD = "/bluetick.v1.SnapshotService/StreamSnapshot"
# A page holds many messages, and one of them may have many acts.
_PAGE_BYTES_MAX = 256 * 1024**2


class StatusSnapshots:
    """See rebuild_cells.Snapshots."""

    def __init__(self, target: str, internal_token: str, page_messages: int) -> None:
        options = (
            *channel_options(),
            ("grpc.max_receive_message_length", _PAGE_BYTES_MAX),
            ("grpc.enable_http_proxy", 0),
        )
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._metadata = ((INTERNAL_TOKEN, internal_token),)
        self._page_messages = page_messages
        # Read as the fold reads, from the contract's own bytes.
        self._start = self._channel.unary_stream(
            _METHOD,
            request_serializer=pb.StreamSnapshotRequest.SerializeToString,
            response_deserializer=PageView.FromString,
        )

    async def pages(self, tenant_id: str, after_key: bytes) -> AsyncIterator[Page]:
        """See rebuild_cells.Snapshots.pages."""
        request = pb.StreamSnapshotRequest(tenant_id=tenant_id, page_size=self._page_messages)
        if after_key:
            request.after.message_key, request.after.tenant_id = after_key, tenant_id
        call = self._start(request, metadata=self._metadata)
        try:
            async for page in call:
                yield Page(page.messages, page.read_time_us)
        except grpc.aio.AioRpcError as error:
            raise SnapshotUnavailable(f"{error.code().name}: {error.details()}") from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
