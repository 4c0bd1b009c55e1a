"""Runs work in PostgreSQL transactions and sorts their failures."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from libs.runtime.database import Database
from services.status.adapters.message_store import MessageStore
from services.status.ports import Store, StoreRefused

ResultT = TypeVar("ResultT")

# Classes of SQLSTATE that the content is to blame for: data exception, integrity constraint,
# cardinality, program limit (an index row too large).
_CONTENT_CLASSES = ("22", "23", "21", "54")


class StatusTransactions:
    """``ports.Transactions`` on PostgreSQL, READ COMMITTED."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work`` in a transaction."""

        async def in_transaction(connection: Any) -> ResultT:
            return await work(MessageStore(connection))

        try:
            return await self._database.run(in_transaction)
        except asyncpg.PostgresError as error:
            if _is_content(error):
                raise StoreRefused(type(error).__name__) from error
            raise
        except (OverflowError, UnicodeEncodeError) as error:
            raise StoreRefused(type(error).__name__) from error


def _is_content(error: asyncpg.PostgresError) -> bool:
    # Refused by the driver before it was sent: no SQLSTATE of the server, the class says it.
    if isinstance(error, asyncpg.DataError):
        return True
    return str(error.sqlstate or "").startswith(_CONTENT_CLASSES)
