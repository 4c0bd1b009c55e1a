"""The gRPC doors of status. What it does not serve stays as generated: UNIMPLEMENTED."""

from typing import Any

from bluetick.v1.ingest_service_pb2 import ListQuarantineRequest, ListQuarantineResponse
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceServicer
from bluetick.v1.message_service_pb2 import GetMessageRequest, GetMessageResponse
from bluetick.v1.message_service_pb2_grpc import MessageServiceServicer

from libs.runtime.api_keys import Role
from libs.runtime.rpc_context import caller
from services.status.get_message import MessageReader, get_message
from services.status.list_quarantine import QuarantineReader, list_quarantine


class MessageRpc(MessageServiceServicer):
    """MessageService: single messages."""

    def __init__(self, reader: MessageReader) -> None:
        self._reader = reader

    async def GetMessage(self, request: GetMessageRequest, context: Any) -> GetMessageResponse:
        """Return one message with its history; the address in clear for ADMIN only."""
        asking = caller(context)
        asking.require(Role.READER)
        message = await get_message(
            self._reader,
            asking.tenant_id,
            request,
            is_address_shown=asking.role >= Role.ADMIN,
        )
        return GetMessageResponse(message=message)


class QuarantineRpc(IngestServiceServicer):
    """The part of IngestService that reads what status keeps."""

    def __init__(self, reader: QuarantineReader) -> None:
        self._reader = reader

    async def ListQuarantine(
        self, request: ListQuarantineRequest, context: Any
    ) -> ListQuarantineResponse:
        """Return a page of quarantined callbacks; bodies for ADMIN only."""
        asking = caller(context)
        asking.require(Role.SENDER)
        return await list_quarantine(
            self._reader,
            asking.tenant_id,
            request,
            are_bodies_shown=asking.role >= Role.ADMIN,
        )
