"""Runs work in PostgreSQL transactions and sorts their failures."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from libs.runtime.database import Database
from libs.runtime.verdicts import is_content
from services.status.adapters.message_store import MessageStore
from services.status.ports import Store, StoreRefused

ResultT = TypeVar("ResultT")


class StatusTransactions:
    """``ports.Transactions`` on a pool of PostgreSQL connections, READ COMMITTED."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work`` on its own."""
        return await self.run(work)

    async def run(self, work: Callable[[Store], Awaitable[ResultT]]) -> ResultT:
        """Run ``work`` in a transaction."""

        async def in_transaction(connection: Any) -> ResultT:
            return await work(MessageStore(connection))

        try:
            return await self._database.run(in_transaction)
        except Exception as error:
            if is_content(error):
                raise StoreRefused(type(error).__name__) from error
            raise
