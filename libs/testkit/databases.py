"""Databases for tests: made in some 25 ms from a template that has every service's schema."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.embedded.postgres_server import PostgresServer
from libs.runtime.migrate import OWNERS, run_migrations, script_location

TEMPLATE = "bluetick_template"
_numbers = itertools.count(1)


async def make_template(server: PostgresServer) -> None:
    """Make the migrated database that the tests' databases are copied from."""
    await _run(server, f"CREATE DATABASE {TEMPLATE}")
    for service in OWNERS:
        if any((script_location(service) / "versions").glob("*.py")):
            # Blocking, and with a loop of its own.
            await asyncio.to_thread(run_migrations, service, server.url_of(TEMPLATE))


@asynccontextmanager
async def fresh_database(server: PostgresServer, *, template: str) -> AsyncIterator[str]:
    """Yield the URL of a copy of ``template`` that nobody else uses; dropped at the end."""
    name = f"test_{next(_numbers)}"
    await _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.url_of(name)
    finally:
        # FORCE: a test that failed may have left connections open.
        await _run(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _run(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.url, ssl=False, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
