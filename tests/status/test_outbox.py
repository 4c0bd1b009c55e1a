"""From commit to CHANGES with a real broker: crashes, sweeps, progress, the whole process."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import MessageChangedBatch

from libs.runtime import progress
from libs.runtime.broker import (
    CHANGES_STREAM,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    Broker,
    BrokerUnavailable,
)
from libs.runtime.consumer import PullConsumer, TryAgain
from libs.runtime.database import Database
from libs.runtime.delivery import Delivery
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.flow_positions import DURABLE, FlowPositions, serve_progress
from services.status.adapters.lane_connection import JANITOR_SESSION
from services.status.adapters.outbox_store import OutboxStore
from services.status.answer_progress import answer_progress
from services.status.sweep_outbox import SweepOutbox
from tests.status.conftest import OpenLanes
from tests.status.machine import Bench, a_connection, make_bench

T = builders.TIME_US


class DyingOutbox:
    """A process that ends between commit and publish."""

    is_blocked = False

    async def publish(self, entries: object) -> None:
        raise BrokerUnavailable("killed")

    async def sweep(self, created_before_us: int, limit: int) -> int:
        return 0


async def changes_in(broker: Broker) -> list[tuple[str, str, MessageChangedBatch]]:
    """(subject, id, batch) of every message in CHANGES."""
    last = (await broker.jetstream.stream_info(CHANGES_STREAM)).state.last_seq
    found = []
    for seq in range(1, last + 1):
        message = await broker.jetstream.get_msg(CHANGES_STREAM, seq)
        batch = MessageChangedBatch.FromString(message.data or b"")
        found.append((message.subject or "", (message.headers or {})["Nats-Msg-Id"], batch))
    return found


async def test_changes_go_out_by_tenant_and_state_and_the_outbox_is_empty_again(
    published: Bench, broker: Broker
) -> None:
    """Other teams subscribe to the states that they care about."""
    await published.apply(
        builders.a_registered(),
        builders.an_event(provider_message_id="wamid.2"),
        builders.an_event(provider_message_id="wamid.3", tenant_id="other"),
    )

    found = await changes_in(broker)
    assert sorted(subject for subject, _, _ in found) == [
        "bluetick.changes.v1.demo.accepted",
        "bluetick.changes.v1.demo.delivered",
        "bluetick.changes.v1.other.delivered",
    ]
    assert all(message_id == batch.batch_id for _, message_id, batch in found)
    await published.outbox.settle()
    assert await published.rows("SELECT count(*) FROM status.outbox") == [(0,)]


async def test_the_sweeper_publishes_what_a_crash_left_behind_with_the_same_id(
    database: Database, broker: Broker, clock: ManualClock, outbox: OutboxStore
) -> None:
    """Killed after commit, before publish: the change must still come, once."""
    dying = make_bench(database, DyingOutbox(), clock)
    with pytest.raises(TryAgain):
        await dying.apply(builders.a_registered())
    ((left,),) = await dying.rows("SELECT outbox_id::text FROM status.outbox")
    sweeper = SweepOutbox(outbox, clock, age_s=5, batches_max=10)

    assert await sweeper.sweep() == 0
    clock.advance(s=6)
    assert await sweeper.sweep() == 1

    ((_, _, batch),) = await changes_in(broker)
    assert batch.batch_id == left
    assert await dying.rows("SELECT count(*) FROM status.outbox") == [(0,)]


async def test_a_redelivery_after_the_crash_adds_no_second_change(
    database: Database, broker: Broker, clock: ManualClock, outbox: OutboxStore
) -> None:
    """The redelivered batch finds everything merged; only the sweeper speaks."""
    dying = make_bench(database, DyingOutbox(), clock)
    with pytest.raises(TryAgain):
        await dying.apply(builders.a_registered())

    restarted = make_bench(database, outbox, clock)
    await restarted.apply(builders.a_registered())

    assert await changes_in(broker) == []
    assert await restarted.rows("SELECT count(*) FROM status.outbox") == [(1,)]


class MeetingBroker:
    """The broker, which answers nobody before a second sweeper has begun to publish too."""

    def __init__(self, broker: Broker, own_max: int) -> None:
        self.sent: Counter[str] = Counter()
        self.payload_bytes_max = broker.payload_bytes_max
        self._broker = broker
        self._own_max = own_max  # what one sweeper sends at once
        self._met = asyncio.Event()

    async def publish(self, subject: str, payload: bytes, **how: Any) -> Any:
        self.sent[how["msg_id"]] += 1
        if self.sent.total() > self._own_max:
            self._met.set()
        await asyncio.wait_for(self._met.wait(), 10)
        return await self._broker.publish(subject, payload, **how)


async def test_two_sweepers_at_once_send_each_batch_once(
    database: Database, database_url: str, broker: Broker, clock: ManualClock
) -> None:
    """Every replica sweeps; they pass over each other's rows, and do not wait for them.

    Counted is what they send: the broker drops what comes twice with one id, and would hide it.
    """
    dying = make_bench(database, DyingOutbox(), clock)
    for n in range(6):
        with pytest.raises(TryAgain):
            await dying.apply(builders.an_event(provider_message_id=f"wamid.{n}"))
    clock.advance(s=60)
    meeting, janitor = MeetingBroker(broker, own_max=2), a_connection(database_url, JANITOR_SESSION)
    sweepers = [
        SweepOutbox(OutboxStore(database, meeting, janitor), clock, age_s=5, batches_max=2)  # type: ignore[arg-type]
        for _ in range(2)
    ]

    swept = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))

    await janitor.close()
    assert sum(swept) == 6
    assert min(swept) > 0
    assert sorted(meeting.sent.values()) == [1] * 6
    assert {message_id for _, message_id, _ in await changes_in(broker)} == set(meeting.sent)


async def test_consumers_apply_what_is_in_the_stream_and_progress_says_so(
    published: Bench, broker: Broker, database: Database, open_lanes: OpenLanes
) -> None:
    """The whole hop: EVENTS, transaction, CHANGES, acknowledgement, watermark."""
    for n in range(20):
        batch = builders.a_batch(
            builders.a_registered(provider_message_id=f"wamid.{n}", message_ref=f"ref-{n}")
        )
        await broker.publish(
            EVENTS_SUBJECT, batch.SerializeToString(), msg_id=uuid4().hex, stream=EVENTS_STREAM
        )
    consumer = PullConsumer(
        broker,
        stream=EVENTS_STREAM,
        durable=DURABLE,
        handle=open_lanes(published).handle,
    )
    running = asyncio.create_task(consumer.run())
    flow = FlowPositions(broker, database)
    async with asyncio.timeout(10):
        while await _floor(flow) < 20:
            await asyncio.sleep(0.02)

    done = await answer_progress(flow, published.clock)

    assert done.complete_until_us == published.clock.now_us()
    assert done.changes_seq == len(await changes_in(broker))
    assert await published.rows("SELECT count(*) FROM status.messages") == [(20,)]
    await consumer.stop()
    await running


async def _floor(flow: FlowPositions) -> int:
    try:
        return await flow.done_event_seq()
    except Exception:  # the consumer is not there yet
        return 0


async def test_progress_stops_before_an_event_that_is_not_applied(
    published: Bench, broker: Broker, database: Database
) -> None:
    """A report must never claim to include what is still waiting."""
    await broker.jetstream.add_consumer(EVENTS_STREAM, durable_name=DURABLE, ack_policy="explicit")
    await broker.publish(EVENTS_SUBJECT, b"", msg_id="1", stream=EVENTS_STREAM)
    stored = await broker.jetstream.get_msg(EVENTS_STREAM, 1)
    assert stored.time is not None
    published.clock.set(int(stored.time.timestamp() * 1e6) + 60_000_000)

    found = await answer_progress(FlowPositions(broker, database), published.clock)

    assert found.complete_until_us == int(stored.time.timestamp() * 1e6)


async def test_progress_stops_before_changes_that_are_not_published(
    broker: Broker, database: Database, clock: ManualClock
) -> None:
    """Applied is not told: until the sweeper has spoken, reports are not complete."""
    dying = make_bench(database, DyingOutbox(), clock)
    with pytest.raises(TryAgain):
        await dying.apply(builders.a_registered())
    clock.advance(s=3600)
    await broker.jetstream.add_consumer(EVENTS_STREAM, durable_name=DURABLE, ack_policy="explicit")

    found = await answer_progress(FlowPositions(broker, database), clock)

    assert found.complete_until_us == T


async def test_progress_is_answered_over_the_broker(
    broker: Broker, database: Database, clock: ManualClock
) -> None:
    """Analytics asks whoever of the replicas is there."""
    await broker.jetstream.add_consumer(EVENTS_STREAM, durable_name=DURABLE, ack_policy="explicit")
    await serve_progress(broker, FlowPositions(broker, database), clock)

    answer = await broker.client.request(progress.SUBJECT, b"", timeout=5)

    assert progress.decode(answer.data) == progress.Progress(clock.now_us(), 0)


async def test_poison_goes_to_quarantine_and_its_neighbours_are_applied(
    bench: Bench, open_lanes: OpenLanes
) -> None:
    """Analytics cannot store NUL; one such event must not take hundreds with it."""
    lanes = open_lanes(bench)
    events = [builders.an_event(provider_message_id=f"wamid.{n}") for n in range(20)]
    events[7].account = "a\x00b"
    events[13].message_key = b"short"
    events[15].reason = 40_000  # type: ignore[assignment]
    events[15].kind = words.EVENT_KIND_UNDELIVERED
    batch = builders.a_batch(*events).SerializeToString()
    good = builders.a_batch(builders.an_event(provider_message_id="wamid.good"))
    deliveries = [
        Delivery(batch, EVENTS_SUBJECT, 1, T, 1, ""),
        Delivery(b"\xff\xff no protobuf", EVENTS_SUBJECT, 2, T, 1, ""),
        Delivery(good.SerializeToString(), EVENTS_SUBJECT, 3, T, 1, ""),
    ]

    refused = await lanes.handle(deliveries)
    await lanes.handle(deliveries)

    assert [(one.delivery.stream_seq, one.reason) for one in refused] == [(2, "NOT_AN_EVENT_BATCH")]
    assert await bench.rows("SELECT count(*) FROM status.messages") == [(18,)]
    assert await bench.rows(
        "SELECT tenant_id, reason, count(*) FROM status.quarantine GROUP BY 1, 2 ORDER BY 1"
    ) == [("demo", "EVENT_REFUSED_BY_STORE", 3)]
    assert await bench.rows("SELECT count(*) FROM status.quarantine_receipts") == [(3,)]
