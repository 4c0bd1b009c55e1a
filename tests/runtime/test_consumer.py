"""The consumer's verdicts, against the real broker."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.embedded.nats_server import NatsServer
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker
from libs.runtime.consumer import Delivery, PullConsumer, TryAgain, Unprocessable


class Sink:
    """Remembers what was handled and what was set aside."""

    def __init__(self) -> None:
        self.handled: list[bytes] = []
        self.quarantined: list[tuple[bytes, str]] = []

    async def quarantine(self, delivery: Delivery, reason: str) -> None:
        """Set one message aside."""
        self.quarantined.append((delivery.data, reason))


async def _fill(broker: Broker, bodies: list[bytes]) -> None:
    for number, body in enumerate(bodies):
        await broker.publish(EVENTS_SUBJECT, body, msg_id=f"m{number}", stream=EVENTS_STREAM)


async def _run_until(
    broker: Broker,
    sink: Sink,
    handle: Callable[[list[Delivery]], Awaitable[None]],
    done: Callable[[], bool],
    **options: float,
) -> None:
    consumer = PullConsumer(
        broker,
        stream=EVENTS_STREAM,
        durable="status",
        handle=handle,
        quarantine=sink.quarantine,
        **options,
    )
    running = asyncio.create_task(consumer.run())
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)
    await consumer.stop()
    await running


async def _unacknowledged(broker: Broker) -> int:
    info = await broker.jetstream.consumer_info(EVENTS_STREAM, "status")
    return info.num_pending + info.num_ack_pending


async def test_every_message_is_handled_and_acknowledged(broker: Broker) -> None:
    """The last acknowledgement is the proof that nothing is left behind."""
    sink = Sink()
    bodies = [b"%d" % number for number in range(700)]
    await _fill(broker, bodies)

    async def handle(batch: list[Delivery]) -> None:
        sink.handled += [delivery.data for delivery in batch]

    await _run_until(broker, sink, handle, lambda: len(sink.handled) >= 700)

    assert sorted(sink.handled) == sorted(bodies)
    await broker.client.flush()
    assert await _unacknowledged(broker) == 0


async def test_messages_given_back_come_again(broker: Broker) -> None:
    """A database that is down costs time, never an event."""
    sink = Sink()
    await _fill(broker, [b"a", b"b"])
    attempts = 0

    async def handle(batch: list[Delivery]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise TryAgain("the database is down", delay_s=0.1)
        sink.handled += [delivery.data for delivery in batch]

    await _run_until(broker, sink, handle, lambda: len(sink.handled) >= 2)

    assert sorted(sink.handled) == [b"a", b"b"]
    assert not sink.quarantined


async def test_a_poisonous_message_is_set_aside_and_its_neighbours_are_handled(
    broker: Broker,
) -> None:
    """One message that nobody can read must not stop the flow."""
    sink = Sink()
    await _fill(broker, [b"a", b"poison", b"b", b"c"])

    async def handle(batch: list[Delivery]) -> None:
        if any(delivery.data == b"poison" for delivery in batch):
            raise Unprocessable("cannot be read")
        sink.handled += [delivery.data for delivery in batch]

    await _run_until(
        broker, sink, handle, lambda: len(sink.handled) >= 3 and bool(sink.quarantined)
    )

    assert sorted(sink.handled) == [b"a", b"b", b"c"]
    assert sink.quarantined == [(b"poison", "cannot be read")]


async def test_a_message_that_crashes_its_handler_is_tried_again_then_set_aside(
    broker: Broker,
) -> None:
    """A bug of ours is worth some more tries, but not an endless loop."""
    sink = Sink()
    await _fill(broker, [b"crash"])
    tries = 0

    async def handle(batch: list[Delivery]) -> None:
        nonlocal tries
        tries += 1
        raise KeyError("a bug")

    await _run_until(broker, sink, handle, lambda: bool(sink.quarantined))

    assert tries == 5
    assert sink.quarantined[0][0] == b"crash"


async def test_two_replicas_share_the_work_and_nothing_is_lost_when_one_stops(
    broker: Broker,
) -> None:
    """Scaling is adding replicas; a replica that leaves hands its messages back."""
    sink = Sink()
    bodies = [b"%d" % number for number in range(1_000)]

    async def handle(batch: list[Delivery]) -> None:
        await asyncio.sleep(0.001)
        sink.handled += [delivery.data for delivery in batch]

    def replica() -> PullConsumer:
        return PullConsumer(
            broker,
            stream=EVENTS_STREAM,
            durable="status",
            handle=handle,
            quarantine=sink.quarantine,
            batch_messages_max=8,
            ack_wait_s=1.0,
        )

    first, second = replica(), replica()
    running = [asyncio.create_task(one.run()) for one in (first, second)]
    await _fill(broker, bodies)
    await first.stop()
    async with asyncio.timeout(20):
        while len(set(sink.handled)) < 1_000:
            await asyncio.sleep(0.01)
    await second.stop()
    await asyncio.gather(*running)

    assert set(sink.handled) == set(bodies)


async def test_a_request_that_the_broker_forgot_is_sent_again(
    broker: Broker, nats_server: NatsServer
) -> None:
    """After a restart of the broker nobody answers the old requests; the flow must go on."""
    sink = Sink()

    async def handle(batch: list[Delivery]) -> None:
        sink.handled += [delivery.data for delivery in batch]

    async def fill_restart_fill() -> None:
        await _fill(broker, [b"before"])
        await nats_server.stop()
        await nats_server.start()
        async with asyncio.timeout(15):
            while not broker.healthy:
                await asyncio.sleep(0.05)
        await broker.publish(EVENTS_SUBJECT, b"after", msg_id="after", stream=EVENTS_STREAM)

    filling = asyncio.create_task(fill_restart_fill())
    await _run_until(broker, sink, handle, lambda: b"after" in sink.handled)
    await filling

    assert set(sink.handled) == {b"before", b"after"}
