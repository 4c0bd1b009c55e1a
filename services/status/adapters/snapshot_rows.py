"""Reads the message store in the order of its keys."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from typing import Final

from libs.runtime.database import Database
from services.status.adapters import tables
from services.status.adapters.message_store import MessageStore
from services.status.stream_snapshot import Place, Shot

# Rows that one statement looks at, so that it ends in time also where few of them are asked for.
_SCANNED_MAX: Final = 20_000

# Of a row that is not asked for, only the place.
_READ: Final = f"""
SELECT m.message_key, m.tenant_id, m.version,
       CASE WHEN m.version > 0 AND ($3 = '' OR m.tenant_id = $3)
                 AND ($4 = '' OR m.campaign_id IS NOT DISTINCT FROM $4)
            THEN m.image || m.dimensions END
FROM {tables.messages.fullname} AS m
WHERE (m.message_key, m.tenant_id) > ($1, $2)
ORDER BY m.message_key, m.tenant_id
LIMIT $5
"""


class SnapshotRows:
    """``stream_snapshot.SnapshotReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, after: Place, tenant_id: str, campaign_id: str, limit: int
    ) -> tuple[list[Shot], Place | None]:
        """Read a page in a transaction that sees one moment."""
        scanned = limit if not tenant_id else _SCANNED_MAX
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows = await connection.fetch(_READ, *after, tenant_id, campaign_id, scanned)
            found = [row for row in rows if row[3] is not None][:limit]
            known = await MessageStore(connection).read_all_acts(
                [(row[1], row[0]) for row in found]
            )
        shots = []
        for key, tenant, version, image in found:
            acts = [act for act in known.get((tenant, key), ()) if not act.is_withdrawn]
            acts.sort(key=lambda act: (act.occur_time_us, act.act_id))
            shots.append(Shot((key, tenant), version, image, acts))
        if len(found) == limit:
            return shots, shots[-1].place
        return shots, (rows[-1][0], rows[-1][1]) if len(rows) == scanned else None
