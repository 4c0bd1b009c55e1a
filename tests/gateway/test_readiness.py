"""The gateway's readiness covers the services behind it, with their own reasons."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from services.gateway.domain.routes import Upstream
from services.gateway.domain.upstream_states import UNKNOWN, UpstreamState, is_ready, reasons
from services.gateway.settings import GatewaySettings
from tests.gateway.conftest import TOKEN
from tests.gateway.ports import free_port
from tests.gateway.stand_ins import Backend

_TOLD = "the table `messages` has no column `state`"
_FAULT = f"database: {_TOLD}"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def faults() -> list[str]:
    """What is wrong with status; empty: nothing."""
    return []


@pytest.fixture
async def settings(settings: GatewaySettings, faults: list[str]) -> AsyncIterator[GatewaySettings]:
    """A gateway whose status is a server of ours that knows its faults."""
    scope = Scope()
    scope.readiness.need("database", lambda: "; ".join(faults))
    scope.ready()
    server = RpcServer(internal_token=TOKEN, services=[])
    port = await server.start("127.0.0.1", 0, scope)
    yield settings.model_copy(
        update={
            "gateway_web_port": free_port(),
            "gateway_status_target": f"dns:///127.0.0.1:{port}",
        }
    )
    await scope.close()


async def _ready(settings: GatewaySettings) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{settings.gateway_web_port}/readyz")
        return answer.status_code, answer.json()


async def _until(settings: GatewaySettings, code: int, why: dict[str, str]) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            got, body = await _ready(settings)
            if (got, body["why"]) == (code, why):
                return body
            await asyncio.sleep(0.05)


async def test_a_service_that_cannot_work_is_told_with_its_own_reason(
    gateway: str, settings: GatewaySettings, faults: list[str]
) -> None:
    """Whoever is woken reads one page, and knows where to look."""
    faults.append(_TOLD)

    body = await _until(settings, 200, {"status": _FAULT})

    assert body["upstreams"]["status"] == "NOT_SERVING"
    faults.clear()
    await _until(settings, 200, {})


async def test_a_gateway_with_nobody_behind_is_not_ready_and_says_so_over_grpc_too(
    gateway: str, channel: grpc.aio.Channel, settings: GatewaySettings, backend: Backend,
    faults: list[str],
) -> None:  # fmt: skip
    """It can do nothing for a caller; another gateway perhaps can."""
    port = int(backend.ingest.target.rpartition(":")[2])
    faults.append(_TOLD)
    await backend.ingest.stop()
    await backend.analytics.stop()
    silent = "its health check ends with UNAVAILABLE"

    await _until(settings, 503, {"ingest": silent, "status": _FAULT, "analytics": silent})

    stub = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(5):
        while (await stub.Check(health_pb2.HealthCheckRequest())).status != _NOT_SERVING:
            await asyncio.sleep(0.05)
    await backend.ingest.start(port)
    await _until(settings, 200, {"status": _FAULT, "analytics": silent})
    async with asyncio.timeout(5):
        while (await stub.Check(health_pb2.HealthCheckRequest())).status != _SERVING:
            await asyncio.sleep(0.05)


class TestAll:
    """Where an operator wants every service or none."""

    @pytest.fixture
    def settings(self, settings: GatewaySettings) -> GatewaySettings:
        """Need all."""
        return settings.model_copy(update={"gateway_ready_needs": "all"})

    async def test_one_service_that_cannot_work_makes_the_gateway_unready(
        self, gateway: str, settings: GatewaySettings, faults: list[str]
    ) -> None:
        """A setting, since it takes reports down with ingest."""
        await _until(settings, 200, {})

        faults.append(_TOLD)

        await _until(settings, 503, {"status": _FAULT})


@pytest.mark.parametrize("serving", range(4))
def test_any_and_all_count_the_services_that_serve(serving: int) -> None:
    """Every number of services that serve, from none to all."""
    words = ["SERVING"] * serving + ["UNREACHABLE"] * (3 - serving)
    states = {each: UpstreamState(word) for each, word in zip(Upstream, words, strict=True)}

    assert is_ready(states, "any") is (serving > 0)
    assert is_ready(states, "all") is (serving == 3)
    assert len(reasons(states)) == 3 - serving


def test_before_the_first_look_nothing_is_believed() -> None:
    """A gateway that has asked nobody does not say that it is ready."""
    assert not is_ready(dict.fromkeys(Upstream, UNKNOWN), "any")
