"""The status service on a real database, with or without a real broker."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from libs.runtime.broker import Broker
from libs.runtime.database import Database
from libs.testkit.clock import ManualClock
from tests.status.machine import Bench, CollectingOutbox, make_bench


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database_url, pool_size=6)
    yield connected
    await connected.close()


@pytest.fixture
def bench(database: Database, clock: ManualClock) -> Bench:
    """Status without a broker: what it would publish is collected."""
    return make_bench(database, CollectingOutbox(database), clock)


@pytest.fixture
def published(database: Database, broker: Broker, clock: ManualClock) -> Bench:
    """Status with its real outbox and broker."""
    from services.status.adapters.outbox_store import OutboxStore

    return make_bench(database, OutboxStore(database, broker), clock)
