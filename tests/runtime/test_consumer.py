"""The consumer's verdicts, against the real broker."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from libs.embedded.nats_server import NatsServer
from libs.runtime import set_aside
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, SET_ASIDE_STREAM, Broker
from libs.runtime.consumer import Delivery, PullConsumer, Refused, TryAgain, Unprocessable
from libs.runtime.database import PoolExhausted, RowsLocked


class Sink:
    """Remembers what was handled."""

    def __init__(self) -> None:
        self.handled: list[bytes] = []


async def _fill(broker: Broker, bodies: Sequence[bytes]) -> None:
    for number, body in enumerate(bodies):
        await broker.publish(EVENTS_SUBJECT, body, msg_id=f"m{number}", stream=EVENTS_STREAM)


async def _until(done: Callable[[], bool], limit_s: float = 20) -> None:
    async with asyncio.timeout(limit_s):
        while not done():
            await asyncio.sleep(0.01)


def _consumer(
    broker: Broker,
    handle: Callable[[list[Delivery]], Awaitable[Sequence[Refused] | None]],
    **options: Any,
) -> PullConsumer:
    return PullConsumer(broker, stream=EVENTS_STREAM, durable="status", handle=handle, **options)


async def _run_until(
    broker: Broker,
    handle: Callable[[list[Delivery]], Awaitable[Sequence[Refused] | None]],
    done: Callable[[], bool],
    **options: Any,
) -> None:
    consumer = _consumer(broker, handle, **options)
    running = asyncio.create_task(consumer.run())
    await _until(done)
    await consumer.stop()
    await running


async def _unacknowledged(broker: Broker) -> int:
    await broker.client.flush()
    info = await broker.jetstream.consumer_info(EVENTS_STREAM, "status")
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def _set_aside(broker: Broker) -> list[tuple[bytes, str]]:
    """Body and reason of what is kept for the operator."""
    kept = (await broker.jetstream.stream_info(SET_ASIDE_STREAM)).state
    found = []
    for seq in range(max(1, kept.first_seq), kept.last_seq + 1):
        message = await broker.jetstream.get_msg(SET_ASIDE_STREAM, seq)
        assert message.headers is not None
        found.append((message.data or b"", message.headers[set_aside.REASON]))
    return found


async def test_every_message_is_handled_and_acknowledged(broker: Broker) -> None:
    """The last acknowledgement is the proof that nothing is left behind."""
    sink = Sink()
    bodies = [b"%d" % number for number in range(700)]
    await _fill(broker, bodies)

    async def handle(batch: list[Delivery]) -> None:
        sink.handled += [delivery.data for delivery in batch]

    await _run_until(broker, handle, lambda: len(sink.handled) >= 700)

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
            raise TryAgain("the database is down")
        sink.handled += [delivery.data for delivery in batch]

    await _run_until(broker, handle, lambda: len(sink.handled) >= 2)

    assert sorted(sink.handled) == [b"a", b"b"]
    assert await _set_aside(broker) == []


async def test_content_that_cannot_be_read_is_set_aside_and_its_neighbours_are_handled(
    broker: Broker,
) -> None:
    """One message that nobody can read must not stop the flow, and is kept as it was."""
    sink = Sink()
    await _fill(broker, [b"a", b"poison", b"b", b"c", b"refused"])

    async def handle(batch: list[Delivery]) -> list[Refused]:
        if any(delivery.data == b"poison" for delivery in batch):
            raise Unprocessable("NOT_READABLE")
        refused = [Refused(one, "A_WORD") for one in batch if one.data == b"refused"]
        sink.handled += [one.data for one in batch if one.data != b"refused"]
        return refused

    await _run_until(broker, handle, lambda: len(sink.handled) >= 3)

    assert sorted(sink.handled) == [b"a", b"b", b"c"]
    assert sorted(await _set_aside(broker)) == [(b"poison", "NOT_READABLE"), (b"refused", "A_WORD")]
    assert await _unacknowledged(broker) == 0


async def test_a_fault_of_ours_stops_everything_and_loses_nothing(broker: Broker) -> None:
    """A renamed column, a full pool, a bug: nothing is acknowledged, and it says why.

    When the cause has gone, all that was sent meanwhile is handled, and nothing was set aside.
    """
    faults: list[Exception] = [
        asyncpg.UndefinedColumnError('column "x" does not exist'),
        PoolExhausted("all connections are at work"),
        asyncpg.InsufficientPrivilegeError("permission denied for table messages"),
        KeyError("a bug"),
    ]
    for number, fault in enumerate(faults):
        broken = asyncio.Event()
        broken.set()
        sink = Sink()

        async def handle(
            batch: list[Delivery],
            fault: Exception = fault,
            sink: Sink = sink,
            broken: asyncio.Event = broken,
        ) -> None:
            if broken.is_set():
                raise fault
            sink.handled += [delivery.data for delivery in batch]

        consumer = _consumer(broker, handle)
        running = asyncio.create_task(consumer.run())
        bodies = [b"%d-%d" % (number, one) for one in range(20)]
        for body in bodies:
            await broker.publish(EVENTS_SUBJECT, body, msg_id=body.decode(), stream=EVENTS_STREAM)
        await _until(lambda: type(fault).__name__ in consumer.fault)  # noqa: B023
        await asyncio.sleep(1)
        assert await _unacknowledged(broker) == 20

        broken.clear()
        await _until(lambda: len(set(sink.handled)) == 20, 15)  # noqa: B023
        await _until(lambda: not consumer.fault)  # noqa: B023
        await consumer.stop()
        await running
        assert sorted(set(sink.handled)) == sorted(bodies)
    assert await _set_aside(broker) == []
    assert await _unacknowledged(broker) == 0


async def test_a_message_that_crashes_alone_is_set_aside_once_its_neighbours_have_passed(
    broker: Broker,
) -> None:
    """Without neighbours that pass, a bug that hits everything looks just the same: it stops."""
    sink = Sink()
    await _fill(broker, [b"crash"])

    async def handle(batch: list[Delivery]) -> None:
        if any(delivery.data == b"crash" for delivery in batch):
            raise KeyError("a bug")
        sink.handled += [delivery.data for delivery in batch]

    consumer = _consumer(broker, handle)
    running = asyncio.create_task(consumer.run())
    await _until(lambda: "KeyError" in consumer.fault)
    assert await _set_aside(broker) == []
    sent = 0
    async with asyncio.timeout(30):
        while not await _set_aside(broker):
            sent += 1
            await broker.publish(
                EVENTS_SUBJECT, b"%d" % sent, msg_id=f"n{sent}", stream=EVENTS_STREAM
            )
            await asyncio.sleep(0.05)
    await _until(lambda: len(set(sink.handled)) == sent and not consumer.fault)
    await consumer.stop()
    await running

    assert await _set_aside(broker) == [(b"crash", "CRASHED KeyError")]
    assert await _unacknowledged(broker) == 0


async def test_rows_locked_by_somebody_else_delay_only_their_message(broker: Broker) -> None:
    """A session left open over lunch holds one message, not everybody's."""
    sink = Sink()
    is_locked = True
    await _fill(broker, [b"locked", *(b"%d" % number for number in range(200))])

    async def handle(batch: list[Delivery]) -> None:
        if is_locked and any(delivery.data == b"locked" for delivery in batch):
            await asyncio.sleep(0.1)
            raise RowsLocked("rows are locked")
        sink.handled += [delivery.data for delivery in batch]

    consumer = _consumer(broker, handle, concurrent_max=2)
    running = asyncio.create_task(consumer.run())
    await _until(lambda: len(set(sink.handled)) == 200)
    assert consumer.fault == ""
    await _fill_more(broker, 50)
    await _until(lambda: len(set(sink.handled)) == 250, 3)
    is_locked = False
    await _until(lambda: b"locked" in sink.handled, 15)
    await consumer.stop()
    await running

    assert await _unacknowledged(broker) == 0
    assert await _set_aside(broker) == []


