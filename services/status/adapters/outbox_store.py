"""Publishes change batches to CHANGES and forgets them."""

from collections.abc import Sequence

from libs.runtime.broker import CHANGES_STREAM, Broker, OutboundMessage
from libs.runtime.database import Database
from services.status.adapters import sql
from services.status.ports import OutboxEntry

HEADERS = {"Bluetick-Schema": "bluetick.v1.MessageChangedBatch"}


class OutboxStore:
    """``ports.Outbox`` on PostgreSQL and JetStream."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish as one atomic batch, then delete.

        A crash in between leaves the entries to the sweeper, which sends them with the same ids.
        """
        await self._send(entries)
        async with self._database.transaction() as connection:
            await connection.execute(sql.DELETE_OUTBOX, *_keys(entries))

    async def sweep(self, created_before_us: int, limit: int) -> int:
        """Publish what was left behind, holding its rows so that no other replica does."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql.TAKE_OUTBOX, created_before_us, limit)
            entries = [OutboxEntry(*row) for row in rows]
            if entries:
                await self._send(entries)
                await connection.execute(sql.DELETE_OUTBOX, *_keys(entries))
        return len(entries)

    async def _send(self, entries: Sequence[OutboxEntry]) -> None:
        messages = [
            OutboundMessage(entry.subject, entry.payload, str(entry.outbox_id), HEADERS)
            for entry in entries
        ]
        await self._broker.publish_all(messages, CHANGES_STREAM)


def _keys(entries: Sequence[OutboxEntry]) -> tuple[list[str], list[object]]:
    return [e.tenant_id for e in entries], [e.outbox_id for e in entries]
