"""Reads for the gRPC doors."""

from libs.runtime.database import Database
from services.status.adapters import quarantine_sql, sql
from services.status.adapters.message_store import MessageStore
from services.status.domain.gather import HistoryEntry
from services.status.get_message import Found
from services.status.list_quarantine import QuarantineRow


class MessageRows:
    """``get_message.MessageReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing_key(self, tenant_id: str, ref: bytes) -> bytes | None:
        """Look the reference up."""
        async with self._database.transaction() as connection:
            key: bytes | None = await connection.fetchval(sql.STANDING_KEY, tenant_id, ref)
            return key

    async def message(self, tenant_id: str, key: bytes) -> Found | None:
        """Look the message up."""
        async with self._database.transaction() as connection:
            stored = await MessageStore(connection).read_messages([(tenant_id, key)])
        return Found(*stored[tenant_id, key]) if stored else None

    async def history(
        self, tenant_id: str, keys: list[bytes], limit: int
    ) -> list[tuple[bytes, HistoryEntry]]:
        """Read the history; the order does not depend on the order of arrival."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.READ_HISTORY, tenant_id, keys, limit)
        return [(row[0], HistoryEntry(*row[1:])) for row in rows]


class QuarantineRows:
    """``list_quarantine.QuarantineReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(
        self,
        tenant_id: str,
        provider: str,
        account: str,
        before: tuple[int, bytes] | None,
        limit: int,
    ) -> list[QuarantineRow]:
        """Read a page and one more."""
        time_us, key = before or (None, None)
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                quarantine_sql.LIST_QUARANTINE, tenant_id, provider, account, time_us, key, limit
            )
        return [QuarantineRow(*row) for row in rows]

    async def bodies(self, tenant_id: str, keys: list[bytes]) -> dict[bytes, bytes]:
        """Read the bodies."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(quarantine_sql.READ_QUARANTINE_BODIES, tenant_id, keys)
        return {row[0]: row[1] for row in rows}
