"""The status service on a real database, with or without a real broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from libs.runtime.broker import Broker
from libs.runtime.clock import SystemClock
from libs.runtime.database import Database
from libs.testkit.clock import ManualClock
from services.status.adapters.change_feed import ChangeFeed
from services.status.adapters.flow_positions import FlowPositions
from services.status.adapters.lane_connection import JANITOR_SESSION, LANE_SESSION
from services.status.adapters.outbox_store import OutboxStore
from services.status.lanes import Lanes
from tests.status.machine import Bench, CollectingOutbox, a_connection, make_bench
from tests.status.webhook_receiver import Receiver

OpenLanes = Callable[..., Lanes]


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database_url, pool_size=6)
    yield connected
    await connected.close()


@pytest.fixture
def bench(database: Database, clock: ManualClock) -> Bench:
    """Status without a broker: what it would publish is collected."""
    return make_bench(database, CollectingOutbox(database), clock)


@pytest_asyncio.fixture(loop_scope="session")
async def outbox(
    database: Database, database_url: str, broker: Broker
) -> AsyncIterator[OutboxStore]:
    """The real outbox."""
    janitor = a_connection(database_url, JANITOR_SESSION)
    store = OutboxStore(database, broker, janitor)
    yield store
    await store.settle()
    await janitor.close()


@pytest.fixture
def published(database: Database, outbox: OutboxStore, clock: ManualClock) -> Bench:
    """Status with its real outbox and broker."""
    return make_bench(database, outbox, clock)


@pytest_asyncio.fixture(loop_scope="session")
async def open_lanes(database_url: str) -> AsyncIterator[OpenLanes]:
    """Opens lanes of a replica under test: ``open_lanes(bench, lanes=2)``."""
    async with AsyncExitStack() as stack:

        def opened(
            bench: Bench, *, lanes: int = 2, lock_timeout_s: float = 0.3, events_max: int = 2_000
        ) -> Lanes:
            connections = [
                a_connection(database_url, LANE_SESSION, lock_timeout_s) for _ in range(lanes)
            ]
            made = Lanes(
                bench.use_case, bench.outbox, connections, events_max=events_max, linger_s=0.002
            )
            made.start()
            for connection in connections:
                stack.push_async_callback(connection.close)
            stack.push_async_callback(made.close)
            return made

        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def feed(broker: Broker, database: Database) -> AsyncIterator[ChangeFeed]:
    """The stream of changes, as it is given to those who watch."""
    opened = ChangeFeed(
        broker, FlowPositions(broker, database), SystemClock(), kept_bytes_max=1024**2
    )
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    started = await Receiver().start()
    yield started
    await started.stop()
