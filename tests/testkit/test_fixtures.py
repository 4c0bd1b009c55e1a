import os
import subprocess
import sys

import asyncpg
import nats
from nats.js.api import StreamConfig

from libs.runtime.broker import EVENTS_STREAM, Broker


async def _make_stream(url: str) -> list[str]:
    client = await nats.connect(url)
    before = [info.config.name for info in await client.jetstream().streams_info()]
    await client.jetstream().add_stream(StreamConfig(name="LEFT", subjects=["left.>"]))
    await client.close()
    return before


async def test_a_test_starts_without_streams(nats_url: str) -> None:
    """Stream names are constants: what one test stored must not reach the next."""
    assert await _make_stream(nats_url) == []


async def test_what_the_test_before_left_is_gone(nats_url: str) -> None:
    """The same again, in whatever order the two run."""
    assert await _make_stream(nats_url) == []


async def test_the_broker_fixture_has_its_streams(broker: Broker) -> None:
    """Tests of publishers need no set-up of their own."""
    info = await broker.jetstream.stream_info(EVENTS_STREAM)

    assert info.state.messages == 0


async def test_a_database_is_the_tests_own(database_url: str, postgres_url: str) -> None:
    """Tests write what they like: no other sees it."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE mine (a int)")
    name = await connection.fetchval("SELECT current_database()")
    await connection.close()

    assert name.startswith("test_")
    assert name not in postgres_url


async def test_an_empty_database_has_no_schema_of_a_service(empty_database_url: str) -> None:
    """Migration tests start from nothing."""
    connection = await asyncpg.connect(empty_database_url)
    schemas = await connection.fetch("SELECT nspname FROM pg_namespace")
    await connection.close()

    assert not {"status", "analytics"} & {row["nspname"] for row in schemas}


def test_a_sync_test_may_use_the_servers_too(nats_url: str, database_url: str) -> None:
    """Hypothesis tests are not coroutines."""
    assert nats_url.startswith("nats://")
    assert database_url.startswith("postgresql://")


def test_no_test_hears_of_the_callers_servers() -> None:
    """A shell that has the address of production is where people type `make test`."""
    named = [name for name in os.environ if name.startswith(("BLUETICK_", "PG", "NATS_"))]

    assert named == []


def test_they_are_forgotten_before_the_first_test() -> None:
    """The same with such a shell, where a worker runs it."""
    hostile = {
        "BLUETICK_DATABASE_URL": "postgresql://production/bluetick",
        "BLUETICK_NATS_URL": "nats://production",
        "PGHOST": "production",
        "NATS_URL": "nats://production",
    }
    test = f"{__file__}::{test_no_test_hears_of_the_callers_servers.__name__}"

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", test],
        env=os.environ | hostile,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout
