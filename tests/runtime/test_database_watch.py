"""Readiness tells the truth about the database: away, old, or not what the code needs."""

from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table

from libs.embedded.postgres_server import PostgresServer
from libs.runtime.database import Database
from libs.runtime.database_watch import DatabaseWatch
from libs.runtime.migrate import revisions
from services.status.adapters.tables import metadata

_HEAD, _KNOWN = revisions("status")


def _watch(url: str, pool: Database, head: str = _HEAD) -> DatabaseWatch:
    return DatabaseWatch(
        url,
        {"all": pool},
        application="test",
        tables=metadata,
        schema="status",
        head=head,
        known=_KNOWN | {head},
    )


async def test_a_schema_that_the_code_cannot_use_is_named(database_url: str) -> None:
    """Each is named with its cure, and forgotten when it is mended."""
    pool = await Database.connect(database_url)

    async def after(sql: str, watch: DatabaseWatch) -> str:
        async with pool.transaction() as connection:
            await connection.execute(sql)
        watch._schema_look_s = 0
        await watch.look()
        return watch.fault

    try:
        watch = _watch(database_url, pool)
        await watch.look()
        assert watch.fault == ""
        rename = "ALTER TABLE status.notices RENAME COLUMN {} TO {}"
        column = metadata.tables["status.notices"].c.keys()[-1]
        assert f"status.notices.{column}" in await after(rename.format(column, "other"), watch)
        assert await after(rename.format("other", column), watch) == ""
        newer = "UPDATE status.alembic_version SET version_num = '9999'"
        assert await after(newer, watch) == "", "a newer schema was made so that we still run"
        old = _watch(database_url, pool, head="the next one")
        asked = f"UPDATE status.alembic_version SET version_num = '{_HEAD}'"
        assert "the code needs the next one" in await after(asked, old)
        assert "run `bluetick migrate`" in await after("DROP SCHEMA status CASCADE", old)
        await old._drop()
        await watch._drop()
    finally:
        await pool.close()


async def test_a_server_that_was_stopped_is_a_fault_until_it_answers(
    servers_folder: Path,
) -> None:
    """Status was "ready" while PostgreSQL was stopped."""
    server = PostgresServer(servers_folder / "watched", is_throwaway=True)
    await server.start()
    pool = Database.lazy(server.url)
    tables = MetaData(schema="x")
    Table("t", tables, Column("id", Integer))
    watch = DatabaseWatch(
        server.url, pool, application="test", tables=tables, schema="x", head="1",
        known=frozenset(),
    )  # fmt: skip
    async with pool.transaction() as connection:
        await connection.execute("CREATE SCHEMA x")
        await connection.execute("CREATE TABLE x.t (id int)")
        await connection.execute("CREATE TABLE x.alembic_version AS SELECT '1' AS version_num")
    found: list[str] = []

    await watch.look()
    found.append(watch.fault)
    await server.stop()
    await watch.look()
    found.append(watch.fault)
    await server.start()
    await watch.look()
    found.append(watch.fault)
    await pool.close()
    await watch._drop()
    await server.stop()

    assert found[0] == found[2] == ""
    assert found[1] != ""
