"""A broker that takes no changes, and changes that no broker can take."""

import dataclasses
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as words

from libs.runtime.broker import CHANGES_STREAM, Broker
from libs.runtime.database import Database
from libs.runtime.verdicts import TryAgain
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.outbox_store import OutboxStore
from services.status.sweep_outbox import SweepOutbox
from tests.status.conftest import OpenLanes
from tests.status.machine import Bench, a_delivery, make_bench
from tests.status.test_outbox import DyingOutbox, changes_in

T = builders.TIME_US


async def limit_changes(broker: Broker, **limits: int) -> None:
    """Change what the stream of changes takes."""
    config = (await broker.jetstream.stream_info(CHANGES_STREAM)).config
    await broker.jetstream.update_stream(dataclasses.replace(config, **limits))


async def left_behind(database: Database, clock: ManualClock, *codes: str) -> Bench:
    """Changes that a crash has left in the outbox, one entry each."""
    dying = make_bench(database, DyingOutbox(), clock)
    for n, code in enumerate(codes):
        with pytest.raises(TryAgain):
            await dying.apply(
                builders.a_failure(code, provider_message_id=f"wamid.{n}", occur_time_us=T + n)
            )
        clock.advance(s=1)
    clock.advance(s=60)
    return dying


async def test_an_entry_that_the_broker_can_never_take_lies_aside_and_its_neighbours_go_out(
    database: Database, broker: Broker, clock: ManualClock, outbox: OutboxStore
) -> None:
    """One oversize row must not stop the sweeper; nor may it be lost."""
    bench = await left_behind(database, clock, "1", "x" * 3_000, "2")
    await limit_changes(broker, max_msg_size=2_000)
    sweeper = SweepOutbox(outbox, clock, age_s=5, batches_max=10)

    await sweeper.sweep()

    told = [change for _, _, batch in await changes_in(broker) for change in batch.changes]
    assert [change.new_image.failure_code for change in told] == ["1", "2"]
    assert await outbox.measure() == (0, None, 1)
    # Tried again it lies aside again; after the cause is gone it goes out with the id that it had.
    ((aside,),) = await bench.rows("SELECT outbox_id::text FROM status.outbox_aside")
    assert await sweeper.retry_aside() == 1
    await sweeper.sweep()
    assert await outbox.measure() == (0, None, 1)
    await limit_changes(broker, max_msg_size=-1)
    assert await sweeper.retry_aside() == 0
    clock.advance(s=10)
    assert await sweeper.retry_aside() == 1
    await sweeper.sweep()
    assert (await changes_in(broker))[-1][1] == aside
    assert await outbox.measure() == (0, None, 0)


async def test_what_lies_aside_holds_the_mark_of_completeness(
    database: Database, broker: Broker, clock: ManualClock, outbox: OutboxStore
) -> None:
    """A report must not claim to include a change that nobody could read."""
    from services.status.adapters.flow_positions import FlowPositions

    await left_behind(database, clock, "x" * 3_000)
    await limit_changes(broker, max_msg_size=2_000)
    await SweepOutbox(outbox, clock, age_s=5, batches_max=10).sweep()

    assert await FlowPositions(broker, database).oldest_unpublished_us() is not None


async def test_while_changes_go_nowhere_nothing_more_is_taken(
    published: Bench, broker: Broker, open_lanes: OpenLanes, outbox: OutboxStore
) -> None:
    """A full stream for an hour must not become an outbox of an hour."""
    lanes = open_lanes(published)
    deliveries = [
        a_delivery(n, builders.an_event(provider_message_id=f"wamid.{n}")) for n in range(50)
    ]
    await lanes.handle(deliveries[:1])
    await limit_changes(broker, max_msgs=1)

    for delivery in deliveries[1:]:
        with pytest.raises(TryAgain):
            await lanes.handle([delivery])

    ((waiting,),) = await published.rows("SELECT count(*) FROM status.outbox")
    assert waiting <= 2
    # It mends itself: the sweeper notices room, publishes what waits, and the flow goes on.
    await limit_changes(broker, max_msgs=-1)
    await SweepOutbox(outbox, published.clock, age_s=5, batches_max=10).sweep()
    await lanes.handle(deliveries)
    await outbox.settle()
    told = [change for _, _, batch in await changes_in(broker) for change in batch.changes]
    assert len({change.message_key for change in told}) == 50


async def test_an_outbox_that_others_have_filled_is_not_filled_further(
    published: Bench, open_lanes: OpenLanes, database: Database, outbox: OutboxStore
) -> None:
    """The limit is one of all replicas: a replica that starts anew knows it, too."""
    await left_behind(database, published.clock, "1", "2", "3")
    outbox._entries_max = 2
    await outbox.measure()

    with pytest.raises(TryAgain):
        await open_lanes(published).handle([a_delivery(1, builders.an_event())])

    await SweepOutbox(outbox, published.clock, age_s=5, batches_max=10).sweep()
    await outbox.measure()
    assert not outbox.is_blocked


async def test_a_change_larger_than_a_broker_message_is_split_and_nothing_of_it_is_lost(
    published: Bench, broker: Broker, outbox: OutboxStore
) -> None:
    """Acts of megabytes, as a link in a chat of thousands may have."""
    clicks: list[Any] = [
        builders.a_click(f"click-{n:05}", link_id="l" * 400, occur_time_us=T + n)
        for n in range(6_000)
    ]
    await published.apply(*clicks)
    await published.apply(builders.a_registered(words.EVENT_KIND_ACCEPTED))
    await outbox.settle()

    found = await changes_in(broker)

    assert all(batch.ByteSize() < 1_000_000 for _, _, batch in found)
    parts = [c for _, _, batch in found for c in batch.changes if c.version == 2]
    assert sorted(part.part for part in parts) == list(range(parts[0].part_count))
    assert sum(len(part.acts) for part in parts) == 6_000
