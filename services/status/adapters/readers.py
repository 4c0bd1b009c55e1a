"""Reads for the gRPC doors."""

from collections.abc import Iterator

from bluetick.v1.event_pb2 import Event

from libs.runtime.database import Database
from services.status.adapters import health_sql, quarantine_sql, recipients_sql, sql
from services.status.adapters.message_store import MessageStore
from services.status.domain.changes import Known
from services.status.domain.gather import occur_time
from services.status.domain.gathered import HistoryEntry, fingerprint
from services.status.domain.history import entries
from services.status.domain.recipients import Recipient
from services.status.domain.refs import Claims
from services.status.get_message import Found
from services.status.list_quarantine import QuarantineRow
from services.status.list_unmatched_opt_outs import OptOutRow, Place


class MessageRows:
    """``get_message.MessageReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claims(self, tenant_id: str, ref: bytes) -> Claims | None:
        """Look the reference up."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(sql.READ_CLAIMS, tenant_id, ref)
        return Claims(*row) if row is not None else None

    async def recipients(self, tenant_id: str, batch: bytes) -> list[Recipient]:
        """Read what is known under the id."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(recipients_sql.READ_RECIPIENTS, tenant_id, batch)
        return [Recipient(*row) for row in rows]

    async def messages(self, tenant_id: str, keys: list[bytes]) -> dict[bytes, Found]:
        """Look messages up; of one with nothing but a history nothing is known."""
        wanted = [(tenant_id, key) for key in sorted(keys)]
        async with self._database.transaction() as connection:
            found = await MessageStore(connection).read_messages(wanted)
        return {
            key: Found(known.version, known.message)
            for (_, key), known in zip(wanted, found, strict=True)
            if known is not None and known.version
        }

    async def history(
        self, tenant_id: str, keys: list[bytes], limit: int
    ) -> list[tuple[bytes, HistoryEntry]]:
        """Read the history; the order does not depend on the order of arrival."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.READ_HISTORY, tenant_id, keys, limit)
            stored = await MessageStore(connection).read_messages(
                [(tenant_id, key) for key in sorted(keys)]
            )
        found = [(row[0], HistoryEntry(*row[1:])) for row in rows]
        for known in stored:
            if known is not None:
                found += told_in(known)
        found.sort(key=lambda one: (one[1].occur_time_us, one[1].kind, one[0]))
        return found[:limit]


def told_in(known: Known) -> Iterator[tuple[bytes, HistoryEntry]]:
    """Yield the history that a row keeps, with fingerprints."""
    for told, receive_us in entries(known.history):
        event = Event.FromString(told)
        time_us = occur_time(event.occur_time_us, receive_us)
        yield fingerprint(told), HistoryEntry(event.kind, time_us, receive_us, told)


class OptOutRows:
    """``list_unmatched_opt_outs.OptOutReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unmatched(
        self, tenant_id: str, provider: str, account: str, before: Place | None, limit: int
    ) -> list[OptOutRow]:
        """Read a page by the index of opt-outs on no message."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                health_sql.LIST_LONE_OPT_OUTS,
                *(tenant_id, provider, account),
                *(before or (None, None, None)),
                limit,
            )
        return [OptOutRow(*row) for row in rows]


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
