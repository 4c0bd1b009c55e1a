"""What the gateway answers itself: health, reflection, probes; and how it starts and ends."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, get_args

import grpc
import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.runtime.lifecycle import Scope
from services.gateway.log_events import LogEvent
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build
from tests.gateway.errors import failure_of
from tests.gateway.ports import free_port
from tests.gateway.processes import running_gateway
from tests.gateway.stand_ins import Backend, call

_GET_MESSAGE = "/bluetick.v1.MessageService/GetMessage"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICES = {
    f"bluetick.v1.{name}Service" for name in ("Ingest", "Message", "Campaign", "Analytics", "Admin")
}


async def _health(channel: grpc.aio.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return int(answer.status)


async def test_health_needs_no_key_and_knows_every_public_service(
    channel: grpc.aio.Channel,
) -> None:
    """Load balancers have no key and ask by name."""
    for service in ("", *_SERVICES):
        assert await _health(channel, service) == _SERVING


async def test_health_of_a_service_goes_down_and_up_with_its_owner(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """The gateway itself stays up: it can still say what is missing."""
    port = int(backend.analytics.target.rpartition(":")[2])

    await backend.analytics.stop()
    await _until_health(channel, "bluetick.v1.AnalyticsService", _NOT_SERVING)
    assert await _health(channel, "") == _SERVING
    assert await _health(channel, "bluetick.v1.MessageService") == _SERVING
    await backend.analytics.start(port)

    await _until_health(channel, "bluetick.v1.AnalyticsService", _SERVING)


async def _until_health(channel: grpc.aio.Channel, service: str, status: int) -> None:
    async with asyncio.timeout(10):
        while await _health(channel, service) != status:
            await asyncio.sleep(0.05)


async def _reflect(channel: grpc.aio.Channel, **ask: Any) -> Any:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(**ask)
    stream = stub.ServerReflectionInfo(iter([request]), timeout=5)
    return await stream.read()


async def test_reflection_describes_all_five_services_without_a_key(
    channel: grpc.aio.Channel,
) -> None:
    """`buf curl` and grpcurl work with nothing but the address."""
    listed = await _reflect(channel, list_services="")

    names = {service.name for service in listed.list_services_response.service}
    assert names >= _SERVICES
    for service in _SERVICES:
        found = await _reflect(channel, file_containing_symbol=service)
        files = found.file_descriptor_response.file_descriptor_proto
        declared = {
            f"{file.package}.{each.name}"
            for file in map(FileDescriptorProto.FromString, files)
            for each in file.service
        }
        assert service in declared


class TestWeb:
    """The HTTP ports."""

    @pytest.fixture
    def settings(self, settings: GatewaySettings) -> GatewaySettings:
        """Fix the ports, so that they can be asked."""
        ports = {"gateway_web_port": free_port(), "gateway_probe_port": free_port()}
        return settings.model_copy(update=ports)

    async def test_both_ports_answer_the_probes(
        self, channel: grpc.aio.Channel, settings: GatewaySettings, backend: Backend
    ) -> None:
        """One port may be public, the other is for scrapers."""
        await call(channel, _GET_MESSAGE)
        await failure_of(call(channel, _GET_MESSAGE, key=None))

        async with httpx.AsyncClient() as client:
            for port in (settings.gateway_web_port, settings.gateway_probe_port):
                base = f"http://127.0.0.1:{port}"
                assert (await client.get(base + "/healthz")).status_code == 200
                ready = await client.get(base + "/readyz")
                assert ready.status_code == 200
                assert ready.json() == {
                    "why": {},
                    "ready": True,
                    "upstreams": {"ingest": "SERVING", "status": "SERVING", "analytics": "SERVING"},
                }
                metrics = (await client.get(base + "/metrics")).text
                assert 'rpc="MessageService/GetMessage"' in metrics
                assert 'code="UNAUTHENTICATED"' in metrics
                assert 'bluetick_gateway_upstream_up{upstream="status"} 1.0' in metrics
                assert (await client.get(base + "/else")).status_code == 404

    async def test_a_service_that_is_down_is_named_but_the_gateway_stays_ready(
        self, gateway: str, settings: GatewaySettings, backend: Backend
    ) -> None:
        """Taking all gateways out because ingest is down would end reports too."""
        await backend.ingest.stop()

        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            states: dict[str, str] = {}
            while states.get("ingest") != "UNREACHABLE":
                ready = await client.get(f"http://127.0.0.1:{settings.gateway_web_port}/readyz")
                assert ready.status_code == 200
                states = ready.json()["upstreams"]
                await asyncio.sleep(0.05)


async def test_a_second_gateway_on_the_same_port_fails_instead_of_taking_half_of_the_calls(
    gateway: str, settings: GatewaySettings
) -> None:
    """Two processes silently sharing a port is the strangest of all bugs."""
    taken = settings.model_copy(update={"gateway_grpc_port": int(gateway.rpartition(":")[2])})
    scope = Scope()

    with pytest.raises(RuntimeError):
        await build(scope, taken)

    await scope.close()


async def test_gateways_may_share_a_port_if_told_to(
    gateway: str, settings: GatewaySettings
) -> None:
    """One gateway uses one core; a big machine runs several on one port, all of them told so."""
    shared = settings.model_copy(update={"gateway_reuse_port": True, "gateway_grpc_port": 0})
    first, second = Scope(), Scope()
    port = await build(first, shared)

    again = await build(second, shared.model_copy(update={"gateway_grpc_port": port}))

    assert again == port
    await first.close()
    await second.close()


async def test_sigterm_lets_a_running_call_finish_and_ends_well(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend
) -> None:
    """A rolling update must not be seen by callers."""
    running = asyncio.Event()

    async def slow(request: bytes, _context: Any) -> bytes:
        running.set()
        await asyncio.sleep(1)
        return request

    backend.status.respond = slow
    async with running_gateway(settings, api_keys_file) as gateway:
        answer = asyncio.create_task(call(gateway.channel, _GET_MESSAGE, b"in flight"))
        await asyncio.wait_for(running.wait(), 5)

        gateway.process.send_signal(signal.SIGTERM)

        assert await answer == b"in flight"
        assert await gateway.end() == 0
    events = [json.loads(line)["event"] for line in gateway.log.splitlines()]
    assert "door.opened" in events
    assert events[-1] == "service.stopped"


async def test_a_gateway_without_its_secrets_names_all_that_is_missing_and_does_not_start() -> None:
    """An operator fixes all problems in one round."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.gateway",
        env={"PATH": os.environ["PATH"], "BLUETICK_GATEWAY_DEADLINE_MAX_S": "-1"},
        stderr=asyncio.subprocess.PIPE,
    )

    _, told = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 2
    for name in ("INTERNAL_TOKEN", "API_KEYS_FILE", "GATEWAY_DEADLINE_MAX_S"):
        assert f"BLUETICK_{name}".encode() in told


def test_every_line_that_is_logged_is_listed() -> None:
    """An operator looks the event up in one place."""
    folder = Path(__file__).parents[2] / "services" / "gateway"

    logged = {
        event
        for file in folder.rglob("*.py")
        for event in re.findall(r'_log\.\w+\(\s*"([^"]+)"', file.read_text())
    }

    assert logged == set(get_args(LogEvent))
