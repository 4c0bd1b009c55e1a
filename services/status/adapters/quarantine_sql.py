"""The statements on the quarantine: pages for people, and what a replay closes."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict

LIST_QUARANTINE = f"""
SELECT q.quarantine_key, q.provider, q.account, q.reason, q.detail, q.receive_time_us,
       octet_length(q.body),
       (SELECT count(*) FROM {tables.quarantine_receipts.fullname} AS r
        WHERE r.tenant_id = q.tenant_id AND r.quarantine_key = q.quarantine_key), q.proof
FROM {tables.quarantine.fullname} AS q
WHERE q.tenant_id = $1
  AND ($2::text = '' OR q.provider = $2)
  AND ($3::text = '' OR q.account = $3)
  AND ($4::bigint IS NULL OR (q.receive_time_us, q.quarantine_key) < ($4, $5::bytea))
ORDER BY q.receive_time_us DESC, q.quarantine_key DESC
LIMIT $6
"""

READ_QUARANTINE_BODIES = f"""
SELECT quarantine_key, body FROM {tables.quarantine.fullname}
WHERE tenant_id = $1 AND quarantine_key = ANY($2::bytea[])
"""

OLDEST_QUARANTINE = f"""
SELECT quarantine_key FROM {tables.quarantine.fullname}
WHERE tenant_id = $1
ORDER BY receive_time_us, quarantine_key
LIMIT $2
"""

READ_QUARANTINE = f"""
SELECT {", ".join(c.name for c in tables.quarantine.columns)}
FROM {tables.quarantine.fullname}
WHERE tenant_id = $1 AND quarantine_key = ANY($2::bytea[])
"""

COUNT_QUARANTINE = f"""
SELECT count(*) FROM {tables.quarantine.fullname}
WHERE tenant_id = $1 AND ($2::bytea[] IS NULL OR quarantine_key = ANY($2))
"""

CLOSE_QUARANTINE = f"""
WITH gone AS (
  DELETE FROM {tables.quarantine.fullname} WHERE tenant_id = $1 AND quarantine_key = $2)
INSERT INTO {tables.quarantine_replays.fullname} AS p
SELECT $1, $2, COALESCE(max(receive_time_us), 0)
FROM {tables.quarantine_receipts.fullname}
WHERE tenant_id = $1 AND quarantine_key = $2
{conflict(tables.quarantine_replays)} DO UPDATE
SET through_receive_time_us = GREATEST(p.through_receive_time_us, excluded.through_receive_time_us)
"""

EXPLAIN_QUARANTINE = f"""
UPDATE {tables.quarantine.fullname} SET reason = $3, detail = $4
WHERE tenant_id = $1 AND quarantine_key = $2
"""
