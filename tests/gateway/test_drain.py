"""SIGTERM of a real gateway while calls pour in: none of them fails."""

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.gateway.settings import GatewaySettings
from tests.gateway.errors import failure_of
from tests.gateway.processes import running_gateway
from tests.gateway.stand_ins import Backend, call

_GET_MESSAGE = "/bluetick.v1.MessageService/GetMessage"
_RECORD = "/bluetick.v1.IngestService/RecordMessages"
_WATCH = "/bluetick.v1.MessageService/WatchChanges"
_ROUNDS = 5
_BURST = 100


@pytest.mark.parametrize("round_", range(_ROUNDS))
async def test_sigterm_in_the_middle_of_a_burst_fails_no_call(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend, round_: int
) -> None:
    """gRPC's own stop cancels whatever waits in its queue; a fifth of a burst and more."""
    async with running_gateway(settings, api_keys_file) as gateway:
        burst = [
            asyncio.create_task(call(gateway.channel, path, b"%d" % number, timeout_s=20))
            for number in range(_BURST)
            for path in (_GET_MESSAGE, _RECORD)
        ]
        # The burst is on its way, some of it answered, none of it is waited for.
        await asyncio.sleep(0.01 * round_)
        gateway.process.send_signal(signal.SIGTERM)

        answers = await asyncio.gather(*burst, return_exceptions=True)

        assert Counter(map(_outcome, answers)) == {"OK": 2 * _BURST}
        assert await gateway.end() == 0


async def test_callers_who_never_pause_lose_nothing_where_another_gateway_takes_over(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend
) -> None:
    """A rolling update under load: each gateway goes while the other serves."""
    async with (
        running_gateway(settings, api_keys_file) as first,
        running_gateway(settings, api_keys_file) as second,
        grpc.aio.insecure_channel(
            f"ipv4:{first.address},{second.address}", options=_ROUND_ROBIN
        ) as channel,
    ):
        outcomes: Counter[str] = Counter()
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                answer = await asyncio.gather(
                    call(channel, _GET_MESSAGE, timeout_s=20), return_exceptions=True
                )
                outcomes[_outcome(answer[0])] += 1

        callers = [asyncio.create_task(ask()) for _ in range(50)]
        await asyncio.sleep(1)
        first.process.send_signal(signal.SIGTERM)
        code = await first.end()
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*callers)

    assert code == 0
    assert outcomes["OK"] > 50
    assert set(outcomes) == {"OK"}


_ROUND_ROBIN = (
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


def _outcome(answer: Any) -> str:
    if isinstance(answer, grpc.aio.AioRpcError):
        return f"{answer.code().name}: {answer.details()}"
    return "OK" if isinstance(answer, bytes) else repr(answer)


async def test_a_stopping_gateway_says_no_first_and_serves_on_while_balancers_look_away(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend
) -> None:
    """A balancer needs some seconds to notice; what it sends meanwhile is answered."""
    slow = settings.model_copy(update={"gateway_unready_s": 2})
    async with running_gateway(slow, api_keys_file) as gateway, httpx.AsyncClient() as client:
        gateway.process.send_signal(signal.SIGTERM)

        async with asyncio.timeout(1.5):
            while (await client.get(gateway.web + "/readyz")).status_code != 503:
                await asyncio.sleep(0.02)
        health = health_pb2_grpc.HealthStub(gateway.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await client.get(gateway.web + "/healthz")).status_code == 200
        async with grpc.aio.insecure_channel(gateway.address) as late:
            assert await call(late, _GET_MESSAGE, b"late") == b"late"
        assert await gateway.end() == 0


async def test_a_call_that_does_not_end_is_cut_when_the_drain_is_over(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend
) -> None:
    """An orchestrator waits for so long and not longer; then it kills."""
    running = asyncio.Event()

    async def respond(_request: bytes, _context: Any) -> bytes:
        running.set()
        await asyncio.sleep(60)
        return b""

    backend.status.respond = respond
    short = settings.model_copy(update={"gateway_drain_s": 1})
    async with running_gateway(short, api_keys_file) as gateway:
        waiting = asyncio.create_task(failure_of(call(gateway.channel, _GET_MESSAGE, timeout_s=30)))
        await asyncio.wait_for(running.wait(), 5)
        gateway.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(gateway.end(), 10) == 0
        assert (await waiting).code is grpc.StatusCode.UNAVAILABLE


async def test_a_watch_of_health_does_not_hold_the_end(
    settings: GatewaySettings, api_keys_file: Path, backend: Backend
) -> None:
    """Balancers watch health for ever; nobody's work is lost when that ends."""
    patient = settings.model_copy(update={"gateway_drain_s": 15, "shutdown_s": 20.0})
    async with running_gateway(patient, api_keys_file) as gateway:
        watch = health_pb2_grpc.HealthStub(gateway.channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        gateway.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(gateway.end(), 10) == 0