async def _fill_more(broker: Broker, count: int) -> None:
    for number in range(count):
        body = b"more-%d" % number
        await broker.publish(EVENTS_SUBJECT, body, msg_id=body.decode(), stream=EVENTS_STREAM)


async def test_too_many_in_a_row_for_the_quarantine_are_a_fault_of_ours(broker: Broker) -> None:
    """If nothing can be read any more, it is the reader that is broken."""
    await _fill(broker, [b"%d" % number for number in range(300)])

    async def handle(batch: list[Delivery]) -> list[Refused]:
        return [Refused(one, "NOT_READABLE") for one in batch]

    consumer = _consumer(broker, handle, batch_messages_max=16)
    running = asyncio.create_task(consumer.run())
    await _until(lambda: "in a row" in consumer.fault)
    await consumer.stop()
    await running

    assert len(await _set_aside(broker)) <= 100
    assert await _unacknowledged(broker) >= 200


async def test_batches_overlap_up_to_the_limit(broker: Broker) -> None:
    """While PostgreSQL writes one, the next is merged; each is acknowledged by itself."""
    at_once = most = done = 0
    await _fill(broker, [b"%d" % number for number in range(60)])

    async def handle(batch: list[Delivery]) -> None:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        done += len(batch)

    await _run_until(broker, handle, lambda: done >= 60, concurrent_max=3, batch_messages_max=5)

    assert most == 3
    assert await _unacknowledged(broker) == 0


