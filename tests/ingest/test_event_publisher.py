import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bluetick.v1.event_pb2 import EventBatch, Quarantined
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.embedded.nats_server import NatsServer
from libs.runtime.broker import Broker, BrokerUnavailable
from libs.runtime.settings import RuntimeSettings
from libs.testkit.builders import an_event
from services.ingest.adapters.event_publisher import EventPublisher, PublishLimits
from services.ingest.adapters.message_pieces import PieceLimits
from tests.ingest.stored_events import stored_batches, stored_events


def _batch(*names: str) -> EventBatch:
    return EventBatch(events=[an_event(provider_message_id=name) for name in names])


@pytest.fixture(autouse=True)
async def nothing_goes_on_behind_the_test() -> AsyncIterator[None]:
    """End what still waits for a broker that answers nobody."""
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _StuckBroker:
    """Takes messages and never acknowledges them, as a broker that is frozen does."""

    healthy = True
    payload_bytes_max = 1_000_000

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def publish(self, _subject: str, payload: bytes, **_: Any) -> None:
        self.taken.append(payload)
        await asyncio.Event().wait()


@pytest.fixture
async def publisher(broker: Broker) -> AsyncIterator[EventPublisher]:
    publisher = EventPublisher(broker, PublishLimits())
    yield publisher
    await publisher.close()


async def test_callbacks_of_the_same_moment_share_a_broker_message(
    broker: Broker, publisher: EventPublisher
) -> None:
    """A broker message for each would be fifty times slower."""
    await asyncio.gather(*[publisher.submit(_batch(f"wamid.{n}")) for n in range(50)])

    batches = await stored_batches(broker)
    assert len(batches) <= 3
    assert sorted(event.provider_message_id for batch in batches for event in batch.events) == (
        sorted(f"wamid.{n}" for n in range(50))
    )
    assert all(batch.batch_id for batch in batches)


async def test_a_submit_that_returned_is_on_disk(broker: Broker, publisher: EventPublisher) -> None:
    """A callback is answered 200 on the strength of this."""
    await publisher.submit(_batch("wamid.1"))

    assert [event.provider_message_id for event in await stored_events(broker)] == ["wamid.1"]


async def test_a_large_body_is_split_and_complete(broker: Broker) -> None:
    """A broker message has a limit; a callback of a thousand statuses may be beyond it."""
    publisher = EventPublisher(
        broker, PublishLimits(pieces=PieceLimits(batch_bytes_max=4_000, batch_events_max=10))
    )
    batch = _batch(*[f"wamid.{n}" for n in range(95)])
    for n in range(5):
        batch.quarantined.add(reason=f"R{n}", body=b"x" * 1_500)

    await publisher.submit(batch)

    batches = await stored_batches(broker)
    assert max(len(one.events) + len(one.quarantined) for one in batches) <= 10
    assert max(one.ByteSize() for one in batches) <= 4_000 + 100
    assert sum(len(one.events) for one in batches) == 95
    assert sorted(part.reason for one in batches for part in one.quarantined) == [
        f"R{n}" for n in range(5)
    ]


async def test_an_item_larger_than_the_broker_takes_is_refused_and_never_cut(
    broker: Broker, publisher: EventPublisher
) -> None:
    """A limit of ours that does not fit is ours to mend: until then the provider keeps it."""
    body = b"x" * broker.payload_bytes_max

    with pytest.raises(BrokerUnavailable):
        await publisher.submit(EventBatch(quarantined=[Quarantined(reason="BIG", body=body)]))
    await publisher.submit(_batch("wamid.neighbour"))

    assert [event.provider_message_id for event in await stored_events(broker)] == [
        "wamid.neighbour"
    ]


