"""WatchChanges through the real gRPC server, over a real stream of changes."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import pytest_asyncio
from bluetick.v1 import change_pb2
from bluetick.v1 import common_pb2 as words
from bluetick.v1.message_service_pb2 import (
    ChangeFilter,
    WatchChangesRequest,
    WatchChangesResponse,
)
from bluetick.v1.message_service_pb2_grpc import (
    MessageServiceStub,
    add_MessageServiceServicer_to_server,
)
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.runtime.broker import CHANGES_STREAM, Broker, changes_subject
from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from libs.testkit import builders
from services.status.adapters.change_feed import ChangeFeed
from services.status.domain.states import word
from services.status.domain.watch_place import Place, cursor_of, read_cursor
from tests.status.test_reads import TOKEN, a_message_rpc, caller

HEARTBEAT_S = 0.15
READ, DELIVERED = words.MESSAGE_STATE_READ, words.MESSAGE_STATE_DELIVERED


@dataclass
class Stream:
    """What was published on CHANGES, and how more is."""

    broker: Broker
    published: list[change_pb2.MessageChanged] = field(default_factory=list)

    async def publish(self, *changes: change_pb2.MessageChanged) -> None:
        """One broker message, as status publishes it: of one tenant, into one state."""
        batch = builders.a_change_batch(*changes, batch_id=f"batch-{len(self.published)}")
        self.published += changes
        await self.broker.publish(
            changes_subject(batch.tenant_id, word(batch.state)),
            batch.SerializeToString(),
            msg_id=batch.batch_id,
            stream=CHANGES_STREAM,
        )


@dataclass
class Watch:
    """One open watch."""

    call: Any
    answers: list[WatchChangesResponse] = field(default_factory=list)

    @property
    def changes(self) -> list[change_pb2.MessageChanged]:
        return [change for answer in self.answers for change in answer.changes]

    async def read(self) -> WatchChangesResponse:
        answer = await asyncio.wait_for(self.call.read(), 10)
        assert answer is not grpc.aio.EOF
        self.answers.append(answer)
        return answer

    async def until(self, count: int) -> list[change_pb2.MessageChanged]:
        """Read until there are so many changes, and one sign of life more: nothing follows."""
        while len(self.changes) < count:
            await self.read()
        while (await self.read()).changes:
            continue
        return self.changes

    @property
    def cursor(self) -> str:
        return self.answers[-1].cursor


def a_move(
    number: int, state: words.MessageState.ValueType = DELIVERED, **fields: Any
) -> change_pb2.MessageChanged:
    fields.setdefault("is_state_moved", True)
    return builders.a_change(
        builders.an_image(state, contact_id=f"person-{number}"),
        provider_message_id=f"wamid.{number}",
        message_ref=f"ref-{number}",
        **fields,
    )


def names(changes: Iterable[change_pb2.MessageChanged]) -> list[tuple[str, int]]:
    return [(change.message_ref, change.version) for change in changes]


@pytest.fixture
def stream(broker: Broker) -> Stream:
    return Stream(broker)


@pytest_asyncio.fixture(loop_scope="session")
async def stub(database: Database, feed: ChangeFeed) -> AsyncIterator[MessageServiceStub]:
    scope = Scope()
    rpc = a_message_rpc(database, scope, feed, HEARTBEAT_S)
    server = RpcServer(
        internal_token=TOKEN, services=[(add_MessageServiceServicer_to_server, rpc, "m")]
    )
    port = await server.start("127.0.0.1", 0, scope)
    looking = asyncio.create_task(feed.keep_looking(scope.stopping))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield MessageServiceStub(opened)
    await scope.close()
    await looking


@contextlib.asynccontextmanager
async def watching(
    stub: MessageServiceStub,
    *,
    role: str = "READER",
    tenant: str = builders.TENANT,
    life_s: float | None = None,
    **request: Any,
) -> AsyncIterator[Watch]:
    """A watch that has begun: what is published from now on belongs to it."""
    metadata = caller(role, tenant)
    if life_s is not None:
        metadata.append(("x-bluetick-stream-life-s", str(life_s)))
    call = stub.WatchChanges(WatchChangesRequest(**request), metadata=metadata)
    watch = Watch(call)
    await watch.read()
    yield watch
    call.cancel()


async def refusal(
    stub: MessageServiceStub, **request: Any
) -> tuple[str, error_details_pb2.ErrorInfo]:
    """Return code and ErrorInfo with which a watch is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        async with watching(stub, **request):
            pass
    status = rpc_status.from_call(failure.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return failure.value.code().name, info


async def test_a_watch_begins_now_and_tells_what_comes(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """What was before it is not news; the first answer says at once that it runs, and where."""
    await stream.publish(a_move(1))
    async with watching(stub) as watch:
        assert not watch.answers[0].changes
        assert watch.cursor
        await stream.publish(a_move(2), a_move(3))
        await stream.publish(a_move(2, READ, version=2))

        assert names(await watch.until(3)) == [("ref-2", 1), ("ref-3", 1), ("ref-2", 2)]


async def test_a_cursor_resumes_without_a_gap_or_a_repeat_at_every_place(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """Also in the middle of a broker message; an hour later, at another replica, all the same."""
    async with watching(stub, changes_max=2) as watch:
        for first in range(0, 20, 5):
            await stream.publish(*(a_move(number) for number in range(first, first + 5)))
        whole = names(await watch.until(20))
        cuts = [(a.cursor, sum(len(b.changes) for b in watch.answers[: n + 1]))
                for n, a in enumerate(watch.answers)]  # fmt: skip

    assert all(len(answer.changes) <= 2 for answer in watch.answers)
    assert whole == names(stream.published)

    async def resume(cursor: str, count: int) -> None:
        async with watching(stub, cursor=cursor) as resumed:
            assert names(await resumed.until(20 - count)) == whole[count:]

    await asyncio.gather(*(resume(*one) for one in cuts))


async def test_a_quiet_watch_lives_and_its_cursor_moves_on(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """Other tenants' traffic passes it by; it must not be told one day that its cursor is old."""
    async with watching(stub, tenant="quiet") as watch:
        before = read_cursor(watch.cursor)
        for number in range(5):
            await stream.publish(a_move(number))
        answers = [await watch.read() for _ in range(3)]

    assert before is not None
    assert not any(answer.changes for answer in answers)
    async with watching(stub, tenant="quiet", cursor=answers[-1].cursor) as resumed:
        after = read_cursor((await resumed.read()).cursor)
    assert after is not None
    assert after[1] == Place(before[1].seq + 5)


async def test_a_tenant_sees_its_own_changes_only(stub: MessageServiceStub, stream: Stream) -> None:
    """Whoever asks, and from wherever on."""
    await stream.publish(a_move(1, tenant_id="other"))
    async with watching(stub) as mine, watching(stub, tenant="other") as theirs:
        await stream.publish(a_move(2))
        await stream.publish(a_move(3, tenant_id="other"))

        assert names(await mine.until(1)) == [("ref-2", 1)]
        assert names(await theirs.until(1)) == [("ref-3", 1)]


async def test_a_reader_sees_nothing_that_names_a_person(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """A dashboard's key is in many hands."""
    old = builders.an_image(contact_id="person-1")
    async with watching(stub) as reader, watching(stub, role="SENDER") as sender:
        await stream.publish(a_move(1, READ, version=2, old_image=old))
        (shown,), (whole,) = await reader.until(1), await sender.until(1)

    for image in (shown.old_image, shown.new_image):
        assert not image.contact_id
        assert not image.person_key
    assert whole == stream.published[0]
    for name in ("old_image", "new_image"):
        getattr(whole, name).ClearField("contact_id")
        getattr(whole, name).ClearField("person_key")
    assert shown == whole


def _oracle(asked: ChangeFilter, change: change_pb2.MessageChanged) -> bool:
    new, old = change.new_image, change.old_image
    final = {words.MESSAGE_STATE_DROPPED, words.MESSAGE_STATE_UNDELIVERED, READ}
    if new.scope.channel == words.CHANNEL_SMS:
        final.add(DELIVERED)
    both = {new.scope.campaign_id, old.scope.campaign_id}
    return (
        (not asked.states or new.state in asked.states)
        and (not asked.is_state_moved_only or change.is_state_moved)
        and (not asked.is_final_only or (change.is_state_moved and new.state in final))
        and (not asked.channels or new.scope.channel in asked.channels)
        and (not asked.providers or change.provider in asked.providers)
        and (not asked.campaign_ids or bool(both & set(asked.campaign_ids)))
    )


async def test_any_filter_gives_exactly_what_it_asks_for(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """Thirty random filters over one random campaign, against a plain scan."""
    chance = random.Random(8)
    states = [words.MESSAGE_STATE_ACCEPTED, words.MESSAGE_STATE_UNDELIVERED, DELIVERED, READ]
    async with watching(stub) as begun:
        start = begun.cursor
    for number in range(120):
        change = a_move(
            number, chance.choice(states), provider=chance.choice(["meta", "twilio"]),
            is_state_moved=chance.random() < 0.7,
        )  # fmt: skip
        change.new_image.scope.channel = chance.choice(words.Channel.values())
        change.new_image.scope.campaign_id = chance.choice(["spring", "summer", ""])
        if chance.random() < 0.5:
            change.old_image.scope.campaign_id = chance.choice(["spring", "summer", ""])
        await stream.publish(change)

    async def check(asked: ChangeFilter) -> None:
        expected = [one for one in stream.published if _oracle(asked, one)]
        async with watching(stub, cursor=start, filter=asked, changes_max=1000) as watch:
            assert names(await watch.until(len(expected))) == names(expected)

    asked = [
        ChangeFilter(
            campaign_ids=chance.sample(["spring", "summer"], chance.randint(0, 1)),
            states=chance.sample(states, chance.randint(0, 2)),
            channels=chance.sample(words.Channel.values(), chance.randint(0, 2)),
            providers=chance.sample(["meta", "twilio"], chance.randint(0, 1)),
            is_state_moved_only=chance.random() < 0.3,
            is_final_only=chance.random() < 0.3,
        )
        for _ in range(30)
    ]
    await asyncio.gather(*map(check, asked))


async def test_a_slow_reader_gets_the_last_of_each_message_where_it_asks_for_that(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """A screen shows what is; what it was a second ago only delays that."""
    async with watching(stub) as begun:
        start = begun.cursor
    for version in range(1, 31):
        await stream.publish(a_move(1, version=version), a_move(2, version=version))

    async with watching(stub, cursor=start, is_coalescing=True) as watch:
        found = names(await watch.until(2))

    assert set(found) == {("ref-1", 30), ("ref-2", 30)} or len(found) < 20
    assert found[-2:] == [("ref-1", 30), ("ref-2", 30)]


async def test_a_caller_who_stopped_reading_delays_nobody_and_misses_nothing(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """What it has not read waits in the stream, not in our memory; it falls behind the end."""
    body = "x" * 40_000
    async with watching(stub) as slow, watching(stub) as quick:
        for number in range(100):
            move = a_move(number)
            move.new_image.attributes["filler"] = body
            await stream.publish(move)
        start = time.monotonic()
        assert len(await quick.until(100)) == 100
        assert time.monotonic() - start < 5

        assert names(await slow.until(100)) == names(stream.published)


async def test_a_watch_ends_with_a_cursor_before_the_gateway_ends_it(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """The caller goes on behind it, and misses nothing of what came in between."""
    async with watching(stub, life_s=0.6) as watch:
        await stream.publish(a_move(1))
        while not (await watch.read()).is_ending:
            continue
        assert await watch.call.read() is grpc.aio.EOF
        assert await watch.call.code() is grpc.StatusCode.OK
        await stream.publish(a_move(2))

    async with watching(stub, cursor=watch.cursor) as resumed:
        assert names(watch.changes + await resumed.until(1)) == [("ref-1", 1), ("ref-2", 1)]


async def test_a_watch_can_begin_in_the_past(stub: MessageServiceStub, stream: Stream) -> None:
    """Replay from a time: what was stored before it is left out."""
    await stream.publish(a_move(1))
    await asyncio.sleep(0.01)
    start = time.time_ns()
    await stream.publish(a_move(2))
    request = WatchChangesRequest()
    request.start_time.FromNanoseconds(start)

    async with watching(stub, start_time=request.start_time) as watch:
        assert names(await watch.until(1)) == [("ref-2", 1)]


async def test_a_cursor_that_the_stream_has_forgotten_is_refused_with_the_oldest_there_is(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """A gap is told, never papered over; and how to go on is told with it."""
    async with watching(stub) as begun:
        start = begun.cursor
    for number in range(5):
        await stream.publish(a_move(number))
    await stream.broker.jetstream.purge_stream(CHANGES_STREAM, seq=3)

    code, info = await refusal(stub, cursor=start)

    assert (code, info.reason) == ("OUT_OF_RANGE", "CURSOR_EXPIRED")
    assert info.metadata["oldest_time"].endswith("Z")
    async with watching(stub, cursor=info.metadata["oldest_cursor"]) as watch:
        assert names(await watch.until(3)) == [("ref-2", 1), ("ref-3", 1), ("ref-4", 1)]
    old = WatchChangesRequest()
    old.start_time.FromSeconds(1_000_000_000)
    code, info = await refusal(stub, start_time=old.start_time)
    assert (code, info.reason) == ("OUT_OF_RANGE", "START_TIME_EXPIRED")


async def test_a_stream_that_was_made_anew_is_noticed(
    stub: MessageServiceStub, stream: Stream
) -> None:
    """Its sequences begin again: a cursor of before would skip what they count now."""
    await stream.publish(a_move(1))
    async with watching(stub) as open_watch:
        await stream.broker.jetstream.delete_stream(CHANGES_STREAM)
        await stream.broker.ensure_streams()
        await stream.publish(a_move(2))

        with pytest.raises(grpc.aio.AioRpcError) as failure:
            while True:
                await open_watch.read()
        assert failure.value.code() is grpc.StatusCode.OUT_OF_RANGE
        code, info = await refusal(stub, cursor=open_watch.cursor)

    assert (code, info.reason) == ("OUT_OF_RANGE", "CURSOR_OF_ANOTHER_STREAM")
    async with watching(stub, cursor=info.metadata["oldest_cursor"]) as watch:
        assert names(await watch.until(1)) == [("ref-2", 1)]


@pytest.mark.parametrize(
    ("request_fields", "field_name"),
    [
        ({"changes_max": 1_001}, "changes_max"),
        ({"changes_max": -1}, "changes_max"),
        ({"cursor": "no cursor"}, "cursor"),
        ({"cursor": "a" * 300}, "cursor"),
        ({"filter": ChangeFilter(campaign_ids=["x"] * 101)}, "filter.campaign_ids"),
    ],
)
async def test_what_cannot_be_asked_is_told_by_its_field(
    stub: MessageServiceStub, request_fields: dict, field_name: str
) -> None:
    """Limit and cure are in the text."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        async with watching(stub, **request_fields):
            pass

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.value.details().startswith(f"{field_name}: ")


def test_a_cursor_that_was_cut_or_altered_is_none() -> None:
    """Else somebody goes on at a place where they never were."""
    cursor = cursor_of(1_796_000_000_000_000, Place(17, 3))

    assert read_cursor(cursor) == (1_796_000_000_000_000, Place(17, 3))
    for position in range(len(cursor)):
        changed = "A" if cursor[position] != "A" else "B"
        assert read_cursor(cursor[:position] + changed + cursor[position + 1 :]) is None
        assert read_cursor(cursor[:position]) is None
