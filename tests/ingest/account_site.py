"""Replicas of ingest on one database and one broker, and a gateway in front of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
from bluetick.v1.admin_service_pb2_grpc import AdminServiceStub

from libs.runtime.api_keys import hash_of
from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build as build_gateway
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build as build_ingest
from tests.gateway.conftest import TOKEN
from tests.ingest.meta_bodies import change, dump, envelope, signature, status

SEAL_1 = "one:the-first-secret-that-seals-all-others"
SEAL_2 = "two:the-second-secret-that-seals-all-others"
CALLBACK = dump(envelope(change(statuses=[status()])))
_KEYS = {
    "admin-of-demo": ("demo", "ADMIN"),
    "sender-of-demo": ("demo", "SENDER"),
    "admin-of-other": ("other", "ADMIN"),
}


class Replica:
    """One ingest."""

    def __init__(self, scope: Scope, http_port: int, grpc_port: int) -> None:
        self.scope = scope
        self.grpc_port = grpc_port
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=20)

    async def post(
        self, account: str, body: bytes = CALLBACK, secret: str = "s1", **fields: Any
    ) -> httpx.Response:
        """Send a callback of Meta's to one account, signed."""
        given: dict[str, Any] = {"content": body, "headers": signature(body, secret), **fields}
        return await self.http.post(f"/callbacks/meta/{account}", **given)

    async def stop(self) -> None:
        """End it."""
        await self.http.aclose()
        await self.scope.close()


class Site:
    """What a test needs of all this."""

    def __init__(self, replicas: list[Replica], channel: grpc.aio.Channel, clock: ManualClock):
        self.replicas = replicas
        self.channel = channel
        self.clock = clock
        self.stub = AdminServiceStub(channel)

    def call(self, name: str, request: Any, key: str = "admin-of-demo") -> Awaitable[Any]:
        """Call an RPC of AdminService through the gateway."""
        metadata = (("authorization", f"Bearer {key}"),)
        answer: Awaitable[Any] = getattr(self.stub, name)(request, metadata=metadata, timeout=10)
        return answer


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(15):
        while not await holds():
            await asyncio.sleep(0.02)


async def a_replica(broker_settings: RuntimeSettings, clock: ManualClock, **fields: Any) -> Replica:
    """Start one ingest on free ports."""
    scope = Scope()
    given: dict[str, Any] = {
        "nats_url": broker_settings.nats_url,
        "nats_monitor_url": broker_settings.nats_monitor_url,
        "internal_token": TOKEN,
        "account_keys": SEAL_1,
        "ingest_accounts_interval_s": 0.05,
        "ingest_door_report_interval_s": 0.1,
        **fields,
    }
    for door in ("http", "grpc"):
        given |= {f"ingest_{door}_host": "127.0.0.1", f"ingest_{door}_port": 0}
    try:
        ports = await build_ingest(scope, IngestSettings(**given), clock)
    except BaseException:
        await scope.close()
        raise
    return Replica(scope, *ports)


@asynccontextmanager
async def a_site(
    broker_settings: RuntimeSettings,
    database_url: str,
    folder: Path,
    *,
    replica_count: int = 1,
    **fields: Any,
) -> AsyncIterator[Site]:
    """Run replicas that share a database, and a gateway before the first of them."""
    clock = ManualClock()
    accounts = folder / "accounts.json"
    of_file = {"provider": "meta", "account": "of_file", "tenant": "demo",
               "secrets": {"app_secret": ["s1"]}}  # fmt: skip
    accounts.write_text(json.dumps({"accounts": [of_file]}))
    given = {"accounts_file": str(accounts), "database_url": database_url, **fields}
    replicas = [await a_replica(broker_settings, clock, **given) for _ in range(replica_count)]
    gateway = Scope()
    port = await build_gateway(gateway, _gateway_settings(folder, replicas[0].grpc_port))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Site(replicas, channel, clock)
        finally:
            await gateway.close()
            for replica in replicas:
                await replica.stop()


def _gateway_settings(folder: Path, ingest_port: int) -> GatewaySettings:
    keys = folder / "api_keys.json"
    entries = [
        {"sha256": hash_of(key), "tenant": tenant, "role": role}
        for key, (tenant, role) in _KEYS.items()
    ]
    keys.write_text(json.dumps({"keys": entries}))
    nobody = "dns:///127.0.0.1:1"
    return GatewaySettings(
        internal_token=TOKEN,
        api_keys_file=str(keys),
        gateway_grpc_host="127.0.0.1",
        gateway_web_host="127.0.0.1",
        gateway_grpc_port=0,
        gateway_web_port=0,
        gateway_probe_port=0,
        gateway_ingest_target=f"dns:///127.0.0.1:{ingest_port}",
        gateway_status_target=nobody,
        gateway_analytics_target=nobody,
        gateway_keys_interval_s=0.1,
        gateway_unready_s=0,
        gateway_drain_s=3,
    )
