"""A running analytics service and a caller of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from bluetick.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from bluetick.v1.campaign_service_pb2_grpc import CampaignServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.runtime.clock import Clock
from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from services.analytics.settings import AnalyticsSettings
from services.analytics.wiring import build
from tests.analytics.building import TENANT

TOKEN = "a-token-for-tests"


class Caller:
    """Calls as the gateway would: for one tenant, in one role."""

    def __init__(self, port: int, role: str = "ADMIN", tenant: str = TENANT) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.port = port
        self._metadata = (
            ("x-bluetick-tenant", tenant),
            ("x-bluetick-role", role),
            ("x-bluetick-internal-token", TOKEN),
        )
        self.campaigns = CampaignServiceStub(self._channel)
        self.analytics = AnalyticsServiceStub(self._channel)

    def as_(self, role: str = "ADMIN", tenant: str = TENANT) -> "Caller":
        return Caller(self.port, role, tenant)

    async def __call__(self, method: Any, request: Any) -> Any:
        return await method(request, metadata=self._metadata, timeout=10)

    async def refusal(self, method: Any, request: Any) -> tuple[str, str, list[str]]:
        """Return (code, reason, fields at fault) of a call that must fail."""
        try:
            answer = await self(method, request)
        except grpc.aio.AioRpcError as error:
            reason, fields = "", []
            status = rpc_status.from_call(error)
            for detail in status.details if status else []:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(bad):
                    fields = [violation.field for violation in bad.field_violations]
            return error.code().name, reason, fields
        raise AssertionError(f"answered {answer}")


@asynccontextmanager
async def running(
    broker_settings: RuntimeSettings, database_url: str, clock: Clock | None = None
) -> AsyncIterator[Caller]:
    settings = AnalyticsSettings(
        nats_url=broker_settings.nats_url,
        nats_monitor_url=broker_settings.nats_monitor_url,
        database_url=database_url,
        internal_token=TOKEN,
        analytics_grpc_host="127.0.0.1",
        analytics_grpc_port=0,
        analytics_probe_host="127.0.0.1",
        analytics_probe_port=0,
        analytics_progress_interval_s=0.02,
    )
    scope = Scope()
    try:
        yield Caller(await build(scope, settings, clock))
    finally:
        await scope.close()
