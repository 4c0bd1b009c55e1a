"""One tenant's calls and streams never take the place of others, nor of health."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.gateway.domain.budgets import Budget, BudgetLimits, Limit
from services.gateway.settings import GatewaySettings
from tests.gateway.errors import Failure, failure_of
from tests.gateway.stand_ins import Backend, call

_GET_MESSAGE = "/bluetick.v1.MessageService/GetMessage"
_REPORT = "/bluetick.v1.AnalyticsService/GetCampaignReport"
_WATCH = "/bluetick.v1.MessageService/WatchChanges"
_LIMITS = {
    "gateway_calls_in_flight_max": 6,
    "gateway_tenant_calls_in_flight_max": 4,
    "gateway_streams_open_max": 5,
    "gateway_tenant_streams_open_max": 3,
}


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Room for a handful."""
    return settings.model_copy(update=_LIMITS)


@pytest.fixture
async def waiting(backend: Backend) -> AsyncIterator[asyncio.Event]:
    """Calls of status wait for this; its streams say "open" and wait too."""
    release = asyncio.Event()

    async def respond(request: bytes, _context: Any) -> bytes:
        await release.wait()
        return request

    async def stream(_request: bytes, context: Any) -> None:
        await context.write(b"open")
        await release.wait()

    backend.status.respond = respond
    backend.status.stream_of = {_WATCH: stream}
    yield release
    release.set()


async def _open(channel: grpc.aio.Channel, key: str = "reader-key-of-demo") -> Any:
    stream = channel.unary_stream(_WATCH)(
        b"", metadata=(("authorization", f"Bearer {key}"),), timeout=30
    )
    assert await stream.read() == b"open"
    return stream


def _told(failure: Failure) -> tuple[grpc.StatusCode, str, str, str]:
    acts = failure.info.metadata
    assert failure.retry_s is not None
    return failure.code, failure.reason, acts["limit"], acts["setting"]


async def test_a_tenant_whose_streams_are_used_up_is_told_the_limit_and_nobody_else_is(
    channel: grpc.aio.Channel, waiting: asyncio.Event
) -> None:
    """A thousand forgotten dashboards of one customer are that customer's trouble."""
    streams = [await _open(channel) for _ in range(3)]

    failure = await failure_of(_open(channel))

    assert _told(failure) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TENANT_STREAMS_EXHAUSTED",
        "3",
        "BLUETICK_GATEWAY_TENANT_STREAMS_OPEN_MAX",
    )
    streams.append(await _open(channel, "reader-key-of-other"))
    assert await call(channel, _REPORT, b"of the same tenant") == b"of the same tenant"
    streams[0].cancel()
    async with asyncio.timeout(5):
        streams.append(await _until_open(channel))
    for stream in streams:
        stream.cancel()


async def _until_open(channel: grpc.aio.Channel) -> Any:
    while True:
        try:
            return await _open(channel)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.02)


async def test_a_tenant_whose_calls_are_used_up_is_told_the_limit_and_nobody_else_is(
    channel: grpc.aio.Channel, backend: Backend, waiting: asyncio.Event
) -> None:
    """A stuck report of one customer must not stop another's callbacks being looked up."""
    calls = [asyncio.create_task(call(channel, _GET_MESSAGE)) for _ in range(4)]
    await _until_received(backend, 4)

    failure = await failure_of(call(channel, _REPORT))

    assert _told(failure) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TENANT_CALLS_EXHAUSTED",
        "4",
        "BLUETICK_GATEWAY_TENANT_CALLS_IN_FLIGHT_MAX",
    )
    assert await call(channel, _REPORT, b"other", key="reader-key-of-other") == b"other"
    (await _open(channel)).cancel()
    waiting.set()
    await asyncio.gather(*calls)
    assert await call(channel, _REPORT, b"again") == b"again"


async def test_a_full_gateway_says_so_and_still_answers_health_and_reflection(
    channel: grpc.aio.Channel, backend: Backend, waiting: asyncio.Event
) -> None:
    """An orchestrator that hears nothing kills what is only busy."""
    calls = [asyncio.create_task(call(channel, _GET_MESSAGE)) for _ in range(4)]
    others = [
        asyncio.create_task(call(channel, _GET_MESSAGE, key="reader-key-of-other"))
        for _ in range(2)
    ]
    streams = [await _open(channel) for _ in range(3)]
    streams += [await _open(channel, "reader-key-of-other") for _ in range(2)]
    await _until_received(backend, 6 + 5)

    calls_full = await failure_of(call(channel, _REPORT, key="reader-key-of-other"))
    streams_full = await failure_of(_open(channel, "reader-key-of-other"))

    assert _told(calls_full)[1] == "CALLS_EXHAUSTED"
    assert _told(streams_full)[1] == "STREAMS_EXHAUSTED"
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = await reflection.ServerReflectionInfo(iter([ask]), timeout=5).read()
    assert listed.list_services_response.service
    waiting.set()
    await asyncio.gather(*calls, *others)
    for stream in streams:
        stream.cancel()


async def _until_received(backend: Backend, count: int) -> None:
    async with asyncio.timeout(5):
        while len(backend.status.received) < count:
            await asyncio.sleep(0.01)


class TestDefaults:
    """The limits as they are shipped."""

    @pytest.fixture
    def settings(self, settings: GatewaySettings) -> GatewaySettings:
        """Undo the small limits of this file."""
        fields = GatewaySettings.model_fields
        return settings.model_copy(update={name: fields[name].default for name in _LIMITS})

    async def test_two_thousand_watches_of_one_tenant_lock_nobody_out(
        self, gateway: str, backend: Backend, waiting: asyncio.Event, settings: GatewaySettings
    ) -> None:
        """They once took every place there was; not even health was answered."""
        async with contextlib.AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(grpc.aio.insecure_channel(gateway, options=_OWN))
                for _ in range(8)
            ]
            watches = [asyncio.create_task(_open(channels[at % 8])) for at in range(2000)]
            opened = await asyncio.gather(*watches, return_exceptions=True)

            refused = [each for each in opened if isinstance(each, grpc.aio.AioRpcError)]
            assert len(refused) == 2000 - settings.gateway_tenant_streams_open_max
            assert {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            other = channels[0]
            health = health_pb2_grpc.HealthStub(other)
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            assert await call(other, _REPORT, b"same") == b"same"
            assert await call(other, _REPORT, b"other", key="reader-key-of-other") == b"other"
            (await _open(other, "reader-key-of-other")).cancel()
            waiting.set()


# A connection for each channel, as from as many machines.
_OWN = (("grpc.use_local_subchannel_pool", 1),)


def test_every_place_that_is_taken_comes_back() -> None:
    """A place that leaks is a limit that falls for ever."""
    limits = BudgetLimits(
        kind="calls",
        total=Limit(value=3, setting="ALL", reason="ALL"),
        tenant=Limit(value=2, setting="ONE", reason="ONE"),
        retry_s=1,
    )
    budget = Budget(limits)

    taken = [budget.take(tenant) for tenant in ("a", "a", "a", "b", "b", "c")]

    assert taken == [None, None, limits.tenant, None, limits.total, limits.total]
    for tenant in ("a", "b", "a"):
        budget.give_back(tenant)
    assert budget.taken == 0
    assert [budget.take(tenant) for tenant in ("b", "b", "c")] == [None, None, None]
