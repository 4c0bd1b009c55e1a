"""What a caller sees of a service's gRPC server."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1 import message_service_pb2_grpc as pb_grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.lifecycle import Scope
from libs.runtime.probe_http import answer_probe
from libs.runtime.rpc_context import caller
from libs.runtime.rpc_errors import InvalidArgument, NotFound
from libs.runtime.rpc_health import WHY
from libs.runtime.rpc_server import RpcServer

NAME = "bluetick.v1.MessageService"
TOKEN = "a-token-for-tests"
_SERVING = health_pb2.HealthCheckResponse.SERVING
GATEWAY = (
    ("x-bluetick-internal-token", TOKEN),
    ("x-bluetick-tenant", "demo"),
    ("x-bluetick-role", "READER"),
)


class Servicer(pb_grpc.MessageServiceServicer):
    """Fails in each way, by the id it is asked for."""

    async def GetMessage(self, request: pb.GetMessageRequest, context: object) -> object:
        """Answer with the tenant's name, or fail as asked."""
        tenant_id = caller(context).tenant_id
        match request.message_ref:
            case "invalid":
                raise InvalidArgument.of("message_ref", "at most 256 characters; shorten it")
            case "missing":
                raise NotFound("No such message.", reason="MESSAGE_NOT_FOUND")
            case "broker":
                raise BrokerUnavailable("nats://user:secret@host")
            case "bug":
                raise ZeroDivisionError("secret text")
        return pb.GetMessageResponse(message=pb.Message(message_ref=tenant_id))


@pytest.fixture
def scope() -> Scope:
    """A service that takes work."""
    opened = Scope()
    opened.ready()
    return opened


