"""A connection of its own for one lane, on which each statement is planned once.

No pool, no ping, no set-up per transaction. A connection that broke is opened again by whoever
needs it next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy.engine import make_url

from libs.runtime import logs
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.database_errors import DRIVER, named
from libs.runtime.verdicts import is_content
from services.status.adapters.message_store import MessageStore
from services.status.ports import Store, StoreRefused

ResultT = TypeVar("ResultT")
_log = logs.get_logger()

_CONNECT_TIMEOUT_S: Final = 5.0
_ATTEMPTS_MAX: Final = 5
# What may succeed at once when it is done again: others were in the way, or tables were changed.
_AGAIN: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
# With these, whatever the size of the tables, a plan that is made once looks up by key: the
# statements are fenced for it. Statements that are not belong on the pool.
LANE_SESSION: Final[Mapping[str, str]] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "enable_material": "off",
    "enable_memoize": "off",
}
# Nothing is lost if the last deletions are: what was published is published once more.
JANITOR_SESSION: Final[Mapping[str, str]] = {**LANE_SESSION, "synchronous_commit": "off"}


class LaneConnection:
    """``ports.Transactions`` on one connection. Its user makes sure that calls do not overlap."""

    def __init__(
        self,
        url: str,
        session: Mapping[str, str],
        *,
        name: str,
        statement_timeout_s: float,
        lock_timeout_s: float,
    ) -> None:
        """Build it; it connects when it is first used.

        Args:
            url: of the database.
            session: settings of the connection, LANE_SESSION or JANITOR_SESSION.
            name: of the application, as PostgreSQL shows it.
            statement_timeout_s: after which a statement is given up.
            lock_timeout_s: after which a statement that waits for a lock is given up.
        """
        self._url = make_url(url).set(drivername="postgresql").render_as_string(False)
        self._timeout_s = statement_timeout_s
        self._session = {
            "application_name": name,
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "lock_timeout": str(int(lock_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": "60000",
            "jit": "off",
            **session,
        }
        self._connection: Any = None

    async def look(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work`` outside of any transaction."""
        return await self._attempt(lambda connection: work(_store(connection)))

    async def run(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work`` in a transaction; after a deadlock it runs again."""

        async def transact(connection: Any) -> ResultT:
            async with connection.transaction():
                return await work(_store(connection))

        return await self._attempt(transact)

    async def execute(self, statement: str, *arguments: Any) -> None:
        """Run one statement, which commits by itself."""
        await self._attempt(lambda connection: connection.execute(statement, *arguments))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=_CONNECT_TIMEOUT_S)
            except DRIVER:
                connection.terminate()

    async def _attempt(self, work: Callable[[Any], Awaitable[ResultT]]) -> ResultT:
        attempt = 1
        while True:
            try:
                return await work(await self._opened())
            except _AGAIN as error:
                _log.warning("transaction.repeated", error=type(error).__name__, attempt=attempt)
                if attempt == _ATTEMPTS_MAX:
                    raise DatabaseUnavailable(str(error)) from error
                await asyncio.sleep(0.01 * 2**attempt)
                attempt += 1
            except asyncio.CancelledError:
                # Cut anywhere, also as a transaction began: what is open on it, nobody knows.
                if self._connection is not None:
                    self._connection.terminate()
                raise
            except Exception as error:
                self._drop_if_broken()
                told = self._sorted(error)
                if told is error:
                    raise
                raise told from error

    async def _opened(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_TIMEOUT_S,
                command_timeout=self._timeout_s + 5,
                max_cached_statement_lifetime=0,
                server_settings=self._session,
            )
        return self._connection

    def _drop_if_broken(self) -> None:
        # Between two statements of ours nothing else may be open.
        connection = self._connection
        if connection is not None and not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()

    def _sorted(self, error: Exception) -> Exception:
        """Return the error under the name by which the caller knows what to do."""
        if is_content(error):
            return StoreRefused(type(error).__name__)
        if isinstance(error, DRIVER):
            return named(error, is_connected=self._connection is not None) or error
        return error


def _store(connection: Any) -> MessageStore:
    return MessageStore(connection, is_planned=True)
