"""Lanes: any number of them on any number of replicas, and what others hold or break."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1 import event_pb2

from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker
from libs.runtime.consumer import PullConsumer
from libs.runtime.database import Database, RowsLocked
from libs.runtime.verdicts import Verdict, verdict_of
from libs.testkit import builders
from services.status.apply_events import ApplyEvents
from services.status.domain.gathered import Gathered
from services.status.ports import OutboxEntry, Transactions
from tests.status.conftest import OpenLanes
from tests.status.machine import (
    Bench,
    CollectingOutbox,
    a_delivery,
    assert_versions_have_no_gaps,
    contribution,
    empty,
    make_bench,
    shuffled,
    sum_of_deltas,
)
from tests.status.test_people import Story
from tests.status.test_recipients import a_story
from tests.status.test_transaction import a_crowd

T = builders.TIME_US


# People of several names, and mail that is reported at other addresses than it was sent to.
_NAMED = (*Story(5).events, *a_story(4)[0])


@pytest.mark.parametrize(
    ("replicas", "lanes", "crowd"),
    [
        (1, 1, a_crowd(60)),
        (1, 3, a_crowd(60)),
        (3, 2, a_crowd(60)),
        (1, 2, _NAMED),
        (3, 2, _NAMED),
    ],
    ids=["1 of 1", "1 of 3", "3 of 2", "names, 1 of 2", "names, 3 of 2"],
)
async def test_replicas_with_lanes_end_in_the_same_rows(
    bench: Bench,
    database: Database,
    open_lanes: OpenLanes,
    replicas: int,
    lanes: int,
    crowd: Sequence[event_pb2.Event],
) -> None:
    """Nothing is agreed between processes, and versions are 1, 2, 3 all the same."""
    events = list(crowd)
    await bench.apply(*events)
    expected = await bench.snapshot()
    await empty(database)
    others = [
        make_bench(database, CollectingOutbox(database), bench.clock) for _ in range(replicas)
    ]

    async def work(replica: Bench, seed: int) -> None:
        opened = open_lanes(replica, lanes=lanes, lock_timeout_s=20.0, events_max=20)
        told = shuffled(events, seed)
        parts = [told[start : start + 7] for start in range(0, len(told), 7)]
        calls = [parts[start : start + 4] for start in range(0, len(parts), 4)]
        # Several calls at once, as the consumer makes them.
        await asyncio.gather(
            *(opened.handle([a_delivery(n, *p) for n, p in enumerate(call)]) for call in calls)
        )

    await asyncio.gather(*(work(replica, n) for n, replica in enumerate(others)))

    changes = [change for replica in others for change in replica.outbox.changes]
    assert await others[0].snapshot() == expected
    assert_versions_have_no_gaps(changes)
    recounted = sum_of_deltas([])
    for _, image in (await others[0].images()).values():
        recounted.update(contribution(image))
    assert sum_of_deltas(changes) == recounted


async def test_a_backlog_is_cut_into_transactions(
    bench: Bench, open_lanes: OpenLanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waits, a transaction takes little: else PostgreSQL and we work in turns."""
    sizes = []
    store = ApplyEvents.store

    async def noting(
        self: ApplyEvents, transactions: Transactions, gathered: Gathered, oldest_us: int
    ) -> list[OutboxEntry]:
        sizes.append(gathered.event_count)
        return await store(self, transactions, gathered, oldest_us)

    monkeypatch.setattr(ApplyEvents, "store", noting)
    lanes = open_lanes(bench, lanes=1, events_max=10)
    events = [builders.an_event(provider_message_id=f"wamid.{n}") for n in range(60)]
    # The last one holds nothing but what is of no message; it is not forgotten behind full ones.
    report = event_pb2.DoorReport(tenant_id="demo", report_id=b"r" * 16)
    calls = [a_delivery(n, *events[n * 4 : n * 4 + 4]) for n in range(15)]
    last = event_pb2.EventBatch(door_reports=[report]).SerializeToString()
    await lanes.handle([*calls, replace(calls[0], data=last)])

    assert sum(sizes) == 60
    assert max(sizes) == 12
    assert len(await bench.rows("SELECT 1 FROM status.messages")) == 60