@pytest.fixture
async def channel(scope: Scope) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a running server."""
    server = RpcServer(
        internal_token=TOKEN,
        services=[(pb_grpc.add_MessageServiceServicer_to_server, Servicer(), NAME)],
    )
    port = await server.start("127.0.0.1", 0, scope)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as open_channel:
        yield open_channel
    await scope.close()


async def _fail(channel: grpc.aio.Channel, ref: str, metadata: tuple = GATEWAY) -> tuple:
    stub = pb_grpc.MessageServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetMessage(pb.GetMessageRequest(message_ref=ref), metadata=metadata, timeout=5)
    details = {}
    status = rpc_status.from_call(caught.value)
    for packed in status.details if status else ():
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.RetryInfo,
        ):
            if packed.Is(kind.DESCRIPTOR):
                details[kind.__name__] = kind.FromString(packed.value)
    return caught.value, details


async def test_the_tenant_comes_from_the_gateway(channel: grpc.aio.Channel) -> None:
    """A payload never says whose data it is."""
    stub = pb_grpc.MessageServiceStub(channel)
    answer = await stub.GetMessage(pb.GetMessageRequest(), metadata=GATEWAY, timeout=5)

    assert answer.message.message_ref == "demo"


@pytest.mark.parametrize("metadata", [(), GATEWAY[1:], (("x-bluetick-internal-token", "no"),)])
async def test_nobody_gets_past_without_the_token(
    channel: grpc.aio.Channel, metadata: tuple
) -> None:
    """A service that is reachable by mistake must still refuse."""
    error, _ = await _fail(channel, "", metadata)

    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_an_error_names_reason_field_and_cure(channel: grpc.aio.Channel) -> None:
    """Callers branch on the reason and show the field."""
    error, details = await _fail(channel, "invalid")

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details["ErrorInfo"].reason == "INVALID_ARGUMENT"
    assert details["BadRequest"].field_violations[0].field == "message_ref"
    assert (await _fail(channel, "missing"))[1]["ErrorInfo"].reason == "MESSAGE_NOT_FOUND"


async def test_our_own_trouble_is_unavailable_with_a_time_to_retry(
    channel: grpc.aio.Channel,
) -> None:
    """A client that knows when to come back does not hammer."""
    error, details = await _fail(channel, "broker")

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert details["RetryInfo"].retry_delay.seconds == 1
    assert "secret" not in error.details()


async def test_a_bug_shows_a_correlation_id_and_nothing_else(channel: grpc.aio.Channel) -> None:
    """Exception texts hold addresses and queries."""
    error, details = await _fail(channel, "bug")

    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    assert len(details["ErrorInfo"].metadata["correlation_id"]) == 32


async def test_a_call_of_the_future_is_unimplemented(channel: grpc.aio.Channel) -> None:
    """A client of tomorrow gets a clear answer today."""
    stub = pb_grpc.MessageServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListMessages(pb.ListMessagesRequest(), metadata=GATEWAY, timeout=5)

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_is_open_and_says_what_readiness_says(
    channel: grpc.aio.Channel, scope: Scope
) -> None:
    """Probes have no credential. A service that cannot work says so in every tongue."""
    stub = health_pb2_grpc.HealthStub(channel)
    fault = ""
    scope.readiness.need("database", lambda: fault)
    told = []
    for fault in ("", "it does not answer", ""):
        wanted = health_pb2.HealthCheckResponse.NOT_SERVING if fault else _SERVING
        async with asyncio.timeout(5):
            while (
                await stub.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=5)
            ).status != wanted:
                await asyncio.sleep(0.02)
        told.append(answer_probe("/readyz", scope))

    assert [(code, body) for code, _, body in told] == [
        (200, b"ready\n"),
        (503, b"database: it does not answer\n"),
        (200, b"ready\n"),
    ]


class TestUndecodable:
    """Bytes that are no message of the request's type."""

    @pytest.mark.parametrize("rpc", ["GetMessage", "WatchChanges"])
    async def test_is_the_callers_mistake_and_says_so(
        self, channel: grpc.aio.Channel, rpc: str
    ) -> None:
        """A client that is told INTERNAL waits for our repair, and for ever."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _send(channel, f"/{NAME}/{rpc}", b"\xff\xff no message", GATEWAY)

        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        info = _error_info(caught.value)
        assert info.reason == "REQUEST_UNDECODABLE"
        assert info.metadata["rpc"] == f"{NAME}/{rpc}"

    async def test_tells_nothing_to_who_may_not_call(self, channel: grpc.aio.Channel) -> None:
        """The token comes first; nothing of a stranger's bytes is looked at."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _send(channel, f"/{NAME}/GetMessage", b"\xff\xff no message", ())

        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize("rpc", ["Check", "Watch"])
    async def test_is_the_same_for_health(self, channel: grpc.aio.Channel, rpc: str) -> None:
        """A probe that is set up wrongly is told so."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _send(channel, f"/grpc.health.v1.Health/{rpc}", b"\xff\xff", ())

        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def _send(channel: grpc.aio.Channel, path: str, request: bytes, metadata: tuple) -> object:
    if path.rpartition("/")[2].startswith("Watch"):
        return await channel.unary_stream(path)(request, metadata=metadata, timeout=5).read()
    return await channel.unary_unary(path)(request, metadata=metadata, timeout=5)


def _error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info


async def test_health_over_grpc_says_what_readiness_says_with_the_reason() -> None:
    """Whoever asks over gRPC must not be told another truth than who asks over HTTP."""
    faults = ["it does not answer"]
    scope = Scope()
    scope.readiness.need("broker", lambda: "; ".join(faults))
    scope.ready()
    server = RpcServer(internal_token=TOKEN, services=[])
    port = await server.start("127.0.0.1", 0, scope)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        asked = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await asked).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert dict(await asked.trailing_metadata())[WHY] == "broker: it does not answer"

        faults.clear()
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        watch.cancel()
        healed = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await healed).status == health_pb2.HealthCheckResponse.SERVING
        assert WHY not in dict(await healed.trailing_metadata())
    await scope.close()
