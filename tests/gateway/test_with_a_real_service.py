"""The gateway before the server that all services use: token, caller, errors fit together."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1 import message_service_pb2_grpc as rpc

from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_context import caller
from libs.runtime.rpc_errors import InvalidArgument
from libs.runtime.rpc_server import RpcServer
from services.gateway.settings import GatewaySettings
from tests.gateway.conftest import TOKEN
from tests.gateway.errors import failure_of

_READER = (("authorization", "Bearer reader-key-of-other"), ("x-request-id", "trace-9"))


class _Messages(rpc.MessageServiceServicer):
    async def GetMessage(self, request: pb.GetMessageRequest, context: Any) -> Any:
        if not request.message_ref:
            raise InvalidArgument.of("message_ref", "empty; say which message.")
        who = caller(context)
        message = pb.Message(
            message_ref=request.message_ref, account=who.tenant_id, address=who.role.name
        )
        return pb.GetMessageResponse(message=message)


@pytest.fixture(params=[TOKEN])
async def settings(
    request: pytest.FixtureRequest, settings: GatewaySettings
) -> AsyncIterator[GatewaySettings]:
    """Put a real service in the place of status; its token is the parameter."""
    scope = Scope()
    name = "bluetick.v1.MessageService"
    services = [(rpc.add_MessageServiceServicer_to_server, _Messages(), name)]
    server = RpcServer(internal_token=request.param, services=services)
    port = await server.start("127.0.0.1", 0, scope)
    yield settings.model_copy(update={"gateway_status_target": f"dns:///127.0.0.1:{port}"})
    await scope.close()


async def test_a_typed_call_reaches_the_service_with_the_keys_tenant_and_role(
    channel: grpc.aio.Channel,
) -> None:
    """The one way in which a service learns whose data to read."""
    stub = rpc.MessageServiceStub(channel)

    answer = await stub.GetMessage(
        pb.GetMessageRequest(message_ref="m-1"), metadata=_READER, timeout=5
    )

    assert answer.message.message_ref == "m-1"
    assert (answer.message.account, answer.message.address) == ("other", "READER")


async def test_a_services_violation_reaches_the_caller_with_the_callers_request_id(
    channel: grpc.aio.Channel,
) -> None:
    """The field's path and the cure are of no use if they stay inside."""
    stub = rpc.MessageServiceStub(channel)

    failure = await failure_of(stub.GetMessage(pb.GetMessageRequest(), metadata=_READER, timeout=5))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.text == "message_ref: empty; say which message."
    assert failure.request_id == "trace-9"


async def test_an_rpc_that_the_service_has_not_built_yet_is_unimplemented(
    channel: grpc.aio.Channel,
) -> None:
    """The surface is complete before the services are."""
    stub = rpc.MessageServiceStub(channel)

    failure = await failure_of(
        stub.ListMessages(pb.ListMessagesRequest(), metadata=_READER, timeout=5)
    )

    assert failure.code is grpc.StatusCode.UNIMPLEMENTED
    assert failure.reason == "UNIMPLEMENTED"


async def test_a_stream_that_the_service_has_not_built_yet_is_unimplemented(
    channel: grpc.aio.Channel,
) -> None:
    """The same for streams, where an error takes another way."""
    stub = rpc.MessageServiceStub(channel)

    stream = stub.WatchChanges(pb.WatchChangesRequest(), metadata=_READER, timeout=5)
    failure = await failure_of(stream.read())

    assert failure.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("settings", ["another-token-than-ours"], indirect=True)
async def test_two_different_internal_tokens_are_our_trouble_not_the_callers(
    channel: grpc.aio.Channel,
) -> None:
    """An operator mistyped a secret; callers must not start to doubt their keys."""
    stub = rpc.MessageServiceStub(channel)

    failure = await failure_of(
        stub.GetMessage(pb.GetMessageRequest(message_ref="m-1"), metadata=_READER, timeout=5)
    )

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("rpc_name", ["GetMessage", "WatchChanges"])
async def test_bytes_that_are_no_request_are_the_callers_mistake(
    channel: grpc.aio.Channel, rpc_name: str
) -> None:
    """The gateway forwards bytes as they come; the service says what is wrong with them."""
    path = f"/bluetick.v1.MessageService/{rpc_name}"
    start = channel.unary_stream(path) if rpc_name == "WatchChanges" else channel.unary_unary(path)

    started = start(b"\xff\xff no message", metadata=_READER, timeout=5)
    failure = await failure_of(started.read() if rpc_name == "WatchChanges" else started)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.reason == "REQUEST_UNDECODABLE"
    assert failure.request_id == "trace-9"
