"""The statements on changes that are to be published."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert, look_up

_OUTBOX = tables.outbox.fullname
_COLUMNS = "tenant_id, outbox_id, subject, payload, oldest_event_time_us"

ADD_OUTBOX = insert(tables.outbox)

DELETE_OUTBOX = f"""
WITH found AS (
  SELECT t.ctid AS at
  FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, outbox_id)
  {look_up(tables.outbox, "t.ctid", "tenant_id", "outbox_id", locking="FOR UPDATE")})
DELETE FROM {_OUTBOX} AS o USING found WHERE o.ctid = found.at
"""

TAKE_OUTBOX = f"""
SELECT {_COLUMNS}
FROM {_OUTBOX}
WHERE create_time_us < $1
ORDER BY create_time_us
LIMIT $2
FOR UPDATE SKIP LOCKED
"""

SET_ASIDE = f"""
INSERT INTO {tables.outbox_aside.fullname} ({_COLUMNS}, create_time_us, reason)
SELECT {_COLUMNS}, create_time_us, $3
FROM {_OUTBOX} WHERE tenant_id = $1 AND outbox_id = $2
{conflict(tables.outbox_aside)} DO NOTHING
"""

# Back into the outbox, for the sweeper to publish.
PUT_BACK = f"""
WITH back AS (DELETE FROM {tables.outbox_aside.fullname} RETURNING {_COLUMNS}, create_time_us)
INSERT INTO {_OUTBOX} ({_COLUMNS}, create_time_us) SELECT {_COLUMNS}, create_time_us FROM back
"""

OLDEST_OUTBOX = f"""
SELECT min(oldest_event_time_us) FROM (
  SELECT oldest_event_time_us FROM {_OUTBOX}
  UNION ALL SELECT oldest_event_time_us FROM {tables.outbox_aside.fullname}) AS o
"""

MEASURE_OUTBOX = f"""
SELECT (SELECT count(*) FROM {_OUTBOX}), (SELECT min(create_time_us) FROM {_OUTBOX}),
       (SELECT count(*) FROM {tables.outbox_aside.fullname})
"""