async def test_a_slow_handler_keeps_its_messages_and_a_dead_one_gives_them_up(
    broker: Broker, broker_settings: Any
) -> None:
    """The time after which silence counts as death is short, however long the work takes."""
    counts: list[int] = []
    await _fill(broker, [b"slow"])

    async def slow(batch: list[Delivery]) -> None:
        counts.extend(delivery.delivery_count for delivery in batch)
        await asyncio.sleep(3)

    await _run_until(broker, slow, lambda: bool(counts), ack_wait_s=1.0)
    assert counts == [1]
    assert await _unacknowledged(broker) == 0

    other = await Broker.connect(broker_settings, "dying")
    taken = asyncio.Event()

    async def stuck(batch: list[Delivery]) -> None:
        taken.set()
        await asyncio.sleep(60)

    dying = asyncio.create_task(_consumer(other, stuck).run())
    await broker.publish(EVENTS_SUBJECT, b"left", msg_id="left", stream=EVENTS_STREAM)
    await asyncio.wait_for(taken.wait(), 5)
    # As a kill does it: the connection goes away, nothing is said.
    await other.client.close()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    got: list[bytes] = []

    async def handle(batch: list[Delivery]) -> None:
        got.extend(delivery.data for delivery in batch)

    consumer = _consumer(broker, handle)
    running = asyncio.create_task(consumer.run())
    await _until(lambda: got == [b"left"], 5.5)
    await consumer.stop()
    await running
    await other.close()


async def test_a_consumer_that_was_deleted_is_made_again(broker: Broker) -> None:
    """Nobody else would do it; and until it is there, the service says that it is not ready."""
    sink = Sink()

    async def handle(batch: list[Delivery]) -> None:
        sink.handled += [delivery.data for delivery in batch]

    consumer = _consumer(broker, handle)
    running = asyncio.create_task(consumer.run())
    await _fill(broker, [b"before"])
    await _until(lambda: b"before" in sink.handled)
    await broker.jetstream.delete_consumer(EVENTS_STREAM, "status")
    await broker.publish(EVENTS_SUBJECT, b"after", msg_id="after", stream=EVENTS_STREAM)

    await _until(lambda: b"after" in sink.handled, 10)
    await consumer.stop()
    await running

    assert consumer.fault == ""


async def test_the_largest_message_that_the_broker_takes_comes_through(broker: Broker) -> None:
    """One body of 2.2 MiB once stopped everything behind it."""
    sizes: list[int] = []
    largest = broker.payload_bytes_max - 4096
    await _fill(broker, [b"a" * largest, b"b", b"c" * largest, b"d" * largest, b"e"])

    async def handle(batch: list[Delivery]) -> None:
        sizes.extend(len(delivery.data) for delivery in batch)

    await _run_until(broker, handle, lambda: len(sizes) == 5, batch_bytes_max=1024)

    assert sorted(sizes) == [1, 1, largest, largest, largest]


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
    await _run_until(broker, handle, lambda: b"after" in sink.handled)
    await filling

    assert set(sink.handled) == {b"before", b"after"}
