"""What a provider, a sender and a reader do, over the public surface only."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import grpc
import httpx
from bluetick.v1 import (
    analytics_service_pb2,
    analytics_service_pb2_grpc,
    campaign_service_pb2_grpc,
    ingest_service_pb2_grpc,
    message_service_pb2_grpc,
)

# The demo account's public test secret.
APP_SECRET = b"test_app_secret_0123456789abcdef"


def sign(body: bytes, secret: bytes = APP_SECRET) -> dict[str, str]:
    """Return the headers that Meta sends with ``body``."""
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}


def envelope(*, statuses: list | None = None, messages: list | None = None) -> bytes:
    """Return a webhook body of the messages field."""
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4915900000001", "phone_number_id": "1001"},
    }
    if statuses is not None:
        value["statuses"] = statuses
    if messages is not None:
        value["messages"] = messages
    change = {"field": "messages", "value": value}
    entry = [{"id": "2002", "changes": [change]}]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


def status(wamid: str, word: str, at: int, to: str = "491701000001", **more: Any) -> dict:
    """Return one item of statuses[]."""
    return {"id": wamid, "status": word, "timestamp": str(at), "recipient_id": to, **more}


class Outside:
    """Clients of one machine."""

    def __init__(self, machine: dict) -> None:
        self.machine = machine
        self.http = httpx.AsyncClient(base_url=machine["ingest"], timeout=20)
        self.channel = grpc.aio.insecure_channel(machine["gateway"])
        self.ingest = ingest_service_pb2_grpc.IngestServiceStub(self.channel)
        self.messages = message_service_pb2_grpc.MessageServiceStub(self.channel)
        self.campaigns = campaign_service_pb2_grpc.CampaignServiceStub(self.channel)
        self.analytics = analytics_service_pb2_grpc.AnalyticsServiceStub(self.channel)

    def key(self, role: str = "admin") -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call with the key of ``role``."""
        return (("authorization", f"Bearer {self.machine['api_keys'][role]}"),)

    async def call(self, method: Any, request: Any, role: str = "admin") -> Any:
        """Call with a key and a deadline."""
        return await method(request, metadata=self.key(role), timeout=15)

    async def callback(self, body: bytes, headers: dict[str, str] | None = None) -> int:
        """POST a callback of Meta's and return the HTTP status."""
        signed = sign(body) if headers is None else headers
        answer = await self.http.post("/callbacks/meta/acct_1", content=body, headers=signed)
        return answer.status_code

    async def callback_until_taken(self, body: bytes, limit_s: float = 60) -> None:
        """Do as a provider does: send again until 200."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            try:
                if await self.callback(body) == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("the callback was never taken")

    async def report(self, campaign_id: str) -> analytics_service_pb2.GetCampaignReportResponse:
        """Return the report as it is now."""
        request = analytics_service_pb2.GetCampaignReportRequest(campaign_id=campaign_id)
        return await self.call(self.analytics.GetCampaignReport, request, "reader")

    async def complete_report(
        self, campaign_id: str, limit_s: float = 60
    ) -> analytics_service_pb2.GetCampaignReportResponse:
        """Return the first report that includes everything answered OK before this call."""
        asked = time.time()
        end = time.monotonic() + limit_s
        seen: Any = None
        while time.monotonic() < end:
            try:
                report = await self.report(campaign_id)
                seen = report.complete_until_time
                if seen.seconds + seen.nanos / 1e9 > asked:
                    return report
            except grpc.aio.AioRpcError as error:
                waiting = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)
                if error.code() not in (*waiting, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
            await asyncio.sleep(0.1)
        raise AssertionError(f"no report is complete up to {asked}; the last one was to {seen}")

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()
        await self.channel.close()
