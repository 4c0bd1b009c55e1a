"""Calls go through byte for byte, with the tenant of the key and the caller's deadline."""

import asyncio
import time
from typing import Any

import grpc
import pytest

from services.gateway.settings import GatewaySettings
from tests.gateway.conftest import TOKEN
from tests.gateway.stand_ins import Backend, StandIn, call

_GET_MESSAGE = "/bluetick.v1.MessageService/GetMessage"
_RECORD = "/bluetick.v1.IngestService/RecordMessages"
_REPORT = "/bluetick.v1.AnalyticsService/GetCampaignReport"
_QUARANTINE = "/bluetick.v1.IngestService/ListQuarantine"
_WATCH = "/bluetick.v1.MessageService/WatchChanges"

_NOT_PROTOBUF = b"\xff\xff\xff\x00 this is no protobuf at all"


async def test_the_payload_passes_untouched_and_undecoded(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Fields that this gateway's protos do not know yet must survive the way."""
    answer = await call(channel, _GET_MESSAGE, _NOT_PROTOBUF)

    assert answer == _NOT_PROTOBUF
    assert backend.status.received[0].request == _NOT_PROTOBUF


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        (_RECORD, "ingest"),
        (_QUARANTINE, "status"),
        (_GET_MESSAGE, "status"),
        (_REPORT, "analytics"),
    ],
)
async def test_each_call_reaches_the_service_that_owns_it_and_no_other(
    channel: grpc.aio.Channel, backend: Backend, path: str, owner: str
) -> None:
    """One public address, three services."""
    await call(channel, path)

    reached = {
        service.name: [received.path for received in service.received]
        for service in (backend.ingest, backend.status, backend.analytics)
    }
    assert reached == {"ingest": [], "status": [], "analytics": []} | {owner: [path]}