@asynccontextmanager
async def held(database_url: str, keys: list[bytes]) -> AsyncIterator[None]:
    """Somebody else's transaction that holds rows."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            locked = await connection.fetch(
                "SELECT 1 FROM status.messages WHERE message_key = ANY($1) FOR UPDATE", keys
            )
            assert len(locked) == len(keys)
            yield
    finally:
        await connection.close()


async def test_rows_that_others_hold_delay_only_their_own_messages(
    bench: Bench, database_url: str, open_lanes: OpenLanes
) -> None:
    """Five locks of somebody else must not stop five thousand messages."""
    ids = [f"wamid.{n}" for n in range(200)]
    await bench.apply(*(builders.an_event(provider_message_id=own_id) for own_id in ids))
    reads = [
        builders.an_event(words.EVENT_KIND_READ, provider_message_id=own_id, occur_time_us=T + 1)
        for own_id in ids
    ]
    blocked = {event.message_key for event in reads[:5]}
    lanes = open_lanes(bench, lock_timeout_s=0.3)

    async with held(database_url, sorted(blocked)):
        with pytest.raises(RowsLocked):
            await lanes.handle([a_delivery(1, *reads)])

        behind = {
            key for key, (_, image) in (await bench.images()).items() if not image.read_time_us
        }
        assert behind == blocked
        # Whoever told of none of them is not kept, and the second try does not wait again.
        before_s = time.monotonic()
        await lanes.handle([a_delivery(2, *reads[5:])])
        with pytest.raises(RowsLocked):
            await lanes.handle([a_delivery(1, *reads)])
        assert time.monotonic() - before_s < 5

    await lanes.handle([a_delivery(1, *reads)])
    assert all(image.read_time_us for _, image in (await bench.images()).values())
    assert_versions_have_no_gaps(bench.outbox.changes)


class Fragile(ApplyEvents):
    """Has a bug that one message triggers."""

    async def store(
        self, transactions: Transactions, gathered: Gathered, oldest_event_time_us: int
    ) -> list[OutboxEntry]:
        if any(telling[4] == "wamid.bug" for told in gathered.told.values() for telling in told):
            raise ZeroDivisionError
        return await super().store(transactions, gathered, oldest_event_time_us)


async def test_a_bug_that_one_message_meets_fails_only_the_call_that_brought_it(
    bench: Bench, open_lanes: OpenLanes
) -> None:
    """Calls share transactions; the consumer must learn which message is at fault."""
    bench.use_case.__class__ = Fragile
    lanes = open_lanes(bench, lanes=1)
    good = [builders.an_event(provider_message_id=f"wamid.{n}") for n in range(9)]
    bad = builders.an_event(provider_message_id="wamid.bug")

    outcomes = await asyncio.gather(
        lanes.handle([a_delivery(1, *good[:5])]),
        lanes.handle([a_delivery(2, bad, *good[5:])]),
        return_exceptions=True,
    )

    assert outcomes[0] == []
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert len(await bench.images()) == 9


async def test_a_connection_that_is_cut_is_opened_again(
    bench: Bench, open_lanes: OpenLanes
) -> None:
    """PostgreSQL restarts; whoever was cut is told, and the next call works."""
    lanes = open_lanes(bench)
    await lanes.handle([a_delivery(1, builders.an_event())])
    await bench.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'"
    )

    await _until_it_works(lanes, a_delivery(2, builders.an_event(words.EVENT_KIND_READ)))

    assert (await bench.images()).popitem()[1][1].state == words.MESSAGE_STATE_READ


async def test_a_column_that_is_away_fails_its_callers_and_nothing_stands_still(
    bench: Bench, open_lanes: OpenLanes
) -> None:
    """The lane once followed the error's cause for ever, and the process answered nobody."""
    lanes = open_lanes(bench)
    await bench.rows("ALTER TABLE status.messages RENAME COLUMN version TO away")
    try:
        with pytest.raises(asyncpg.UndefinedColumnError) as told:
            await lanes.handle([a_delivery(1, builders.an_event())])
    finally:
        await bench.rows("ALTER TABLE status.messages RENAME COLUMN away TO version")
    assert verdict_of(told.value) is Verdict.STOP

    await lanes.handle([a_delivery(2, builders.an_event())])

    assert len(await bench.images()) == 1


async def _until_it_works(lanes: Any, delivery: Any) -> None:
    for _ in range(3):
        try:
            await lanes.handle([delivery])
        except Exception as error:
            assert type(error).__name__ == "DatabaseUnavailable"
        else:
            return
    raise AssertionError("It does not work again.")


async def test_a_burst_of_calls_shares_transactions_and_a_lone_one_does_not_wait(
    bench: Bench, open_lanes: OpenLanes
) -> None:
    """Each transaction costs the same however small it is; but nobody waits for nothing."""
    lanes = open_lanes(bench, lanes=1)
    events = [
        builders.an_event(provider_message_id=f"wamid.{n}", occur_time_us=T + n) for n in range(64)
    ]
    random.Random(1).shuffle(events)

    await asyncio.gather(*(lanes.handle([a_delivery(n, e)]) for n, e in enumerate(events)))

    batches = {batch.batch_id for batch in bench.outbox.batches}
    assert len(bench.outbox.changes) == 64
    assert len(batches) <= 8


async def test_through_the_consumer_only_the_broker_messages_that_tell_of_held_rows_wait(
    published: Bench, broker: Broker, database_url: str, open_lanes: OpenLanes
) -> None:
    """From outside: the flow goes on beside the locks, and mends itself when they are gone."""
    ids = [f"wamid.{n}" for n in range(40)]
    await published.apply(*(builders.an_event(provider_message_id=own_id) for own_id in ids))
    for own_id in ids:
        read = builders.an_event(
            words.EVENT_KIND_READ, provider_message_id=own_id, occur_time_us=T + 1
        )
        data = builders.a_batch(read).SerializeToString()
        await broker.publish(EVENTS_SUBJECT, data, msg_id=own_id, stream=EVENTS_STREAM)
    blocked = sorted(
        builders.an_event(provider_message_id=own_id).message_key for own_id in ids[:3]
    )
    lanes = open_lanes(published, lock_timeout_s=0.2)
    consumer = PullConsumer(
        broker, stream=EVENTS_STREAM, durable="status", handle=lanes.handle, concurrent_max=4
    )

    async def unread() -> set[bytes]:
        found = await published.images()
        return {key for key, (_, image) in found.items() if not image.read_time_us}

    async with held(database_url, blocked):
        running = asyncio.create_task(consumer.run())
        async with asyncio.timeout(60):
            while await unread() != set(blocked):
                await asyncio.sleep(0.05)
        assert not consumer.fault
    async with asyncio.timeout(60):
        while await unread():
            await asyncio.sleep(0.05)
    await consumer.stop()
    await running
