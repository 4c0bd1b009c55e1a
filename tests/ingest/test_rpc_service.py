from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from bluetick.v1 import ingest_service_pb2 as pb
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.runtime.accounts import Accounts
from libs.runtime.lifecycle import Scope
from libs.testkit.clock import ManualClock
from services.ingest.settings import IngestSettings
from services.ingest.wiring import open_database, open_grpc, open_links, open_senders_rpc
from tests.ingest.meta_bodies import ACCOUNT, change, dump, envelope, signature, status
from tests.ingest.record_builders import KeptEvents, an_accepted, an_engagement

TOKEN = "a-token-for-tests-only"


class Caller:
    """Calls ingest as the gateway does."""

    def __init__(self, stub: IngestServiceStub, kept: KeptEvents) -> None:
        self.stub = stub
        self.kept = kept

    async def call(
        self, name: str, request: Any, role: str = "SENDER", tenant: str = "demo"
    ) -> Any:
        metadata = (
            ("x-bluetick-internal-token", TOKEN),
            ("x-bluetick-tenant", tenant),
            ("x-bluetick-role", role),
        )
        return await getattr(self.stub, name)(request, metadata=metadata, timeout=10)


async def _caller(scope: Scope, kept: KeptEvents) -> Caller:
    settings = IngestSettings(
        internal_token=TOKEN, ingest_grpc_host="127.0.0.1", ingest_grpc_port=0
    )
    links = open_links(settings, open_database(scope, settings))
    accounts = Accounts([ACCOUNT])
    services = [open_senders_rpc(settings, accounts, kept, ManualClock(), links)]
    port = await open_grpc(scope, settings, services)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    scope.defer(channel.close)
    return Caller(IngestServiceStub(channel), kept)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    scope = Scope()
    yield await _caller(scope, KeptEvents())
    await scope.close()


@pytest.fixture
async def caller_without_broker() -> AsyncIterator[Caller]:
    scope = Scope()
    yield await _caller(scope, KeptEvents(is_away=True))
    await scope.close()


async def test_records_and_acts_are_stored_for_the_callers_tenant(caller: Caller) -> None:
    """The tenant comes from the key, never from the request."""
    records = pb.RecordMessagesRequest(messages=[an_accepted()])
    acts = pb.RecordEngagementsRequest(engagements=[an_engagement()])

    recorded = await caller.call("RecordMessages", records, tenant="acme")
    engaged = await caller.call("RecordEngagements", acts, role="ADMIN", tenant="acme")

    assert (recorded.recorded_count, engaged.recorded_count) == (1, 1)
    assert [event.tenant_id for event in caller.kept.batch.events] == ["acme", "acme"]


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("RecordMessages", pb.RecordMessagesRequest(messages=[an_accepted()])),
        ("RecordEngagements", pb.RecordEngagementsRequest(engagements=[an_engagement()])),
        ("TestCallback", pb.TestCallbackRequest(provider="meta", account="acct_1")),
    ],
)
async def test_a_reader_may_write_nothing(caller: Caller, name: str, request_: Any) -> None:
    """A key that was given to a dashboard must not be able to make numbers."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.call(name, request_, role="READER")

    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert not caller.kept.batch.events


async def test_a_callback_can_be_tried_without_storing_it(caller: Caller) -> None:
    """Setting a provider up must not leave traces in the numbers."""
    body = dump(envelope(change(statuses=[status("read")])))
    request = pb.TestCallbackRequest(
        provider="meta", account="acct_1", headers=signature(body), body=body
    )

    answer = await caller.call("TestCallback", request)

    assert answer.http_status == 200
    assert len(answer.events) == 1
    assert not caller.kept.batch.events


async def test_the_account_of_another_tenant_is_not_found(caller: Caller) -> None:
    """Nobody may learn what others have connected."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        request = pb.TestCallbackRequest(provider="meta", account="acct_1")
        await caller.call("TestCallback", request, tenant="other")

    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_whole_request_that_cannot_work_names_its_field(caller: Caller) -> None:
    """A client shows the field to whoever can mend it."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.call("RecordMessages", pb.RecordMessagesRequest())

    status_ = rpc_status.from_call(refused.value)
    bad = error_details_pb2.BadRequest()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert status_ is not None
    assert any(detail.Unpack(bad) for detail in status_.details)
    assert [violation.field for violation in bad.field_violations] == ["messages"]


async def test_what_is_not_on_disk_is_unavailable(caller_without_broker: Caller) -> None:
    """The sender keeps it and tries again."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        request = pb.RecordMessagesRequest(messages=[an_accepted()])
        await caller_without_broker.call("RecordMessages", request)

    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_calls_of_later_are_unimplemented(caller: Caller) -> None:
    """They are in the contract; what they do is not built."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.call("RecordConversions", pb.RecordConversionsRequest())

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
