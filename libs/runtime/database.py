"""PostgreSQL: one pool per process, time-outs everywhere, each trouble under its own name."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.runtime import logs
from libs.runtime.database_errors import (
    DRIVER,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    PoolExhausted,
    RowsLocked,
    StatementOverdue,
    named,
)

__all__ = [
    "Database",
    "DatabaseMisconfigured",
    "DatabaseUnavailable",
    "PoolExhausted",
    "RowsLocked",
    "StatementOverdue",
    "async_url",
]

_log = logs.get_logger()
ResultT = TypeVar("ResultT")

_CONNECT_TIMEOUT_S = 5.0
_POOL_TIMEOUT_S = 5.0
_TRANSACTION_ATTEMPTS = 5

# Serialization failures and deadlocks: the same transaction may succeed at once.
_RETRYABLE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


def async_url(url: str) -> str:
    """Return ``url`` with the asyncpg driver named, whatever form of postgres:// it had."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


class Database:
    """The pool. Everything read or written names its schema: ``search_path`` is left alone."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        pool_size: int = 4,
        statement_timeout_s: float = 20.0,
        lock_timeout_s: float = 2.0,
        application: str = "bluetick",
    ) -> "Database":
        """Return a pool that works, waiting with backoff for a database that is still starting.

        Raises:
            DatabaseMisconfigured: it answers, and refuses us: waiting would not help.
        """
        database = cls.lazy(
            url,
            pool_size=pool_size,
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
            application=application,
        )
        try:
            await database.wait_until_answered()
        except DatabaseMisconfigured:
            await database.close()
            raise
        return database

    @classmethod
    def lazy(
        cls,
        url: str,
        *,
        pool_size: int = 4,
        statement_timeout_s: float = 20.0,
        lock_timeout_s: float = 2.0,
        application: str = "bluetick",
    ) -> "Database":
        """Return a pool that connects when it is first used, and may then find no database."""
        engine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=min(_POOL_TIMEOUT_S, statement_timeout_s),
            # A connection that a restart of the server has cut is noticed before it is used.
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT_TIMEOUT_S,
                "command_timeout": statement_timeout_s + 5,
                "server_settings": {
                    "application_name": application,
                    "statement_timeout": str(int(statement_timeout_s * 1000)),
                    "lock_timeout": str(int(lock_timeout_s * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                    # Plans by unnest are the same for every batch; JIT costs more than it gives.
                    "jit": "off",
                },
            },
        )
        return cls(engine)

    async def wait_until_answered(self) -> None:
        """Return when the database answers.

        Raises:
            DatabaseMisconfigured: it answers, and refuses us.
        """
        delay_s = 0.1
        while True:
            try:
                async with self.transaction() as connection:
                    await connection.fetchval("SELECT 1")
                return
            except DatabaseMisconfigured:
                raise
            except DatabaseUnavailable as error:
                _log.warning("database.unreachable", error=str(error), retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 5.0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Yield a raw asyncpg connection inside a READ COMMITTED transaction.

        Leaving commits; an exception rolls back.

        Raises:
            DatabaseUnavailable: there is no connection, it broke, or a time-out was reached.
        """
        is_connected = False
        try:
            async with self.engine.connect() as pooled:
                raw = (await pooled.get_raw_connection()).driver_connection
                assert raw is not None
                is_connected = True
                is_begun = False
                try:
                    async with raw.transaction():
                        is_begun = True
                        yield raw
                finally:
                    # Cancelled as it began, nobody knows whether it did; cancelled twice, it may
                    # not have been rolled back. The pool would not look.
                    if not is_begun or raw.is_in_transaction():
                        raw.terminate()
        except (PoolTimeoutError, DBAPIError, *DRIVER) as error:
            trouble = named(error, is_connected=is_connected)
            if trouble is None:
                raise
            raise trouble from error

    @property
    def pool_in_use(self) -> int:
        """Connections that are at work just now."""
        return int(self.engine.pool.checkedout())  # type: ignore[attr-defined]

    @property
    def pool_size(self) -> int:
        """Connections that there can be."""
        return int(self.engine.pool.size())  # type: ignore[attr-defined]

    async def run(self, work: Callable[[Any], Awaitable[ResultT]]) -> ResultT:
        """Run ``work(connection)`` in one transaction, again if it met a deadlock.

        ``work`` may run several times, so it must not change anything outside the transaction.
        """
        for attempt in range(1, _TRANSACTION_ATTEMPTS + 1):
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except _RETRYABLE as error:
                _log.warning("transaction.repeated", error=type(error).__name__, attempt=attempt)
                if attempt == _TRANSACTION_ATTEMPTS:
                    raise DatabaseUnavailable(str(error)) from error
                await asyncio.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
