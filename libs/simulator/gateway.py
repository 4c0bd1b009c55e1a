"""The gateway as a sender sees it: the few calls that the simulator makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import grpc
import grpc.aio
from bluetick.v1 import (
    analytics_service_pb2,
    analytics_service_pb2_grpc,
    campaign_service_pb2,
    campaign_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
)

T = TypeVar("T")

_DEADLINE_S = 15.0
_RETRY_S = 60.0
_FIRST_RETRY_S = 5.0  # nobody there at the start is a wrong address more often than an outage
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class RecordRefused(Exception):
    """The gateway took the request but not every record in it."""


class Gateway:
    """Calls with a key, a deadline, and retries where a retry is safe (all of these are)."""

    def __init__(self, address: str, api_key: str) -> None:
        self._metadata = (("authorization", f"Bearer {api_key}"),)
        self._channel = grpc.aio.insecure_channel(address)
        self._ingest = ingest_service_pb2_grpc.IngestServiceStub(self._channel)
        self._analytics = analytics_service_pb2_grpc.AnalyticsServiceStub(self._channel)
        self._campaigns = campaign_service_pb2_grpc.CampaignServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        """Open; nothing is sent yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection, whatever happened inside."""
        await self._channel.close()

    async def record_messages(self, records: list[ingest_service_pb2.MessageRecord]) -> int:
        """Record messages, 1 to 1,000; returns the retries that it took.

        Raises:
            RecordRefused: some record was rejected; says the first.
            grpc.aio.AioRpcError: refused for good, or no answer for a minute.
        """
        request = ingest_service_pb2.RecordMessagesRequest(messages=records)
        answer, retries = await self._call(self._ingest.RecordMessages, request)
        _refuse_rejections(answer.rejections)
        return retries

    async def record_engagements(self, records: list[ingest_service_pb2.EngagementRecord]) -> int:
        """Record engagements, as `record_messages`."""
        request = ingest_service_pb2.RecordEngagementsRequest(engagements=records)
        answer, retries = await self._call(self._ingest.RecordEngagements, request)
        _refuse_rejections(answer.rejections)
        return retries

    async def create_campaign(self, campaign: campaign_service_pb2.Campaign) -> None:
        """Create a campaign; one that exists already stays as it is."""
        request = campaign_service_pb2.CreateCampaignRequest(campaign=campaign)
        try:
            await self._call(self._campaigns.CreateCampaign, request, retry_s=_FIRST_RETRY_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    async def report(
        self, campaign_id: str
    ) -> analytics_service_pb2.GetCampaignReportResponse | None:
        """The report, or None while nobody has heard of the campaign."""
        request = analytics_service_pb2.GetCampaignReportRequest(campaign_id=campaign_id)
        try:
            return (await self._call(self._analytics.GetCampaignReport, request))[0]
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    async def failure_reasons(
        self, campaign_id: str
    ) -> analytics_service_pb2.GetFailureReasonsResponse:
        """Failure reasons of both stages."""
        request = analytics_service_pb2.GetFailureReasonsRequest(campaign_id=campaign_id)
        return (await self._call(self._analytics.GetFailureReasons, request))[0]

    async def _call(
        self, method: Callable[..., Awaitable[T]], request: object, *, retry_s: float = _RETRY_S
    ) -> tuple[T, int]:
        deadline = asyncio.get_running_loop().time() + retry_s
        retries = 0
        while True:
            try:
                answer = await method(request, metadata=self._metadata, timeout=_DEADLINE_S)
                return answer, retries
            except grpc.aio.AioRpcError as error:
                is_late = asyncio.get_running_loop().time() > deadline
                if error.code() not in _RETRYABLE or is_late:
                    raise
            await asyncio.sleep(min(2.0, 0.05 * 2**retries))
            retries += 1


def _refuse_rejections(rejections: Iterable[ingest_service_pb2.Rejection]) -> None:
    for rejection in rejections:
        raise RecordRefused(f"record {rejection.index}: {rejection.reason}: {rejection.detail}")
