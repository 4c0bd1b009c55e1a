"""bluetick-client against a gateway that answers what a test has written down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from bluetick.client import CallFailed, ChangesMissed, Client, Retries
from bluetick.v1 import campaign_service_pb2 as campaigns
from bluetick.v1 import campaign_service_pb2_grpc as campaign_rpc
from bluetick.v1 import change_pb2
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1 import ingest_service_pb2_grpc as ingest_rpc
from bluetick.v1 import message_service_pb2 as messages
from bluetick.v1 import message_service_pb2_grpc as message_rpc

from libs.runtime.rpc_errors import (
    InvalidArgument,
    OutOfRange,
    PermissionDenied,
    RpcError,
    Unavailable,
    abort,
)

QUICK = Retries(pause_s=0.001, pause_max_s=0.002)


@dataclass
class Script:
    """What the gateway does with each call, and what it was asked."""

    steps: list[Any] = field(default_factory=list)
    asked: list[tuple[Any, dict[str, str]]] = field(default_factory=list)
    end: RpcError | None = None  # of every call that no step is left for

    async def step(self, request: Any, context: Any) -> Any:
        copy = type(request)()
        copy.CopyFrom(request)
        self.asked.append((copy, dict(context.invocation_metadata())))
        step = self.steps.pop(0) if self.steps else self.end
        if isinstance(step, RpcError):
            await abort(context, step)
        return step


class _Messages(message_rpc.MessageServiceServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def GetMessage(self, request: Any, context: Any) -> Any:
        return await self._script.step(request, context)

    async def ListMessages(self, request: Any, context: Any) -> Any:
        return await self._script.step(request, context)

    async def WatchChanges(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for answer in await self._script.step(request, context):
            if isinstance(answer, RpcError):
                await abort(context, answer)
            yield answer


class _Campaigns(campaign_rpc.CampaignServiceServicer):
    def __init__(self, script: Script) -> None:
        self.CreateCampaign = script.step  # type: ignore[method-assign]


class _Ingest(ingest_rpc.IngestServiceServicer):
    def __init__(self, script: Script) -> None:
        self.RecordMessages = script.step  # type: ignore[method-assign]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def connect(script: Script) -> AsyncIterator[Callable[..., Client]]:
    server = grpc.aio.server()
    message_rpc.add_MessageServiceServicer_to_server(_Messages(script), server)  # type: ignore[abstract]
    campaign_rpc.add_CampaignServiceServicer_to_server(_Campaigns(script), server)  # type: ignore[abstract]
    ingest_rpc.add_IngestServiceServicer_to_server(_Ingest(script), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    clients = []

    def connected(**options: Any) -> Client:
        client = Client(f"127.0.0.1:{port}", api_key="key", retries=QUICK, **options)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        await client.close()
    await server.stop(0)


def a_change(number: int, version: int = 1) -> change_pb2.MessageChanged:
    return change_pb2.MessageChanged(
        tenant_id="demo", message_key=b"%016d" % number, version=version
    )


def an_answer(cursor: str, *numbers: int, **fields: Any) -> messages.WatchChangesResponse:
    changes = [a_change(number) for number in numbers]
    return messages.WatchChangesResponse(changes=changes, cursor=cursor, **fields)


def keys(changes: list[change_pb2.MessageChanged]) -> list[int]:
    return [int(change.message_key) for change in changes]


async def test_a_read_is_tried_again_under_one_id_until_it_is_answered(
    connect: Callable[..., Client], script: Script
) -> None:
    """A rolling update is none of the caller's business; in our logs it is one call."""
    answer = messages.GetMessageResponse(message=messages.Message(message_ref="ref-1"))
    script.steps = [Unavailable("soon", retry_s=0.001), Unavailable("soon"), answer]

    found = await connect().messages.GetMessage(messages.GetMessageRequest(message_ref="ref-1"))

    assert found == answer
    told = [metadata for _, metadata in script.asked]
    assert len(told) == 3
    assert len({metadata["x-request-id"] for metadata in told}) == 1
    assert {metadata["authorization"] for metadata in told} == {"Bearer key"}


async def test_only_what_can_do_no_harm_twice_is_tried_again(
    connect: Callable[..., Client], script: Script
) -> None:
    """Records may come twice; a campaign that was created is not to be created again."""
    script.steps = [Unavailable("lost"), Unavailable("lost"), ingest.RecordMessagesResponse()]
    client = connect()

    with pytest.raises(CallFailed) as failure:
        await client.campaigns.CreateCampaign(campaigns.CreateCampaignRequest())
    await client.ingest.RecordMessages(ingest.RecordMessagesRequest())

    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(script.asked) == 3


async def test_a_service_that_is_down_is_not_kept_down_by_retries(
    connect: Callable[..., Client], script: Script
) -> None:
    """Twenty retries, then a try for each call and no more."""
    script.end = Unavailable("down")
    client = connect()

    for _ in range(50):
        with pytest.raises(CallFailed):
            await client.messages.GetMessage(messages.GetMessageRequest())

    assert len(script.asked) == 50 + 20


