"""PostgreSQL's troubles are called what they are, so that an operator need not guess."""

import asyncio
import time
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from libs.runtime.database import (
    Database,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    PoolExhausted,
    RowsLocked,
    StatementOverdue,
)
from libs.runtime.database_errors import named
from libs.runtime.migrate import wait_for_database
from libs.runtime.verdicts import Verdict, verdict_of


def _with(url: str, *, password: str | None = None, name: str | None = None) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc
    if password is not None:
        netloc = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{name}" if name else parts.path))


async def test_a_wrong_password_or_name_is_said_at_once(empty_database_url: str) -> None:
    """Waiting for a server that says no helps nobody; it took a minute to be told once."""
    wrong = (
        (_with(empty_database_url, password="wrong"), "refuses user or password"),
        (_with(empty_database_url, name="nowhere"), "no database of the name"),
    )
    for url, words in wrong:
        started = time.monotonic()
        with pytest.raises(DatabaseMisconfigured, match=words):
            await Database.connect(url)
        with pytest.raises(DatabaseMisconfigured, match=words):
            await wait_for_database(url, 60)
        assert time.monotonic() - started < 5


async def test_time_outs_and_a_full_pool_have_names_of_their_own(empty_database_url: str) -> None:
    """Each has another cure: a kill, a larger pool, a faster statement."""
    database = await Database.connect(
        empty_database_url, pool_size=2, statement_timeout_s=0.5, lock_timeout_s=0.1
    )
    async with database.transaction() as first:
        await first.execute("CREATE TABLE rows (id int)")
        await first.execute("INSERT INTO rows VALUES (1)")
    try:
        with pytest.raises(StatementOverdue):
            async with database.transaction() as slow:
                await slow.execute("SELECT pg_sleep(5)")
        async with database.transaction() as holder:
            await holder.execute("SELECT * FROM rows FOR UPDATE")
            with pytest.raises(RowsLocked) as locked:
                async with database.transaction() as waiter:
                    await waiter.execute("UPDATE rows SET id = 2")
            async with database.transaction():
                with pytest.raises(PoolExhausted) as full:
                    async with database.transaction():
                        pass
        assert verdict_of(locked.value) is Verdict.GIVE_BACK
        assert verdict_of(full.value) is Verdict.STOP
    finally:
        await database.close()


async def test_no_connection_left_is_said_as_that(
    empty_database_url: str, postgres_url: str
) -> None:
    """Raising max_connections or lowering the pool cures it; restarting does not."""
    admin = await Database.connect(postgres_url)
    name = urlsplit(empty_database_url).path[1:]
    async with admin.transaction() as connection:
        await connection.execute("CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 1")
    url = _with(empty_database_url).replace(
        f"{urlsplit(empty_database_url).username}:", "crowded:", 1
    )
    url = _with(url, password="crowded")
    crowded = await Database.connect(url, pool_size=2)
    try:
        async with crowded.transaction():
            with pytest.raises(DatabaseUnavailable, match="no connection left") as told:
                async with crowded.transaction():
                    pass
        assert verdict_of(told.value) is Verdict.STOP
    finally:
        await crowded.close()
        async with admin.transaction() as connection:
            await connection.execute(f"DROP OWNED BY crowded; DROP ROLE crowded; -- {name}")
        await admin.close()


async def test_a_missing_column_keeps_its_own_name(empty_database_url: str) -> None:
    """It is neither an outage nor content: the schema and the code do not fit."""
    database = await Database.connect(empty_database_url)
    try:
        with pytest.raises(Exception, match="does not exist") as told:
            async with database.transaction() as connection:
                await connection.execute("SELECT nothing FROM pg_class")
        assert not isinstance(told.value, DatabaseUnavailable)
        assert verdict_of(told.value) is Verdict.STOP
        with pytest.raises(Exception, match="out of range") as refused:
            async with database.transaction() as connection:
                await connection.fetchval("SELECT 40000::smallint")
        assert verdict_of(refused.value) is Verdict.SET_ASIDE
    finally:
        await database.close()
        await asyncio.sleep(0)


async def test_a_connection_whose_work_was_cut_twice_is_not_given_to_another(
    empty_database_url: str,
) -> None:
    """Cancelled in its rollback, too, it would stay in a transaction that is nobody's."""
    database = await Database.connect(empty_database_url, pool_size=1)

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(60)")

    for pause_s in (0.0, 0.001, 0.003, 0.01):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(pause_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async with database.transaction() as connection:
            # Refused in a subtransaction.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    await database.close()


async def test_a_connection_whose_work_was_cut_as_it_began_is_not_given_to_another(
    empty_database_url: str,
) -> None:
    """What the next one commits would be part of a transaction that nobody ends."""
    database = await Database.connect(empty_database_url, pool_size=1)

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT 1")

    for steps in range(60):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        async with database.transaction() as connection:
            # Refused in a subtransaction.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    await database.close()


def test_a_connection_that_breaks_while_the_driver_speaks_is_an_outage() -> None:
    """The driver calls that an internal error of its own; a caller may try again."""
    said = asyncpg.InternalClientError("another operation (2) is in progress")

    assert isinstance(named(said, is_connected=True), DatabaseUnavailable)