async def test_the_tenant_comes_from_the_key_whatever_the_caller_claims(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Metadata that a caller invents must never choose whose data is read."""
    forged = (
        ("x-bluetick-tenant", "demo"),
        ("x-bluetick-role", "ADMIN"),
        ("x-bluetick-request-id", "forged"),
        ("x-bluetick-internal-token", "forged"),
        ("x-something", "else"),
    )

    await call(channel, _GET_MESSAGE, key="reader-key-of-other", metadata=forged)

    got = backend.status.received[0].metadata
    assert got["x-bluetick-tenant"] == "other"
    assert got["x-bluetick-role"] == "READER"
    assert got["x-bluetick-internal-token"] == TOKEN
    assert got["x-bluetick-request-id"] not in ("", "forged")
    assert "authorization" not in got
    assert "x-something" not in got


async def test_a_callers_request_id_is_passed_on_and_echoed(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """One id finds a call in the logs of all services."""
    metadata = (("authorization", "Bearer reader-key-of-demo"), ("x-request-id", "trace-7"))

    started = channel.unary_unary(_GET_MESSAGE)(b"", metadata=metadata, timeout=5)
    await started

    assert dict(await started.initial_metadata())["x-request-id"] == "trace-7"
    assert backend.status.received[0].metadata["x-bluetick-request-id"] == "trace-7"


async def test_a_request_id_that_cannot_be_taken_is_replaced(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """What ends up in logs is plain; a strange id is no reason to refuse a call."""
    await call(channel, _GET_MESSAGE, metadata=(("x-request-id", "no spaces {}"),))

    assert "no spaces" not in backend.status.received[0].metadata["x-bluetick-request-id"]


async def test_the_callers_deadline_is_passed_on(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """The service behind bounds its queries by it; work for a caller who left is waste."""
    await call(channel, _GET_MESSAGE, timeout_s=3)
    await call(channel, _GET_MESSAGE, timeout_s=None)
    await call(channel, _GET_MESSAGE, timeout_s=500)

    own, default, capped = (each.remaining_s for each in backend.status.received)
    # gRPC rounds long time-outs up on the wire.
    assert own <= 3.1
    assert 9 < default <= 11
    assert 59 < capped <= 61


async def test_a_caller_who_leaves_ends_the_call_behind_too(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Else every impatient caller leaves a query running."""
    running, ended = asyncio.Event(), asyncio.Event()

    async def wait(_request: bytes, _context: Any) -> bytes:
        running.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return b""

    backend.status.respond = wait
    metadata = (("authorization", "Bearer reader-key-of-demo"),)

    started = channel.unary_unary(_GET_MESSAGE)(b"", metadata=metadata, timeout=20)
    await asyncio.wait_for(running.wait(), 5)
    started.cancel()

    await asyncio.wait_for(ended.wait(), 5)


async def test_a_stream_passes_in_order_and_ends_well(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Exports and watches are streams of many answers."""

    async def count_up(_request: bytes, context: Any) -> None:
        for number in range(500):
            await context.write(b"%d" % number)

    backend.status.stream = count_up
    metadata = (("authorization", "Bearer reader-key-of-demo"),)

    stream = channel.unary_stream(_WATCH)(b"", metadata=metadata, timeout=10)
    answers = [int(answer) async for answer in stream]

    assert answers == list(range(500))
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_watcher_who_leaves_ends_the_stream_behind(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Abandoned streams are never collected by gRPC itself; they would pile up for ever."""
    ended = asyncio.Event()

    async def for_ever(_request: bytes, context: Any) -> None:
        try:
            while True:
                await context.write(b"tick")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    backend.status.stream = for_ever
    metadata = (("authorization", "Bearer reader-key-of-demo"),)

    stream = channel.unary_stream(_WATCH)(b"", metadata=metadata, timeout=20)
    async for _ in stream:
        break
    stream.cancel()

    await asyncio.wait_for(ended.wait(), 5)


async def test_a_slow_reader_slows_the_service_down_instead_of_filling_the_gateway(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """A million rows for a caller who reads one a second must not sit in memory here."""
    written = 0

    async def pour(_request: bytes, context: Any) -> None:
        nonlocal written
        for _ in range(2000):
            await context.write(b"x" * 65536)
            written += 1

    backend.status.stream = pour
    metadata = (("authorization", "Bearer reader-key-of-demo"),)

    stream = channel.unary_stream(_WATCH)(b"", metadata=metadata, timeout=20)
    await stream.read()
    await asyncio.sleep(1)

    assert written < 1000
    stream.cancel()


@pytest.fixture
async def second_status(backend: Backend) -> Any:
    """A second replica of status, beside the first."""
    replica = StandIn("status")
    await replica.start()
    yield replica
    await replica.stop()


class TestReplicas:
    """Several addresses behind one name."""

    @pytest.fixture
    def settings(self, settings: GatewaySettings, second_status: StandIn) -> GatewaySettings:
        """Point status at two replicas, as a name with two addresses would."""
        first = settings.gateway_status_target.removeprefix("dns:///")
        second = second_status.target.removeprefix("dns:///")
        return settings.model_copy(update={"gateway_status_target": f"ipv4:{first},{second}"})

    async def test_calls_are_spread_over_all_replicas(
        self, channel: grpc.aio.Channel, backend: Backend, second_status: StandIn
    ) -> None:
        """Scaling a service is starting another one; the gateway finds it."""
        # Both connections have to be there before a share can be fair.
        await _until_called(channel, backend.status, second_status)
        before = len(backend.status.received), len(second_status.received)

        for _ in range(20):
            await call(channel, _GET_MESSAGE)

        assert len(backend.status.received) - before[0] == 10
        assert len(second_status.received) - before[1] == 10

    async def test_reads_survive_the_end_of_a_replica(
        self, channel: grpc.aio.Channel, backend: Backend, second_status: StandIn
    ) -> None:
        """A rolling restart must not be seen by whoever only reads."""
        await _until_called(channel, backend.status, second_status)

        await second_status.stop()

        for _ in range(20):
            assert await call(channel, _GET_MESSAGE, b"still here") == b"still here"


async def _until_called(channel: grpc.aio.Channel, *services: StandIn) -> None:
    end = time.monotonic() + 5
    while not all(service.received for service in services) and time.monotonic() < end:
        await call(channel, _GET_MESSAGE)
    assert all(service.received for service in services)