async def test_a_failure_says_why_in_words_that_a_program_can_read(
    connect: Callable[..., Client], script: Script
) -> None:
    """Without any package but grpcio and protobuf; and it is the error that gRPC's users know."""
    script.steps = [InvalidArgument.of("page_size", "At most 1,000.")]

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await connect().messages.ListMessages(messages.ListMessagesRequest(page_size=5_000))

    failure = raised.value
    assert isinstance(failure, CallFailed)
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.reason == "INVALID_ARGUMENT"
    assert failure.fields == {"page_size": "At most 1,000."}
    assert failure.request_id == script.asked[0][1]["x-request-id"]


async def test_a_call_has_a_deadline_without_being_asked_for_one(
    connect: Callable[..., Client], script: Script
) -> None:
    """Tries and pauses included."""
    script.end = Unavailable("much later", retry_s=30)
    start = asyncio.get_running_loop().time()

    with pytest.raises(CallFailed):
        await connect(timeout_s=0.5).messages.GetMessage(messages.GetMessageRequest())

    assert asyncio.get_running_loop().time() - start < 5
    assert len(script.asked) == 1


async def test_pages_come_one_after_the_other(
    connect: Callable[..., Client], script: Script
) -> None:
    """And the question stays as it was."""
    script.steps = [
        messages.ListMessagesResponse(next_page_token="two", total_count=3),
        messages.ListMessagesResponse(total_count=3),
    ]
    client, request = connect(), messages.ListMessagesRequest(campaign_id="spring")

    pages = [page async for page in client.pages(client.messages.ListMessages, request)]

    assert len(pages) == 2
    assert [asked.page_token for asked, _ in script.asked] == ["", "two"]
    assert {asked.campaign_id for asked, _ in script.asked} == {"spring"}
    assert not request.page_token


async def test_changes_go_on_behind_every_kind_of_end_and_none_is_given_twice(
    connect: Callable[..., Client], script: Script
) -> None:
    """Age, drain, outage, a repeat after each: the reader sees one sequence."""
    script.steps = [
        [an_answer("a"), an_answer("b", 1, 2), an_answer("c", is_ending=True)],
        [an_answer("d", 3), Unavailable("draining", retry_s=0.001)],
        Unavailable("down"),
        [an_answer("e", 3, 4), an_answer("f", 5)],
        [an_answer("g", 5, 6, 7), Unavailable("down")],
    ]
    changes = connect().changes(cursor="start")
    found = []

    async for change in changes:
        found.append(change)
        if len(found) == 7:
            break

    assert keys(found) == [1, 2, 3, 4, 5, 6, 7]
    assert [asked.cursor for asked, _ in script.asked] == ["start", "c", "d", "d", "f"]
    assert changes.cursor == "f"  # the last change was given, not asked behind


async def test_a_change_that_its_reader_failed_on_is_given_again(
    connect: Callable[..., Client], script: Script
) -> None:
    """It is done when the next one is asked for, not when it was handed out."""
    script.steps = [[an_answer("a", 1, 2, 3)], [an_answer("a", 1, 2, 3)]]
    changes = connect().changes()
    found: list[change_pb2.MessageChanged] = []

    with pytest.raises(ZeroDivisionError):
        async for change in changes:
            found.append(change)
            if len(found) == 2:
                raise ZeroDivisionError
    async for change in changes:
        found.append(change)
        if len(found) == 4:
            break

    assert keys(found) == [1, 2, 2, 3]


async def test_changes_that_were_missed_are_told_with_the_oldest_there_are(
    connect: Callable[..., Client], script: Script
) -> None:
    """Never a gap without a word; and a refusal is no outage to wait out."""
    acts = {"oldest_cursor": "old", "oldest_time": "2026-11-01T00:00:00Z"}
    script.steps = [
        OutOfRange("gone", reason="CURSOR_EXPIRED", metadata=acts),
        PermissionDenied("no"),
    ]
    client = connect()

    with pytest.raises(ChangesMissed) as missed:
        await anext(aiter(client.changes(cursor="x")))
    with pytest.raises(CallFailed) as refused:
        await anext(aiter(client.changes(cursor="x")))

    assert missed.value.reason == "CURSOR_EXPIRED"
    assert (missed.value.oldest_cursor, missed.value.oldest_time) == tuple(acts.values())
    assert refused.value.reason == "ROLE_TOO_SMALL"


async def test_answers_carry_the_place_behind_them(
    connect: Callable[..., Client], script: Script
) -> None:
    """Whoever keeps it in one transaction with what they did gets each change exactly once."""
    script.steps = [[an_answer("a"), an_answer("b", 1, 2), an_answer("c", 2, 3)]]
    found = []

    async for answer in connect().changes().answers():
        found.append((keys(list(answer.changes)), answer.cursor))
        if len(found) == 3:
            break

    assert found == [([], "a"), ([1, 2], "b"), ([3], "c")]
