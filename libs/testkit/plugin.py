"""pytest fixtures: a real NATS and a real PostgreSQL, started once a session when first asked for.

Each xdist worker has its own. They end with the session, and also when it is killed.

| fixture | scope | gives |
|---|---|---|
| ``nats_url`` | test | broker without streams, ``nats://user:password@host:port`` |
| ``nats_monitor_url`` | session | its monitoring address |
| ``nats_server`` | session | the ``NatsServer``; for tests that kill it, and shared set-ups |
| ``broker_settings`` | test | ``RuntimeSettings`` for that broker |
| ``broker`` | test | connected ``Broker`` with its streams |
| ``database_url`` | test | fresh database with every service's schema |
| ``empty_database_url`` | test | fresh database without any |
| ``postgres_url`` | session | the server's own database, for nothing that leaves traces |
| ``postgres_server`` | session | the ``PostgresServer`` |
| ``clock`` | test | ``ManualClock`` |
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from libs.embedded.data_folder import TemporaryFolder
from libs.embedded.nats_server import NatsServer
from libs.embedded.postgres_server import PostgresServer
from libs.embedded.surroundings import forget_servers
from libs.runtime.broker import Broker
from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from libs.testkit.databases import TEMPLATE, fresh_database, make_template
from libs.testkit.streams import delete_streams

# A test kills processes, never the machine, so its commits need not reach the disk.
_POSTGRES_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}


def pytest_configure() -> None:
    """Forget the servers that the caller's shell names: tests write, and delete streams."""
    forget_servers(os.environ)
    # Tracebacks without all variables: such a one takes a second, and a broker's patience.
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Folder of the session's servers; removed at the end, or by the next session."""
    folder = TemporaryFolder()
    yield folder.path
    folder.remove()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_server(servers_folder: Path) -> AsyncIterator[NatsServer]:
    """A running NATS with JetStream."""
    server = NatsServer(servers_folder / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def nats_monitor_url(nats_server: NatsServer) -> str:
    """Where the broker's durability can be read."""
    return nats_server.monitor_url


@pytest_asyncio.fixture(loop_scope="session")
async def nats_url(nats_server: NatsServer) -> str:
    """A broker without streams."""
    await delete_streams(nats_server.url)
    return nats_server.url


@pytest.fixture
def broker_settings(nats_url: str, nats_monitor_url: str) -> RuntimeSettings:
    """Settings that lead to the test's broker."""
    return RuntimeSettings(nats_url=nats_url, nats_monitor_url=nats_monitor_url)


@pytest_asyncio.fixture(loop_scope="session")
async def broker(broker_settings: RuntimeSettings) -> AsyncIterator[Broker]:
    """A connection to the test's broker; the streams are there, empty."""
    connected = await Broker.connect(broker_settings, "test")
    await connected.ensure_streams()
    yield connected
    await connected.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(servers_folder: Path) -> AsyncIterator[PostgresServer]:
    """A running PostgreSQL."""
    server = PostgresServer(
        servers_folder / "postgres", settings=_POSTGRES_SETTINGS, is_throwaway=True
    )
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """The server's own database."""
    return postgres_server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(postgres_server: PostgresServer) -> str:
    """Name of the database that has every service's schema."""
    await make_template(postgres_server)
    return TEMPLATE


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(
    postgres_server: PostgresServer, migrated_template: str
) -> AsyncIterator[str]:
    """A database of the test's own, with every service's schema."""
    async with fresh_database(postgres_server, template=migrated_template) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def empty_database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A database of the test's own, without any schema."""
    async with fresh_database(postgres_server, template="template1") as url:
        yield url


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()
