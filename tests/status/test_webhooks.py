"""Webhooks from the stream of changes to a real server, kept through the real gRPC server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest_asyncio
from bluetick.v1 import webhook_service_pb2 as pb
from bluetick.v1.message_service_pb2 import ChangeFilter
from bluetick.v1.webhook_service_pb2_grpc import (
    WebhookServiceStub,
    add_WebhookServiceServicer_to_server,
)
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.broker import CHANGES_STREAM, Broker
from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from libs.runtime.secret_box import SecretBox
from libs.runtime.secret_keys import parse_keys
from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from services.status.adapters.change_feed import ChangeFeed
from services.status.adapters.webhook_poster import WebhookPoster
from services.status.adapters.webhook_rows import WebhookRows
from services.status.adapters.webhook_rpc import WebhookRpc
from services.status.keep_webhooks import KeepWebhooks, forget_dead_letters, new_owner
from services.status.put_webhooks import Tools
from services.status.webhook_ports import Sending
from tests.status.test_reads import TOKEN, caller, reason_of
from tests.status.test_watch import READ, Stream, a_move
from tests.status.webhook_receiver import Receiver

SEAL = "one:the-first-secret-that-seals-all-others"


@dataclass
class Site:
    """Webhooks as one replica has them; ``send`` starts another one that sends."""

    stub: WebhookServiceStub
    stream: Stream
    clock: ManualClock
    rows: WebhookRows
    feed: ChangeFeed
    poster: WebhookPoster
    box: SecretBox
    database: Database
    _running: list[tuple[asyncio.Event, Any]] = field(default_factory=list)

    def send(self, **changes: Any) -> asyncio.Event:
        """Begin to send; the event ends it."""
        told = {
            "owner": new_owner(), "feed": self.feed, "store": self.rows, "poster": self.poster,
            "sealer": self.box, "clock": self.clock, "concurrent_max": 4, "waiting_max": 100,
            "poll_s": 0.02, **changes,
        }  # fmt: skip
        stopping = asyncio.Event()
        keeper = KeepWebhooks(Sending(**told), look_s=0.05)
        self._running.append((stopping, asyncio.create_task(keeper.run(stopping))))
        return stopping

    async def stop(self) -> None:
        for stopping, _ in self._running:
            stopping.set()
        await asyncio.gather(*(task for _, task in self._running))
        self._running.clear()

    async def put(self, receiver: Receiver, name: str = "crm", **fields: Any) -> str:
        """Store an endpoint; return its secret."""
        request = pb.PutEndpointRequest(endpoint_id=name, url=receiver.url(), **fields)
        answer = await self.stub.PutEndpoint(request, metadata=caller("ADMIN"))
        return str(answer.secret)

    async def shown(self, name: str = "crm") -> pb.WebhookEndpoint:
        answer = await self.stub.ListEndpoints(pb.ListEndpointsRequest(), metadata=caller("ADMIN"))
        return next(one for one in answer.endpoints if one.endpoint_id == name)

    async def when(
        self, is_so: Callable[[pb.WebhookEndpoint], bool], name: str = "crm"
    ) -> pb.WebhookEndpoint:
        """Wait until the endpoint is so."""
        async with asyncio.timeout(15):
            while not is_so(found := await self.shown(name)):
                await asyncio.sleep(0.02)
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def site(
    database: Database, feed: ChangeFeed, broker: Broker, clock: ManualClock
) -> AsyncIterator[Site]:
    scope = Scope()
    box, rows = SecretBox(parse_keys(SEAL)), WebhookRows(database)
    poster = WebhookPoster(clock, is_closed=True, timeout_s=2)
    tools = Tools(store=rows, sealer=box, feed=feed, check=poster.check, is_closed=True)
    rpc = WebhookRpc(tools, clock)
    server = RpcServer(
        internal_token=TOKEN, services=[(add_WebhookServiceServicer_to_server, rpc, "w")]
    )
    port = await server.start("127.0.0.1", 0, scope)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = WebhookServiceStub(channel)
        made = Site(stub, Stream(broker), clock, rows, feed, poster, box, database)
        yield made
        await made.stop()
    await poster.close()
    await scope.close()


def to_us(time: Timestamp) -> int:
    return int(time.ToMicroseconds())


async def test_what_is_wanted_is_posted_once_signed_and_without_the_person(
    site: Site, receiver: Receiver
) -> None:
    """An endpoint is told of what follows its making, by its filter, over few connections."""
    await site.stream.publish(a_move(0))
    secret = await site.put(receiver, filter=ChangeFilter(states=[READ]))
    site.send()
    await site.stream.publish(*(a_move(number) for number in range(10)))
    await site.stream.publish(*(a_move(number, READ, version=2) for number in range(10)))
    requests = await receiver.until(10)
    shown = await site.when(lambda endpoint: endpoint.HasField("last_success_time"))

    assert sorted(receiver.taken()) == [f"ref-{number}" for number in range(10)]
    assert len({request.webhook_id for request in requests}) == 10
    assert all(request.is_signed_by(secret) for request in requests)
    assert all(request.headers["content-type"] == "application/json" for request in requests)
    assert not any(b"person" in request.body for request in requests)
    assert max(request.connection for request in requests) <= 4
    assert len(shown.secrets) == 1 and not shown.last_failure


async def test_what_is_not_taken_comes_again_under_its_id_and_is_given_up_after_a_day(
    site: Site, receiver: Receiver
) -> None:
    """And later, when somebody asks for it, from the dead."""
    receiver.answer = lambda _: (503, {})
    await site.put(receiver)
    site.send()
    await site.stream.publish(a_move(1))
    shown = await site.when(lambda endpoint: endpoint.waiting_count == 1)
    assert shown.last_failure == "answered 503"
    while not (await site.shown()).dead_letter_count:
        count = len(receiver.requests)
        async with site.database.transaction() as connection:
            due_us = await connection.fetchval("SELECT due_time_us FROM status.webhook_letters")
        site.clock.set(due_us)
        await receiver.until(count + 1)
        await site.when(lambda endpoint: to_us(endpoint.last_failure_time) == site.clock.now_us())
    shown = await site.shown()
    assert (shown.dead_letter_count, shown.waiting_count) == (1, 0)
    asked = pb.ListDeadLettersRequest(endpoint_id="crm")
    letters = (await site.stub.ListDeadLetters(asked, metadata=caller("ADMIN"))).dead_letters
    first, last = letters[0].first_time.ToDatetime(), letters[0].last_time.ToDatetime()

    assert {request.webhook_id for request in receiver.requests} == {letters[0].webhook_id}
    assert letters[0].attempt_count == len(receiver.requests)
    assert letters[0].body == receiver.requests[0].body
    assert last - first == timedelta(hours=24)

    receiver.answer = lambda _: (200, {})
    replay = pb.ReplayDeadLettersRequest(endpoint_id="crm", webhook_ids=[letters[0].webhook_id])
    count = len(receiver.requests)
    answer = await site.stub.ReplayDeadLetters(replay, metadata=caller("ADMIN"))
    await receiver.until(count + 1)
    shown = await site.when(lambda endpoint: not endpoint.waiting_count)

    assert answer.replayed_count == 1
    assert receiver.requests[-1].webhook_id == letters[0].webhook_id
    assert not shown.dead_letter_count


async def test_an_endpoint_that_comes_back_has_everything_without_waiting_for_its_pauses(
    site: Site, receiver: Receiver
) -> None:
    """While it is away the stream keeps what follows, however much; each comes once."""
    receiver.answer = lambda _: (500, {})
    await site.put(receiver)
    site.send(waiting_max=20)
    for first in range(0, 200, 50):
        await site.stream.publish(*(a_move(number) for number in range(first, first + 50)))
    await site.when(lambda endpoint: endpoint.waiting_count >= 20)
    await asyncio.sleep(0.2)
    assert (await site.shown()).waiting_count <= 20 + 64

    taken: list[str] = []
    receiver.answer = lambda request: (taken.append(request.ref), (204, {}))[1]
    # The first of them to be due finds the endpoint well, and hurries the others.
    site.clock.advance(s=6)
    async with asyncio.timeout(15):
        while len(set(taken)) < 200:
            await asyncio.sleep(0.02)
    await site.when(lambda endpoint: not endpoint.waiting_count)
    assert len(taken) == 200


async def test_a_slow_endpoint_delays_only_itself(site: Site, receiver: Receiver) -> None:
    """One that answers in seconds or never, beside one that answers at once."""
    slow = await Receiver(delay_s=30).start()
    await site.put(slow, "slow")
    await site.put(receiver, "quick")
    site.send()
    for first in range(0, 200, 50):
        await site.stream.publish(*(a_move(number) for number in range(first, first + 50)))
    await receiver.until(200)

    await slow.until(1)

    assert len(set(receiver.taken())) == 200
    assert len(slow.requests) < 200
    await slow.stop()


async def test_redirects_gone_and_retry_after(site: Site, receiver: Receiver) -> None:
    """A redirect could lead anywhere; 410 is a wish to hear no more, and loses nothing."""
    elsewhere = await Receiver().start()
    receiver.answer = lambda _: (302, {"location": elsewhere.url()})
    await site.put(receiver)
    site.send()
    await site.stream.publish(a_move(1))
    shown = await site.when(lambda endpoint: endpoint.waiting_count == 1)
    assert shown.last_failure == "answered 302; redirects are not followed"
    assert not elsewhere.requests
    await elsewhere.stop()

    posted = await site.poster.post(receiver.url(), [], b"{}")
    receiver.answer = lambda _: (429, {"retry-after": "120"})
    asked = await site.poster.post(receiver.url(), [], b"{}")
    assert (posted.retry_after_s, asked.retry_after_s) == (0, 120)

    receiver.answer = lambda _: (410, {})
    site.clock.advance(s=10)
    shown = await site.when(lambda endpoint: endpoint.is_disabled)
    assert shown.disable_reason == "GONE"
    receiver.answer = lambda _: (200, {})
    count = len(receiver.requests)
    await site.stream.publish(a_move(2))
    await site.put(receiver)
    await receiver.until(count + 2)
    assert set(receiver.taken()[count:]) == {"ref-1", "ref-2"}


async def test_both_secrets_sign_until_the_older_one_ends(site: Site, receiver: Receiver) -> None:
    """Whoever verifies changes over at any moment in between."""
    old = await site.put(receiver)
    rotate = pb.RotateEndpointSecretRequest(endpoint_id="crm")
    rotate.retire_after.FromTimedelta(timedelta(hours=1))
    new = (await site.stub.RotateEndpointSecret(rotate, metadata=caller("ADMIN"))).secret
    site.send()
    await site.stream.publish(a_move(1))
    await receiver.until(1)
    site.clock.advance(timedelta(hours=1))
    await site.stream.publish(a_move(2))
    both, one = await receiver.until(2)

    assert both.is_signed_by(old) and both.is_signed_by(new)
    assert one.is_signed_by(new) and not one.is_signed_by(old)
    assert await site.put(receiver) == ""


async def test_replicas_share_and_a_stopped_one_leaves_its_endpoints(
    site: Site, receiver: Receiver
) -> None:
    """Each change is sent once, whoever works; what was sent before is sent again when asked."""
    await site.put(receiver)
    stops = [site.send(), site.send()]
    await site.stream.publish(*(a_move(number) for number in range(30)))
    await receiver.until(30)
    for stopping in stops:
        stopping.set()
    await site.stop()
    await site.stream.publish(*(a_move(number) for number in range(30, 60)))
    site.send()
    await receiver.until(60)
    assert sorted(receiver.taken()) == sorted(f"ref-{number}" for number in range(60))

    replay = pb.ReplayChangesRequest(endpoint_id="crm")
    replay.start_time.FromSeconds(1)
    await site.stub.ReplayChanges(replay, metadata=caller("ADMIN"))
    await receiver.until(120)
    ids = [request.webhook_id for request in receiver.requests]
    assert set(ids[:60]) == set(ids[60:])


async def test_a_killed_process_loses_nothing(
    site: Site, receiver: Receiver, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """SIGKILL in the midst of it; who takes over goes on from what is committed."""
    receiver.delay_s = 0.01
    await site.put(receiver)
    environment = {
        **os.environ,
        "BLUETICK_DATABASE_URL": database_url,
        "BLUETICK_NATS_URL": broker_settings.nats_url,
        "BLUETICK_NATS_MONITOR_URL": broker_settings.nats_monitor_url,
        "BLUETICK_INTERNAL_TOKEN": TOKEN,
        "BLUETICK_STATUS_GRPC_HOST": "127.0.0.1",
        "BLUETICK_STATUS_GRPC_PORT": "0",
        "BLUETICK_STATUS_PROBE_HOST": "127.0.0.1",
        "BLUETICK_STATUS_PROBE_PORT": "0",
        "BLUETICK_ACCOUNT_KEYS": SEAL,
        "BLUETICK_STATUS_WEBHOOK_IS_CLOSED_NETWORK": "true",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.status", env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for first in range(0, 1_000, 100):
            await site.stream.publish(*(a_move(number) for number in range(first, first + 100)))
        await receiver.until(100, timeout_s=60)
    finally:
        process.kill()
        await process.wait()
    async with site.database.transaction() as connection:
        # As after the lease.
        await connection.execute("UPDATE status.webhook_endpoints SET lease_until_us = 0")
    receiver.delay_s = 0
    site.send()
    async with asyncio.timeout(30):
        while len(set(receiver.taken())) < 1_000:
            await asyncio.sleep(0.02)
    assert len(receiver.taken()) <= 1_000 + 64


async def test_without_the_key_nothing_is_sent_and_nothing_lost(
    site: Site, receiver: Receiver
) -> None:
    """A fault of ours: no change spends its attempts on it."""
    await site.put(receiver)
    site.send(sealer=SecretBox([]))
    await site.stream.publish(a_move(1))
    shown = await site.when(lambda endpoint: bool(endpoint.last_failure))
    assert "BLUETICK_ACCOUNT_KEYS" in shown.last_failure
    assert not receiver.requests and not shown.waiting_count
    await site.stop()
    site.send()
    await receiver.until(1)
    assert receiver.taken() == ["ref-1"]


async def test_what_the_stream_forgot_is_told(site: Site, receiver: Receiver) -> None:
    """An endpoint that was disabled for longer than the stream keeps changes."""
    await site.put(receiver)
    await site.stream.publish(*(a_move(number) for number in range(3)))
    await site.stream.publish(a_move(3))
    await site.stream.broker.jetstream.purge_stream(CHANGES_STREAM)
    await site.stream.publish(a_move(4))
    site.send()
    shown = await site.when(lambda endpoint: endpoint.HasField("missed_time"))
    await receiver.until(1)
    assert receiver.taken() == ["ref-4"]
    assert shown.missed_time.ToMicroseconds() == site.clock.now_us()


async def test_calls_refuse_what_cannot_be_kept(site: Site, receiver: Receiver) -> None:
    """Each with what to do; strangers find nothing."""
    stub, admin = site.stub, caller("ADMIN")
    put = pb.PutEndpointRequest

    async def reason(call: Any) -> tuple[str, str]:
        return await reason_of(call)

    for request in (
        put(endpoint_id="a b", url=receiver.url()),
        put(endpoint_id="a", url="ftp://x/"),
        put(endpoint_id="a", url="http://169.254.169.254/latest"),
        put(endpoint_id="a", url=receiver.url(), description="x" * 257),
        put(endpoint_id="a", url=receiver.url(), filter=ChangeFilter(campaign_ids=["c"] * 101)),
    ):
        assert await reason(stub.PutEndpoint(request, metadata=admin)) == (
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
        )
    ours = put(endpoint_id="a", url=receiver.url())
    assert (await reason(stub.PutEndpoint(ours, metadata=caller("SENDER"))))[0] == (
        "PERMISSION_DENIED"
    )
    await stub.PutEndpoint(ours, metadata=admin)
    delete = pb.DeleteEndpointRequest(endpoint_id="a")
    others = caller("ADMIN", "another")
    assert (await reason(stub.DeleteEndpoint(delete, metadata=others)))[1] == "ENDPOINT_NOT_FOUND"
    await stub.DeleteEndpoint(delete, metadata=admin)
    rotate = pb.RotateEndpointSecretRequest(endpoint_id="a")
    assert (await reason(stub.RotateEndpointSecret(rotate, metadata=admin)))[0] == "NOT_FOUND"


async def test_old_dead_letters_are_deleted(site: Site, receiver: Receiver) -> None:
    """Nobody asked for them in time."""
    receiver.answer = lambda _: (500, {})
    await site.put(receiver)
    site.send()
    await site.stream.publish(a_move(1))
    await site.when(lambda endpoint: endpoint.waiting_count == 1)
    site.clock.advance(timedelta(hours=25))
    await site.when(lambda endpoint: endpoint.dead_letter_count == 1)
    stopping = asyncio.Event()
    forgetting = asyncio.create_task(forget_dead_letters(site.rows, site.clock, 30, stopping))
    await asyncio.sleep(0.1)
    assert (await site.shown()).dead_letter_count == 1
    stopping.set()
    await forgetting
    site.clock.advance(timedelta(days=31))
    await site.rows.forget_dead(site.clock.now_us() - 30 * 86_400_000_000)
    assert (await site.shown()).dead_letter_count == 0