async def test_the_largest_body_that_cannot_be_read_is_stored_whole(
    broker: Broker, publisher: EventPublisher
) -> None:
    """It was answered 200, so all of it must be there when somebody knows how to read it."""
    body = bytes(range(256)) * (3 * 1024 * 1024 // 256)

    await publisher.submit(EventBatch(quarantined=[Quarantined(reason="BIG", body=body)]))

    (batch,) = await stored_batches(broker)
    assert batch.quarantined[0].body == body


async def test_a_caller_who_leaves_does_not_end_the_wait_of_the_others(
    broker: Broker, publisher: EventPublisher
) -> None:
    """They share a broker message, and nothing else."""
    leaving = asyncio.create_task(publisher.submit(_batch("wamid.leaves")))
    staying = asyncio.create_task(publisher.submit(_batch("wamid.stays")))
    await asyncio.sleep(0)
    leaving.cancel()

    await staying

    names = {event.provider_message_id for event in await stored_events(broker)}
    assert "wamid.stays" in names


async def test_a_broker_that_never_answers_is_unavailable_in_bounded_time() -> None:
    """The provider is told to try again instead of being kept waiting."""
    stuck = _StuckBroker()
    publisher = EventPublisher(
        stuck,  # type: ignore[arg-type]
        PublishLimits(submit_timeout_s=0.1, batches_in_flight_max=1),
    )

    async with asyncio.timeout(5):
        results = await asyncio.gather(
            *[publisher.submit(_batch(f"wamid.{n}")) for n in range(20)], return_exceptions=True
        )

    assert all(isinstance(result, BrokerUnavailable) for result in results)


async def test_too_much_waiting_is_refused_at_once() -> None:
    """Memory is bounded: what the broker does not take must not pile up here."""
    publisher = EventPublisher(
        _StuckBroker(),  # type: ignore[arg-type]
        PublishLimits(submit_timeout_s=5, pending_bytes_max=1_000),
    )
    waiting = [asyncio.create_task(publisher.submit(_batch("w" * 400))) for _ in range(3)]
    await asyncio.sleep(0.01)

    with pytest.raises(BrokerUnavailable):
        await publisher.submit(_batch("one too many"))

    for task in waiting:
        task.cancel()


async def test_a_broker_that_comes_back_takes_events_again(nats_server: NatsServer) -> None:
    """An outage is 503 for its length, and no longer."""
    settings = RuntimeSettings(
        nats_url=nats_server.url,
        nats_monitor_url=nats_server.monitor_url,
        nats_publish_timeout_s=1,
    )
    broker = await Broker.connect(settings, "test")
    await broker.ensure_streams()
    publisher = EventPublisher(broker, PublishLimits(submit_timeout_s=2))
    await nats_server.stop()
    try:
        with pytest.raises(BrokerUnavailable):
            await publisher.submit(_batch("wamid.during"))
    finally:
        await nats_server.start()

    async with asyncio.timeout(30):
        while not broker.healthy:
            await asyncio.sleep(0.05)
        await publisher.submit(_batch("wamid.after"))

    names = [event.provider_message_id for event in await stored_events(broker)]
    assert "wamid.after" in names
    await broker.close()


class _PacedBroker(_StuckBroker):
    """Acknowledges what it took when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self._gates: list[asyncio.Event] = []

    async def publish(self, _subject: str, payload: bytes, **_: Any) -> None:
        self.batches.append(len(EventBatch.FromString(payload).events))
        gate = asyncio.Event()
        self._gates.append(gate)
        await gate.wait()

    def acknowledge(self, number: int) -> None:
        self._gates[number].set()


def _paced(**limits: Any) -> tuple[_PacedBroker, EventPublisher]:
    broker = _PacedBroker()
    limits = {"answer_patience_s": 60.0, "submit_timeout_s": 60.0, **limits}
    return broker, EventPublisher(broker, PublishLimits(**limits))  # type: ignore[arg-type]


def _submit(publisher: EventPublisher, count: int) -> list[BrokerUnavailable | None]:
    ends: list[BrokerUnavailable | None] = []
    for n in range(count):
        publisher.submit_soon(_batch(f"wamid.{n}"), ends.append)
    return ends


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_with_nothing_under_way_a_message_leaves_at_the_end_of_the_turn() -> None:
    """Waiting for company that does not come would only make callbacks slower."""
    broker, publisher = _paced()

    _submit(publisher, 7)
    assert broker.batches == []
    await _turns()

    assert broker.batches == [7]


async def test_a_slow_broker_makes_messages_larger_and_not_more_of_them() -> None:
    """Its pace is the only clock: what comes while it works goes with the next message."""
    broker, publisher = _paced()
    first = _submit(publisher, 2)
    await _turns()
    later = []
    for _ in range(10):
        later.append(_submit(publisher, 30))
        await _turns()
    assert broker.batches == [2]

    broker.acknowledge(0)
    await _turns()

    assert first == [None, None]
    assert broker.batches == [2, 300]
    broker.acknowledge(1)
    await _turns()
    assert all(ends == [None] * 30 for ends in later)


async def test_a_full_message_leaves_beside_others() -> None:
    """A slow broker must not bound the rate by the size of one message."""
    broker, publisher = _paced(pieces=PieceLimits(batch_events_max=10), batches_in_flight_max=3)

    _submit(publisher, 95)
    await _turns()
    assert broker.batches == [10, 10, 10]
    broker.acknowledge(1)
    await _turns()

    assert broker.batches == [10, 10, 10, 10]


async def test_nobody_waits_for_the_messages_of_a_large_callback() -> None:
    """They may be many, and take the broker long; its neighbours have a lane of their own."""
    broker, publisher = _paced(pieces=PieceLimits(batch_events_max=10), batches_in_flight_max=8)
    large: list[BrokerUnavailable | None] = []
    publisher.submit_soon(_batch(*[f"large.{n}" for n in range(95)]), large.append)
    await _turns()
    assert broker.batches == [10, 10]

    small = _submit(publisher, 3)
    await _turns()
    assert broker.batches == [10, 10, 3]
    broker.acknowledge(2)
    await _turns()

    assert small == [None] * 3
    assert large == []
    for number in (0, 1, *range(3, 11)):
        broker.acknowledge(number)
        await _turns()
    assert large == [None]


async def test_an_answer_that_is_lost_holds_nobody_up() -> None:
    """One message may be lost with a connection; those behind it need not wait for its time-out."""
    broker, publisher = _paced(answer_patience_s=0.01)
    _submit(publisher, 1)
    await _turns()

    behind = _submit(publisher, 3)
    async with asyncio.timeout(5):
        while len(broker.batches) < 2:
            await asyncio.sleep(0.005)
        broker.acknowledge(1)
        while len(behind) < 3:
            await asyncio.sleep(0.005)

    assert broker.batches == [1, 3]
    assert behind == [None] * 3


async def test_what_comes_after_the_time_is_up_does_not_join_those_who_were_told_so() -> None:
    """Their message is given up and never leaves: whoever joined it would wait for ever."""
    broker, publisher = _paced(submit_timeout_s=0.05)
    _submit(publisher, 1)
    await _turns()
    late = _submit(publisher, 1)
    async with asyncio.timeout(5):
        while not late:
            await asyncio.sleep(0.005)
    assert isinstance(late[0], BrokerUnavailable)

    after = _submit(publisher, 1)
    broker.acknowledge(0)
    await _turns()
    broker.acknowledge(1)
    await _turns()

    assert after == [None]


async def test_the_doors_reports_are_cut_into_messages_as_well(broker: Broker) -> None:
    """They were lost without a word where a message held less than all of them."""
    publisher = EventPublisher(broker, PublishLimits(pieces=PieceLimits(batch_bytes_max=1_024)))
    batch = EventBatch()
    for n in range(100):
        batch.door_reports.add(report_id=b"%016d" % n, tenant_id="demo", account="acct_1")

    await publisher.submit(batch)

    stored = await stored_batches(broker)
    assert len(stored) > 1
    assert sorted(report.report_id for one in stored for report in one.door_reports) == [
        b"%016d" % n for n in range(100)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), max_size=8),
    st.integers(1, 20),
    st.integers(1_024, 4_000),
)
async def test_however_submits_are_shared_and_split_every_event_is_published_once(
    sizes: list[int], events_max: int, bytes_max: int
) -> None:
    """Batching is for speed only: it must not lose, repeat or invent an event."""
    kept = EventBatch()

    class _Keeping(_StuckBroker):
        async def publish(self, _subject: str, payload: bytes, **_: Any) -> None:
            await asyncio.sleep(0)
            assert len(payload) <= bytes_max + 100
            kept.MergeFromString(payload)

    limits = PublishLimits(
        pieces=PieceLimits(batch_events_max=events_max, batch_bytes_max=bytes_max)
    )
    publisher = EventPublisher(_Keeping(), limits)  # type: ignore[arg-type]
    names = [[f"{index}-{n}" for n in range(size)] for index, size in enumerate(sizes)]

    await asyncio.gather(*[publisher.submit(_batch(*part)) for part in names])

    assert sorted(event.provider_message_id for event in kept.events) == sorted(
        name for part in names for name in part
    )
