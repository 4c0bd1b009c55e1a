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
from tests.ingest.stored_events import stored_batches, stored_events


def _batch(*names: str) -> EventBatch:
    return EventBatch(events=[an_event(provider_message_id=name) for name in names])


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
    publisher = EventPublisher(broker, PublishLimits(linger_s=0.02))
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
        broker, PublishLimits(batch_bytes_max=4_000, batch_events_max=10, linger_s=0.0)
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


async def test_an_item_larger_than_the_broker_takes_is_cut_and_says_so(broker: Broker) -> None:
    """It could never be stored whole, and the provider would repeat it for days."""
    publisher = EventPublisher(broker, PublishLimits(linger_s=0.0))
    body = b"x" * (broker.payload_bytes_max + 10)

    await publisher.submit(EventBatch(quarantined=[Quarantined(reason="BIG", body=body)]))

    (batch,) = await stored_batches(broker)
    (part,) = batch.quarantined
    assert 0 < len(part.body) < len(body)
    assert "cut" in part.detail


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
        PublishLimits(submit_timeout_s=0.1, batches_in_flight_max=1, linger_s=0.0),
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
        PublishLimits(submit_timeout_s=5, pending_bytes_max=1_000, linger_s=0.0),
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

    limits = PublishLimits(batch_events_max=events_max, batch_bytes_max=bytes_max, linger_s=0.0)
    publisher = EventPublisher(_Keeping(), limits)  # type: ignore[arg-type]
    names = [[f"{index}-{n}" for n in range(size)] for index, size in enumerate(sizes)]

    await asyncio.gather(*[publisher.submit(_batch(*part)) for part in names])

    assert sorted(event.provider_message_id for event in kept.events) == sorted(
        name for part in names for name in part
    )
