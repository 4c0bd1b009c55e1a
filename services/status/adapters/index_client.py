"""What analytics knows of messages, over gRPC with the internal token."""

import grpc
from bluetick.v1 import message_index_service_pb2 as pb
from bluetick.v1.analytics_service_pb2 import GetCampaignReportRequest
from bluetick.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from bluetick.v1.message_index_service_pb2_grpc import MessageIndexServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.runtime import logs
from libs.runtime.api_keys import Role
from libs.runtime.rpc_connections import channel_options
from libs.runtime.rpc_context import INTERNAL_TOKEN, ROLE, TENANT
from libs.runtime.rpc_errors import RpcError, Unavailable
from services.status.domain.export_columns import Row
from services.status.domain.summary_rows import summary_rows
from services.status.list_messages import Behind, Wanted

_TIMEOUT_S = 10.0
_RETRY_S = 1.0
# What is wrong with the question, which its caller may put right.
_OF_CALLER = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
_log = logs.get_logger()


class AnalyticsIndex:
    """See list_messages.MessageIndex."""

    def __init__(self, target: str, internal_token: str) -> None:
        options = (*channel_options(), ("grpc.enable_http_proxy", 0))
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._metadata = ((INTERNAL_TOKEN, internal_token),)
        self._index = MessageIndexServiceStub(self._channel)
        self._reports = AnalyticsServiceStub(self._channel)

    async def find(self, wanted: Wanted) -> Behind:
        """See list_messages.MessageIndex.find."""
        request = pb.FindMessagesRequest(
            tenant_id=wanted.tenant_id,
            campaign_id=wanted.campaign_id,
            where=wanted.where,
            after_number=wanted.after_number,
            limit=wanted.limit,
            is_counting=wanted.is_counting,
        )
        try:
            told = await self._index.FindMessages(
                request, metadata=self._metadata, timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error
        return Behind(
            list(zip(told.numbers, told.message_keys, strict=True)),
            told.is_end,
            told.total_count,
            told.as_of_time_us,
            told.complete_until_time_us,
        )

    async def summary(self, tenant_id: str, campaign_id: str) -> list[Row]:
        """See export_messages.Summaries.summary."""
        metadata = (*self._metadata, (TENANT, tenant_id), (ROLE, Role.READER.name))
        request = GetCampaignReportRequest(campaign_id=campaign_id)
        try:
            report = await self._reports.GetCampaignReport(
                request, metadata=metadata, timeout=_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error
        return summary_rows(report)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _told(error: grpc.aio.AioRpcError) -> RpcError:
    """Return what the caller may know of an error of analytics."""
    code = error.code()
    if code not in _OF_CALLER:
        _log.warning("index.unavailable", code=code.name, error=error.details())
        return Unavailable("Lists cannot be read at the moment; try again.", retry_s=_RETRY_S)
    told = RpcError(error.details() or code.name, reason=code.name)
    told.code = code
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            told.reason, told.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            told.violations = [(one.field, one.description) for one in bad.field_violations]
    return told
