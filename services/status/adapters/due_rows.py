"""Takes what is due, and removes messages that nobody recorded."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from libs.runtime.database import Database
from services.status.adapters import tables
from services.status.adapters.message_store import MessageStore
from services.status.domain.due import Due, keys_of
from services.status.domain.gathered import Key
from services.status.domain.message import Message
from services.status.domain.silence import MINUTE_US, together

# Of several replicas each takes other entries.
_TAKE: Final = f"""
DELETE FROM {tables.due.fullname} WHERE (due_time_us, tenant_id, due_id) IN (
  SELECT due_time_us, tenant_id, due_id FROM {tables.due.fullname}
  WHERE due_time_us <= $1 AND kind = $2
  ORDER BY due_time_us, tenant_id, due_id
  LIMIT $3
  FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, message_keys
"""

_LOCK: Final = f"""
SELECT due_time_us, tenant_id, due_id, message_keys FROM {tables.due.fullname}
WHERE due_time_us <= $1 AND kind = $2
ORDER BY due_time_us, tenant_id, due_id
LIMIT $3
FOR UPDATE SKIP LOCKED
"""

_DONE: Final = f"""
DELETE FROM {tables.due.fullname} AS d
USING unnest($1::bigint[], $2::text[], $3::uuid[]) AS k(due_time_us, tenant_id, due_id)
WHERE d.due_time_us = k.due_time_us AND d.tenant_id = k.tenant_id AND d.due_id = k.due_id
"""

# A row under a reference keeps the history of acts of the message that stands for it; and what was
# told under another recipient may count for the recorded one.
_FORGET: Final = f"""
WITH gone AS (
  DELETE FROM {tables.messages.fullname} AS m
  USING unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
  WHERE m.message_key = k.message_key AND m.tenant_id = k.tenant_id AND m.record IS NULL
    AND NOT EXISTS (
      SELECT FROM {tables.refs.fullname} AS r
      WHERE r.ref_key = m.message_key AND r.tenant_id = m.tenant_id AND r.message_key <> '')
    AND NOT EXISTS (
      SELECT FROM {tables.recipients.fullname} AS s
      WHERE s.message_key = m.message_key AND s.tenant_id = m.tenant_id AND s.role = 0
        AND (EXISTS (
          SELECT FROM {tables.recipients.fullname} AS r
          WHERE r.batch_key = s.batch_key AND r.tenant_id = s.tenant_id AND r.role > 0)
        OR EXISTS (
          SELECT FROM {tables.messages.fullname} AS b
          WHERE b.message_key = s.batch_key AND b.tenant_id = s.tenant_id
            AND b.record IS NOT NULL)))
  RETURNING m.tenant_id, m.message_key),
recipients AS (
  DELETE FROM {tables.recipients.fullname} AS s USING gone
  WHERE s.message_key = gone.message_key AND s.tenant_id = gone.tenant_id AND s.role = 0),
acts AS (
  DELETE FROM {tables.acts.fullname} AS f USING gone
  WHERE f.message_key = gone.message_key AND f.tenant_id = gone.tenant_id),
history AS (
  DELETE FROM {tables.history.fullname} AS h USING gone
  WHERE h.message_key = gone.message_key AND h.tenant_id = gone.tenant_id)
SELECT count(*) FROM gone
"""


class DueRows:
    """``forget_unrecorded.DueShelf`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_unrecorded(self, until_us: int, entries_max: int) -> tuple[int, int]:
        """Take entries and remove their messages, in one transaction."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_TAKE, until_us, Due.FORGET_UNRECORDED, entries_max)
            places = sorted({(row[0], key) for row in rows for key in keys_of(row[1])})
            if not places:
                return len(rows), 0
            forgotten: int = await connection.fetchval(
                _FORGET, [place[0] for place in places], [place[1] for place in places]
            )
        return len(rows), forgotten

    @asynccontextmanager
    async def take(self, until_us: int, entries_max: int) -> AsyncIterator["TakenRows"]:
        """Hold entries of silent messages for the length of the block, then remove them."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_LOCK, until_us, Due.TELL_SILENCE, entries_max)
            places = sorted({(row[1], key) for row in rows for key in keys_of(row[3])})
            store = MessageStore(connection)
            found = await store.read_messages(places)
            messages = [
                (key, known.message)
                for key, known in zip(places, found, strict=True)
                if known is not None
            ]
            yield TakenRows(store, len(rows), messages)
            if rows:
                taken = zip(*((row[0], row[1], row[2]) for row in rows), strict=True)
                await connection.execute(_DONE, *map(list, taken))


class TakenRows:
    """``tell_silence.Silent`` in the transaction that holds the entries."""

    def __init__(
        self, store: MessageStore, entry_count: int, messages: Sequence[tuple[Key, Message]]
    ) -> None:
        self._store = store
        self.entry_count = entry_count
        self.messages = messages

    async def postpone(self, later: Sequence[tuple[int, Key]]) -> None:
        """Note them again; a time that has not come is no time of an entry that is held."""
        await self._store.add_due(Due.TELL_SILENCE, together(later, MINUTE_US))
