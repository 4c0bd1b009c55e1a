"""Looks at the database all the time: does it answer, and has it the tables that the code needs?

On a connection of its own: a pool that is full of work says nothing about the database.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy import MetaData

from libs.runtime import logs, measures
from libs.runtime.database import Database, async_url
from libs.runtime.database_errors import named
from libs.runtime.verdicts import explained

_log = logs.get_logger()

_PING_EVERY_S: Final = 1.0
_SCHEMA_EVERY_S: Final = 10.0
_ANSWER_S: Final = 3.0

_COLUMNS: Final = """
    SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
"""


class DatabaseWatch:
    """One service's view of its database, for readiness."""

    def __init__(
        self,
        url: str,
        pools: Mapping[str, Database],
        *,
        application: str,
        tables: MetaData,
        schema: str,
        head: str,
        known: frozenset[str],
    ) -> None:
        """Build it.

        Args:
            url: address of PostgreSQL.
            pools: their use is measured, by name.
            application: the service's name, for pg_stat_activity.
            tables: the tables and columns that the code needs.
            schema: the service's own schema.
            head: revision of the schema that the code was written for.
            known: all revisions that the code knows; another one is newer, and was made so that
                this code still runs.
        """
        self._url = async_url(url).replace("+asyncpg", "")
        self._pools = pools
        self._application = f"{application}-watch"
        self._schema, self._head, self._known = schema, head, known
        self._needed = {
            (table.name, column.name) for table in tables.tables.values() for column in table.c
        }
        self._connection: Any = None
        self._schema_look_s = 0.0
        self.fault = "PostgreSQL is not looked at yet"

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until ``stopping``."""
        while not stopping.is_set():
            await self.look()
            for name, pool in self._pools.items():
                measures.POOL_IN_USE.labels(name).set(pool.pool_in_use)
                measures.POOL_SIZE.labels(name).set(pool.pool_size)
            try:
                await asyncio.wait_for(stopping.wait(), _PING_EVERY_S)
            except TimeoutError:
                continue
        await self._drop()

    async def look(self) -> None:
        """Look once; ``fault`` says what was found."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                fault = await self._ask()
        except Exception as error:
            await self._drop()
            fault = str(named(error, is_connected=False) or explained(error))
        if fault != self.fault:
            say = _log.error if fault else _log.info
            say("database.watched", fault=fault)
        self.fault = fault

    async def _ask(self) -> str:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._url,
                timeout=_ANSWER_S,
                server_settings={"application_name": self._application, "jit": "off"},
            )
            self._schema_look_s = 0.0
        start = time.monotonic()
        await self._connection.fetchval("SELECT 1")
        measures.DATABASE_SECONDS.observe(time.monotonic() - start)
        if not self.fault and start < self._schema_look_s:
            return ""
        self._schema_look_s = start + _SCHEMA_EVERY_S
        return await self._look_at_schema()

    async def _look_at_schema(self) -> str:
        found = {(row[0], row[1]) for row in await self._connection.fetch(_COLUMNS, self._schema)}
        if not found:
            return f"schema {self._schema} is not there; run `bluetick migrate`"
        version = await self._connection.fetchval(
            f"SELECT version_num FROM {self._schema}.alembic_version"  # noqa: S608 our own name
        )
        if version in self._known and version != self._head:
            return (
                f"schema {self._schema} is at {version}, the code needs {self._head}; "
                "run `bluetick migrate`"
            )
        if missing := sorted(self._needed - found):
            names = ", ".join(f"{self._schema}.{table}.{column}" for table, column in missing[:5])
            return f"{len(missing)} columns are missing: {names}"
        return ""

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
