"""A stream lives as long as the product says, and its end is told in words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1 import message_service_pb2_grpc as rpc

from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_connections import STREAM_MAX_S, server_options
from libs.runtime.rpc_context import STREAM_LIFE
from libs.runtime.rpc_server import RpcServer
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build
from tests.gateway.conftest import TOKEN
from tests.gateway.errors import Failure, failure_of

_WATCH = "/bluetick.v1.MessageService/WatchChanges"
_READER = (("authorization", "Bearer reader-key-of-demo"),)


class _Watches(rpc.MessageServiceServicer):
    """A service whose watch tells a number every 20 ms, resumed after a cursor.

    After the cursor "pour" it tells as much as its caller takes.
    """

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.life_s = ""  # as the gateway told it

    async def WatchChanges(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.life_s = dict(context.invocation_metadata()).get(STREAM_LIFE, "")
        is_pouring = request.cursor == "pour"
        number = 0 if is_pouring else int(request.cursor or "0")
        try:
            while is_pouring:
                yield pb.WatchChangesResponse(cursor="x" * 100_000)
            while True:
                number += 1
                yield pb.WatchChangesResponse(cursor=str(number))
                await asyncio.sleep(0.02)
        finally:
            self.ended.set()


class _Service:
    """A real server of ours in the place of status, whose connections live for half a second."""

    def __init__(self) -> None:
        self.scope, self.servicer, self.target = Scope(), _Watches(), ""

    async def start(self) -> None:
        server = RpcServer(
            internal_token=TOKEN,
            services=[
                (rpc.add_MessageServiceServicer_to_server, self.servicer, "bluetick.v1.M"),
            ],
            connection_age_s=0.5,
        )
        self.target = f"dns:///127.0.0.1:{await server.start('127.0.0.1', 0, self.scope)}"


@pytest.fixture
async def service() -> AsyncIterator[_Service]:
    """The service that streams."""
    started = _Service()
    await started.start()
    yield started
    await started.scope.close()


@pytest.fixture
def life_s() -> float:
    """How long streams live here."""
    return 3.0


@pytest.fixture
def settings(settings: GatewaySettings, service: _Service, life_s: float) -> GatewaySettings:
    """A gateway before it, on which everything ages fast."""
    return settings.model_copy(
        update={
            "gateway_status_target": service.target,
            "gateway_connection_age_s": 1,
            "gateway_stream_max_s": life_s,
        }
    )


@contextlib.asynccontextmanager
async def _running(settings: GatewaySettings) -> AsyncIterator[tuple[Scope, grpc.aio.Channel]]:
    scope = Scope()
    port = await build(scope, settings)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield scope, channel
    await scope.close()


async def _watch(channel: grpc.aio.Channel, after: str = "") -> tuple[list[int], Failure]:
    """Watch to the end; return what was told, and how it ended."""
    stream = rpc.MessageServiceStub(channel).WatchChanges(
        pb.WatchChangesRequest(cursor=after), metadata=_READER
    )
    told: list[int] = []

    async def to_the_end() -> None:
        async for answer in stream:
            told.append(int(answer.cursor))

    return told, await asyncio.wait_for(failure_of(to_the_end()), 20)


async def test_a_stream_outlives_its_connections_and_ends_with_words_at_its_age(
    channel: grpc.aio.Channel, life_s: float, service: _Service
) -> None:
    """A dashboard resumes after the last thing it saw, and misses and repeats nothing."""
    loop = asyncio.get_running_loop()
    start_time = loop.time()

    told, end = await _watch(channel)

    assert loop.time() - start_time >= life_s
    assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_AGED")
    assert service.servicer.life_s == "3"
    assert end.info.metadata["life_s"] == "3"
    assert end.retry_s is not None
    assert 0 < end.retry_s <= 2
    resumed, _ = await _watch(channel, after=str(told[-1]))
    assert told + resumed == list(range(1, len(told) + len(resumed) + 1))


async def test_the_watch_behind_ends_with_the_stream(
    channel: grpc.aio.Channel, service: _Service
) -> None:
    """Else every aged stream leaves a query running."""
    await _watch(channel)

    await asyncio.wait_for(service.servicer.ended.wait(), 5)


async def test_a_callers_own_deadline_ends_a_stream_as_a_deadline(
    channel: grpc.aio.Channel,
) -> None:
    """Age is the product's bound; a deadline is the caller's."""
    stub = rpc.MessageServiceStub(channel)
    stream = stub.WatchChanges(pb.WatchChangesRequest(), metadata=_READER, timeout=0.5)

    async def to_the_end() -> None:
        async for _ in stream:
            pass

    assert (await failure_of(to_the_end())).code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_no_connection_ends_before_the_longest_stream_on_it() -> None:
    """The two ages are set in different processes; they must agree at any setting."""
    options = dict(server_options())
    longest = GatewaySettings.model_fields["gateway_stream_max_s"].metadata

    assert options["grpc.max_connection_age_grace_ms"] > STREAM_MAX_S * 1000
    assert any(getattr(each, "le", None) == STREAM_MAX_S for each in longest)


class TestDrain:
    """What streams see when a process is told to stop."""

    @pytest.fixture
    def life_s(self) -> float:
        """Long: nothing ages here."""
        return 600

    async def test_a_gateway_that_stops_sends_its_streams_elsewhere(
        self, settings: GatewaySettings
    ) -> None:
        """A rolling update moves streams; it does not break them."""
        loop = asyncio.get_running_loop()
        async with _running(settings) as (scope, channel):
            watching = asyncio.create_task(_watch(channel))
            await asyncio.sleep(0.5)

            start_time = loop.time()
            await scope.close()

            told, end = await watching
        assert told
        assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert end.retry_s is not None
        # Not the drain's time: nothing is left to wait for once streams are told.
        assert loop.time() - start_time < settings.gateway_drain_s

    async def test_a_service_that_stops_tells_its_streams_through_the_gateway(
        self, channel: grpc.aio.Channel, service: _Service
    ) -> None:
        """The watch resumes at another replica of the service, through the same gateway."""
        watching = asyncio.create_task(_watch(channel))
        await asyncio.sleep(0.5)

        await service.scope.close()

        told, end = await watching
        assert told
        assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert service.servicer.ended.is_set()

    async def test_a_caller_who_stopped_reading_does_not_hold_the_end(
        self, settings: GatewaySettings
    ) -> None:
        """The words wait behind what it has not read; the drain does not."""
        async with _running(settings) as (scope, channel):
            stub = rpc.MessageServiceStub(channel)
            stream = stub.WatchChanges(pb.WatchChangesRequest(cursor="pour"), metadata=_READER)
            await stream.read()
            await asyncio.sleep(0.5)

            await asyncio.wait_for(scope.close(), settings.gateway_drain_s + 3)
            stream.cancel()
