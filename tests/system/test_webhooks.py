"""Webhooks through the public surface: put at the gateway, caused at the door, heard outside."""

import json
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from bluetick.v1 import webhook_service_pb2 as pb
from bluetick.v1.message_service_pb2 import ChangeFilter
from bluetick.v1.webhook_service_pb2_grpc import WebhookServiceStub

from tests.status.webhook_receiver import Receiver
from tests.system.outside import Outside, envelope, status

_REFUSED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    started = await Receiver().start()
    yield started
    await started.stop()


async def test_callbacks_of_a_provider_come_to_a_teams_server(
    outside: Outside, receiver: Receiver
) -> None:
    """Each change once, with both images; the key's role and the address are looked at first."""
    stub = WebhookServiceStub(outside.channel)
    put = pb.PutEndpointRequest(
        endpoint_id="outside", url=receiver.url(), filter=ChangeFilter(is_state_moved_only=True)
    )
    metadata = pb.PutEndpointRequest(endpoint_id="outside", url="http://169.254.169.254/")
    codes = []
    for role, request in (("sender", put), ("admin", metadata)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await outside.call(stub.PutEndpoint, request, role)
        codes.append(refused.value.code())
    made = await outside.call(stub.PutEndpoint, put)

    now = int(time.time())
    for word in ("sent", "delivered", "read"):
        assert await outside.callback(envelope(statuses=[status("wamid.HOOK1", word, now)])) == 200
    told: dict[int, dict] = {}
    seen = 0
    while not any(one["new_image"]["state"].endswith("_READ") for one in told.values()):
        requests = await receiver.until(seen + 1)
        seen = len(requests)
        assert all(request.is_signed_by(made.secret) for request in requests)
        bodies = [json.loads(request.body)["data"] for request in requests]
        told = {int(b["version"]): b for b in bodies if b["provider_message_id"] == "wamid.HOOK1"}
    await outside.call(stub.DeleteEndpoint, pb.DeleteEndpointRequest(endpoint_id="outside"))
    left = await outside.call(stub.ListEndpoints, pb.ListEndpointsRequest())

    assert tuple(codes) == _REFUSED
    assert not left.endpoints
    assert all(one["is_state_moved"] for one in told.values())
    assert len({request.webhook_id for request in receiver.requests}) == len(receiver.requests)
