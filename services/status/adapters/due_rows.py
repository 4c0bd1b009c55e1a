"""Takes what is due, and removes messages that nobody recorded."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from typing import Final

from libs.runtime.database import Database
from services.status.adapters import tables
from services.status.domain.due import Due, keys_of

# Of several replicas each takes other entries.
_TAKE: Final = f"""
DELETE FROM {tables.due.fullname} WHERE (due_day, tenant_id, due_id) IN (
  SELECT due_day, tenant_id, due_id FROM {tables.due.fullname}
  WHERE due_day <= $1 AND kind = $2
  ORDER BY due_day, tenant_id, due_id
  LIMIT $3
  FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, message_keys
"""

# A row under a reference keeps the history of acts of the message that stands for it.
_FORGET: Final = f"""
WITH gone AS (
  DELETE FROM {tables.messages.fullname} AS m
  USING unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
  WHERE m.message_key = k.message_key AND m.tenant_id = k.tenant_id AND m.record IS NULL
    AND NOT EXISTS (
      SELECT FROM {tables.refs.fullname} AS r
      WHERE r.ref_key = m.message_key AND r.tenant_id = m.tenant_id AND r.message_key <> '')
  RETURNING m.tenant_id, m.message_key),
facts AS (
  DELETE FROM {tables.facts.fullname} AS f USING gone
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

    async def forget_unrecorded(self, day: int, entries_max: int) -> tuple[int, int]:
        """Take entries and remove their messages, in one transaction."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_TAKE, day, Due.FORGET_UNRECORDED, entries_max)
            places = sorted({(row[0], key) for row in rows for key in keys_of(row[1])})
            if not places:
                return len(rows), 0
            forgotten: int = await connection.fetchval(
                _FORGET, [place[0] for place in places], [place[1] for place in places]
            )
        return len(rows), forgotten
