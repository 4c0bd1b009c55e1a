"""GetMessage and ListQuarantine through the real gRPC server."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from bluetick.v1 import common_pb2 as words
from bluetick.v1 import event_pb2
from bluetick.v1.ingest_service_pb2 import ListQuarantineRequest
from bluetick.v1.ingest_service_pb2_grpc import (
    IngestServiceStub,
    add_IngestServiceServicer_to_server,
)
from bluetick.v1.message_service_pb2 import EraseContactRequest, GetMessageRequest, Message
from bluetick.v1.message_service_pb2_grpc import (
    MessageServiceStub,
    add_MessageServiceServicer_to_server,
)
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from libs.testkit import builders
from services.status.adapters.change_feed import ChangeFeed
from services.status.adapters.export_rows import ExportRows
from services.status.adapters.index_client import AnalyticsIndex
from services.status.adapters.readers import MessageRows, OptOutRows
from services.status.adapters.rpc_services import MessageRpc
from services.status.export_messages import ExportMessages
from services.status.get_message import HISTORY_MAX
from tests.status.callbacks import a_callback_rpc
from tests.status.machine import Bench

T = builders.TIME_US
TOKEN = "a token for tests"


def caller(role: str = "READER", tenant: str = builders.TENANT) -> list[tuple[str, str]]:
    return [
        ("x-bluetick-internal-token", TOKEN),
        ("x-bluetick-tenant", tenant),
        ("x-bluetick-role", role),
    ]


def a_message_rpc(
    database: Database, scope: Scope, feed: ChangeFeed, heartbeat_s: float = 15.0
) -> MessageRpc:
    """The service beside an index that nobody serves."""
    index = AnalyticsIndex("dns:///127.0.0.1:1", TOKEN)
    scope.defer(index.close)
    export = ExportMessages(index, index, ExportRows(database))
    return MessageRpc(  # type: ignore[abstract]
        MessageRows(database), index, export, feed, OptOutRows(database), heartbeat_s=heartbeat_s
    )


@pytest_asyncio.fixture(loop_scope="session")
async def channel(database: Database, feed: ChangeFeed) -> AsyncIterator[grpc.aio.Channel]:
    scope = Scope()
    server = RpcServer(
        internal_token=TOKEN,
        services=[
            (
                add_MessageServiceServicer_to_server,
                a_message_rpc(database, scope, feed),
                "m",
            ),
            (add_IngestServiceServicer_to_server, a_callback_rpc(database), "i"),
        ],
    )
    port = await server.start("127.0.0.1", 0, scope)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await scope.close()


async def get(channel: grpc.aio.Channel, role: str = "READER", **request: str) -> Message:
    answer = await MessageServiceStub(channel).GetMessage(
        GetMessageRequest(**request), metadata=caller(role)
    )
    return answer.message


async def reason_of(call: Any) -> tuple[str, str]:
    """Return the gRPC code and the reason with which ``call`` fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    status = rpc_status.from_call(failure.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return failure.value.code().name, info.reason


async def test_a_message_is_found_by_both_names_with_its_whole_history(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """A report's number leads to a person; a person's message must be readable to the end."""
    await bench.apply(
        builders.a_registered(words.EVENT_KIND_QUEUED, occur_time_us=T - 5),
        builders.a_registered(occur_time_us=T),
        builders.a_failure(occur_time_us=T + 1, detail="Message undeliverable"),
        builders.an_event(occur_time_us=T + 2),
        builders.a_click(occur_time_us=T + 3),
    )

    by_ref = await get(channel, message_ref="ref-1")
    by_id = await get(channel, provider="meta", provider_message_id="wamid.TEST1")

    assert by_ref == by_id
    assert by_ref.state == words.MESSAGE_STATE_DELIVERED
    assert (by_ref.is_registered, by_ref.is_recovered, by_ref.is_read_inferred) == (True,) * 3
    assert [entry.kind for entry in by_ref.history] == [
        words.EVENT_KIND_QUEUED,
        words.EVENT_KIND_ACCEPTED,
        words.EVENT_KIND_UNDELIVERED,
        words.EVENT_KIND_DELIVERED,
        words.EVENT_KIND_CLICKED,
    ]
    assert by_ref.failure.provider_code == "131026"
    assert by_ref.failure.detail == "Message undeliverable"
    assert by_ref.failure.stage == words.FAILURE_STAGE_UNDELIVERED
    assert by_ref.failure.topic == words.FAILURE_TOPIC_NOT_ON_WHATSAPP
    assert by_ref.registration.campaign_id == "campaign-1"
    assert by_ref.milestones.deliver_time.ToMicroseconds() == T + 2
    assert not by_ref.milestones.HasField("read_time")


async def test_a_failure_has_the_topic_that_its_callback_was_read_with(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Two sources write the same number, and only who read it knew which one it was."""
    await bench.apply(
        builders.a_registered(occur_time_us=T),
        builders.a_failure("200", occur_time_us=T + 1, topic=words.FAILURE_TOPIC_OPT_OUT),
    )

    found = await get(channel, message_ref="ref-1")

    assert found.failure.topic == words.FAILURE_TOPIC_OPT_OUT


async def test_addresses_are_in_clear_for_admins_only(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """A reader of numbers need not see phone numbers."""
    await bench.apply(builders.a_registered())

    assert (await get(channel, "SENDER", message_ref="ref-1")).address == "••••01"
    assert (await get(channel, "ADMIN", message_ref="ref-1")).address == builders.ADDRESS


async def test_messages_nobody_registered_are_found_too(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Whoever looks for a lost message must see that it was heard of."""
    await bench.apply(
        builders.an_event(address="+14155550109"),
        builders.an_event(words.EVENT_KIND_INFO, provider_message_id="wamid.2"),
    )

    reported = await get(channel, provider="meta", provider_message_id="wamid.TEST1")
    heard_of = await get(channel, provider="meta", provider_message_id="wamid.2")

    assert (reported.is_registered, reported.address) == (False, "••••09")
    assert (heard_of.state, heard_of.version) == (words.MESSAGE_STATE_UNSPECIFIED, 0)
    assert [entry.kind for entry in heard_of.history] == [words.EVENT_KIND_INFO]


async def test_a_click_that_waits_for_its_record_is_visible_by_reference(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Parked is not lost."""
    from tests.status.test_transaction import a_click_by_ref

    await bench.apply(a_click_by_ref())

    waiting = await get(channel, message_ref="ref-1")

    assert (waiting.message_ref, waiting.is_registered) == ("ref-1", False)
    assert [entry.kind for entry in waiting.history] == [words.EVENT_KIND_CLICKED]


async def test_a_long_history_is_cut_and_says_so(bench: Bench, channel: grpc.aio.Channel) -> None:
    """An answer has a ceiling; a cut that is not told would be a lie."""
    deferrals = [
        builders.an_event(words.EVENT_KIND_DEFERRED, occur_time_us=T + n)
        for n in range(HISTORY_MAX + 5)
    ]
    await bench.apply(*deferrals)

    message = await get(channel, provider="meta", provider_message_id="wamid.TEST1")

    assert (len(message.history), message.is_history_cut) == (HISTORY_MAX, True)
    assert message.history[0].occur_time.ToMicroseconds() == T


async def test_unknown_and_foreign_messages_are_not_found_and_bad_requests_say_why(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Another tenant's message must look exactly like one that does not exist."""
    await bench.apply(builders.a_registered())
    stub = MessageServiceStub(channel)

    def ask(tenant: str = builders.TENANT, **names: str) -> Any:
        return stub.GetMessage(GetMessageRequest(**names), metadata=caller(tenant=tenant))

    missing = ("NOT_FOUND", "MESSAGE_NOT_FOUND")
    assert await reason_of(ask(message_ref="nobody")) == missing
    assert await reason_of(ask(provider="meta", provider_message_id="nobody")) == missing
    assert await reason_of(ask("other", message_ref="ref-1")) == missing
    invalid = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert await reason_of(ask()) == invalid
    assert await reason_of(ask(provider="meta")) == invalid
    assert await reason_of(ask(provider_message_id="wamid.TEST1")) == invalid
    assert await reason_of(ask(message_ref="x" * 2000)) == invalid


async def test_calls_of_later_days_answer_unimplemented(channel: grpc.aio.Channel) -> None:
    """The surface is complete from the first day; what is missing says so."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await MessageServiceStub(channel).EraseContact(EraseContactRequest(), metadata=caller())

    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def many_quarantined(count: int) -> list[event_pb2.Quarantined]:
    return [
        builders.a_quarantined(
            quarantine_key=n.to_bytes(16, "big"),
            receive_time_us=T + n // 2,
            body=b"body %d" % n,
            account="acct_1" if n % 3 else "acct_2",
            proof=event_pb2.CALLBACK_PROOF_CREDENTIAL,
        )
        for n in range(count)
    ]


async def test_quarantine_is_paged_newest_first_without_gaps_or_repeats(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Several share one microsecond; a page must not lose or repeat them."""
    await bench.apply(quarantined=many_quarantined(25))
    stub = IngestServiceStub(channel)
    seen, token = [], ""
    while True:
        request = ListQuarantineRequest(page_size=4, page_token=token)
        page = await stub.ListQuarantine(request, metadata=caller("SENDER"))
        seen += [int(callback.quarantine_id, 16) for callback in page.callbacks]
        token = page.next_page_token
        if not token:
            break

    assert seen == list(reversed(range(25)))


async def test_quarantined_bodies_are_for_admins_only(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """Bodies hold phone numbers and texts."""
    await bench.apply(quarantined=many_quarantined(1))
    stub = IngestServiceStub(channel)

    as_sender = await stub.ListQuarantine(ListQuarantineRequest(), metadata=caller("SENDER"))
    as_admin = await stub.ListQuarantine(ListQuarantineRequest(), metadata=caller("ADMIN"))

    (sender_sees,), (admin_sees,) = as_sender.callbacks, as_admin.callbacks
    assert (sender_sees.body, sender_sees.body_bytes) == (b"", 6)
    assert (admin_sees.body, admin_sees.receive_count) == (b"body 0", 1)
    assert sender_sees.reason == "STATUS_WITHOUT_ID"
    # Whether anybody but the provider can have put it there.
    assert sender_sees.proof == event_pb2.CALLBACK_PROOF_CREDENTIAL


async def test_a_page_token_belongs_to_its_filter_and_its_tenant(
    bench: Bench, channel: grpc.aio.Channel
) -> None:
    """A token used for another question would silently skip rows."""
    await bench.apply(quarantined=many_quarantined(9))
    stub = IngestServiceStub(channel)
    first = await stub.ListQuarantine(
        ListQuarantineRequest(page_size=2, account="acct_1"), metadata=caller("SENDER")
    )

    def ask(role: str = "SENDER", tenant: str = builders.TENANT, **request: Any) -> Any:
        return stub.ListQuarantine(ListQuarantineRequest(**request), metadata=caller(role, tenant))

    invalid = ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    token = first.next_page_token
    assert {c.account for c in first.callbacks} == {"acct_1"}
    assert await reason_of(ask(page_token=token)) == invalid
    assert await reason_of(ask(tenant="other", account="acct_1", page_token=token)) == invalid
    assert await reason_of(ask(page_token="no token")) == invalid
    assert await reason_of(ask(page_size=1001)) == invalid
    assert await reason_of(ask(page_size=-1)) == invalid
    assert await reason_of(ask(role="READER")) == ("PERMISSION_DENIED", "ROLE_TOO_SMALL")
