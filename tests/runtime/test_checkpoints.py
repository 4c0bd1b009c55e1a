"""A database that was restored to an older state is noticed, and the stream is worked on again."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from libs.embedded.postgres_server import PostgresServer
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker
from libs.runtime.checkpoints import Checkpoints, restored_us
from libs.runtime.consumer import Delivery, PullConsumer
from libs.runtime.database import Database


class Replica:
    """A consumer that keeps the sequences that it handled in a table, and its checkpoint."""

    def __init__(self, broker: Broker, url: str) -> None:
        self.database = Database.lazy(url)
        self.forgotten = 0
        self.checkpoints = Checkpoints(
            self.database,
            broker,
            schema="status",
            stream=EVENTS_STREAM,
            consumer="status",
            forget=self._forget,
        )
        self.consumer = PullConsumer(
            broker,
            stream=EVENTS_STREAM,
            durable="status",
            handle=self._handle,
            start=self.checkpoints.start,
            batch_messages_max=7,
        )
        self._stopping = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self.consumer.run()),
            asyncio.create_task(self.checkpoints.keep(self._stopping)),
        ]

    def _forget(self) -> None:
        self.forgotten += 1

    async def _handle(self, batch: list[Delivery]) -> None:
        rows = [(delivery.stream_seq,) for delivery in batch]
        async with self.database.transaction() as connection:
            await connection.executemany(
                "INSERT INTO done VALUES ($1) ON CONFLICT DO NOTHING", rows
            )

    async def stop(self) -> None:
        await self.consumer.stop()
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await self.database.close()


async def _done(url: str) -> list[int]:
    database = Database.lazy(url)
    try:
        async with database.transaction() as connection:
            return [row[0] for row in await connection.fetch("SELECT seq FROM done ORDER BY 1")]
    finally:
        await database.close()


async def _publish(broker: Broker, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await broker.publish(EVENTS_SUBJECT, b"x", msg_id=f"{number}", stream=EVENTS_STREAM)


async def _until_done(url: str, count: int) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                if await _done(url) == list(range(1, count + 1)):
                    return
            except Exception:
                pass  # just being restored
            await asyncio.sleep(0.1)


@pytest.fixture
async def restorable(database_url: str, postgres_url: str) -> AsyncIterator[tuple[str, Database]]:
    """A database with a table for what is done, and an administrator."""
    admin = Database.lazy(postgres_url)
    database = Database.lazy(database_url)
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE done (seq bigint PRIMARY KEY)")
    await database.close()
    yield database_url, admin
    await admin.close()


async def _outside(admin: Database, *statements: str) -> None:
    async with admin.engine.connect() as pooled:
        raw = (await pooled.get_raw_connection()).driver_connection
        assert raw is not None
        for statement in statements:
            await raw.execute(statement)


def _without_sessions(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@pytest.mark.parametrize("replicas", [1, 2])
async def test_after_a_restore_everything_that_the_stream_has_is_done_again(
    broker: Broker, restorable: tuple[str, Database], replicas: int
) -> None:
    """It was never replayed: the broker had every acknowledgement, and the stream every event."""
    url, admin = restorable
    name = urlsplit(url).path[1:]
    running = [Replica(broker, url) for _ in range(replicas)]
    await _publish(broker, 1, 40)
    await _until_done(url, 40)
    await asyncio.sleep(1.5)  # a checkpoint, at least of some of it
    await _outside(
        admin,
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        _without_sessions(name),
        f"CREATE DATABASE {name}_backup TEMPLATE {name}",
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS true",
    )
    await _publish(broker, 41, 90)
    await _until_done(url, 90)

    # Restored: the older state takes its place. What was done since is known to the broker alone.
    await _outside(
        admin,
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        _without_sessions(name),
        f"DROP DATABASE {name}",
        f"ALTER DATABASE {name}_backup RENAME TO {name}",
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS true",
    )
    await _publish(broker, 91, 100)

    await _until_done(url, 100)
    # Whoever counts what was told of the lost work is told to count anew.
    assert await restored_us(broker) > 0
    async with asyncio.timeout(10):
        while not all(one.forgotten for one in running):
            await asyncio.sleep(0.1)
    for one in running:
        await one.stop()


async def test_a_restart_of_the_database_costs_a_moment_of_work_again_and_nothing_else(
    broker: Broker, restorable: tuple[str, Database], postgres_server: PostgresServer
) -> None:
    """From outside a restart and a restore look the same; going back is harmless."""
    url, _ = restorable
    running = Replica(broker, url)
    await _publish(broker, 1, 20)
    await _until_done(url, 20)
    await postgres_server.stop()
    await postgres_server.start()
    await _publish(broker, 21, 40)

    await _until_done(url, 40)
    await asyncio.sleep(1.5)
    info = await broker.jetstream.consumer_info(EVENTS_STREAM, "status")
    assert (info.num_pending, info.num_ack_pending) == (0, 0)
    assert await restored_us(broker) == 0
    await running.stop()


async def test_a_consumer_that_vanished_begins_at_the_checkpoint(
    broker: Broker, restorable: tuple[str, Database]
) -> None:
    """Without one it would begin with all that the stream has, days of it."""
    url, _ = restorable
    running = Replica(broker, url)
    await _publish(broker, 1, 30)
    await _until_done(url, 30)
    async with asyncio.timeout(10):
        while await running.checkpoints.start() != 31:
            await asyncio.sleep(0.1)
    await broker.jetstream.delete_consumer(EVENTS_STREAM, "status")
    await _publish(broker, 31, 35)

    await _until_done(url, 35)
    info = await broker.jetstream.consumer_info(EVENTS_STREAM, "status")
    await running.stop()

    assert info.config.opt_start_seq == 31
