"""The statements of the hot path, generated from the tables: one round trip for a whole batch.

Arrays are zipped by ``unnest``. Nothing here asks for the time, a sequence or a trigger, so the
statements stay within what distributed PostgreSQL runs.
"""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert, insert_rows, look_up

# A plan made while a table was empty would scan it for ever after.
FRESH_PLANS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"


ADD_REFS = f"{insert_rows(tables.refs)} {conflict(tables.refs)} DO NOTHING"

_REFS = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, ref_key)"
# Keys come sorted, so rows are locked in one order everywhere.
LOCK_REFS = f"""
SELECT k.tenant_id, k.ref_key, t.message_key, t.others, t.has_acts
FROM {_REFS} {look_up(tables.refs, "t.*", "ref_key", "tenant_id", locking="FOR UPDATE")}
"""

UPDATE_REFS = f"""
{insert_rows(tables.refs, "r")}
{conflict(tables.refs)} DO UPDATE
SET message_key = excluded.message_key, others = excluded.others, has_acts = excluded.has_acts
"""

# Of each act, told of the message and told by reference, the smaller telling stays. Returned is
# what changed, with what stood before.
ADD_ACTS = f"""
{insert(tables.acts)}
{conflict(tables.acts)} DO UPDATE
SET act = least(t.act, excluded.act), act_by_ref = least(t.act_by_ref, excluded.act_by_ref)
WHERE least(t.act, excluded.act) IS DISTINCT FROM t.act
   OR least(t.act_by_ref, excluded.act_by_ref) IS DISTINCT FROM t.act_by_ref
RETURNING t.tenant_id, t.message_key, t.act_id,
          least(old.act, old.act_by_ref), least(new.act, new.act_by_ref)
"""

# Acts told by references, of messages that lose them: what stands with them, and without.
LOCK_REF_ACTS = f"""
SELECT k.tenant_id, k.message_key, k.act_id, least(t.act, t.act_by_ref), t.act, t.at
FROM unnest($1::bytea[], $2::text[], $3::text[]) AS k(message_key, tenant_id, act_id)
{
    look_up(
        tables.acts,
        "t.ctid AS at, t.act, t.act_by_ref",
        "message_key",
        "tenant_id",
        "act_id",
        locking="FOR UPDATE",
    )
}
WHERE t.act_by_ref IS NOT NULL
"""

# A statement of its own: the one that locks does not see the rows that it waited for.
TAKE_REF_ACTS = f"""
WITH gone AS (
  DELETE FROM {tables.acts.fullname} WHERE ctid = ANY($1::tid[]) AND act IS NULL)
UPDATE {tables.acts.fullname} SET act_by_ref = NULL
WHERE ctid = ANY($1::tid[]) AND act IS NOT NULL
"""

PARK_ACTS = f"""
{insert(tables.parked_acts)}
{conflict(tables.parked_acts)} DO UPDATE SET act = excluded.act WHERE excluded.act < t.act
"""

_MESSAGES = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)"

READ_ACTS = f"""
SELECT k.tenant_id, k.message_key, t.act_id, least(t.act, t.act_by_ref)
FROM {_MESSAGES} {look_up(tables.acts, "t.*", "message_key", "tenant_id")}
"""

READ_ATTRIBUTED_ACTS = f"""
SELECT k.tenant_id, k.message_key, t.act_id, t.act
FROM {_MESSAGES} {look_up(tables.address_acts, "t.*", "message_key", "tenant_id")}
"""

READ_ALL_ACTS = f"{READ_ACTS} UNION ALL {READ_ATTRIBUTED_ACTS}"

READ_PARKED_ACTS = f"""
SELECT k.tenant_id, k.ref_key, t.act_id, t.act
FROM {_REFS} {look_up(tables.parked_acts, "t.*", "ref_key", "tenant_id")}
"""

# Of a repeat the first receipt is kept; most repeats are later ones and write nothing.
APPEND_HISTORY = f"""
{insert_rows(tables.history, "h")}
{conflict(tables.history)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < h.receive_time_us
"""

ADD_NOTICES = f"""
{insert(tables.notices, "n")}
{conflict(tables.notices)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < n.receive_time_us
"""

# Not again what was replayed since: a broker message that is delivered twice opens nothing.
ADD_QUARANTINE = f"""
{insert(tables.quarantine, "q")}
WHERE NOT EXISTS (
  SELECT FROM {tables.quarantine_replays.fullname} AS p
  WHERE p.tenant_id = u.tenant_id AND p.quarantine_key = u.quarantine_key
    AND NOT EXISTS (
      SELECT FROM {tables.quarantine_receipts.fullname} AS r
      WHERE r.tenant_id = p.tenant_id AND r.quarantine_key = p.quarantine_key
        AND r.receive_time_us > p.through_receive_time_us))
{conflict(tables.quarantine)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < q.receive_time_us
"""

ADD_RECEIPTS = (
    f"{insert(tables.quarantine_receipts)} {conflict(tables.quarantine_receipts)} DO NOTHING"
)

READ_CLAIMS = f"""
SELECT message_key, others, has_acts
FROM {tables.refs.fullname} WHERE tenant_id = $1 AND ref_key = $2
"""

# What the rows of the messages have no room for, and what came by address.
READ_HISTORY = f"""
SELECT fingerprint, kind, occur_time_us, receive_time_us, event
FROM {tables.history.fullname}
WHERE tenant_id = $1 AND message_key = ANY($2::bytea[])
UNION ALL
SELECT n.fingerprint, n.kind, n.occur_time_us, n.receive_time_us, n.event
FROM {tables.address_acts.fullname} AS a
JOIN {tables.notices.fullname} AS n
  ON n.tenant_id = a.tenant_id AND n.fingerprint = a.fingerprint
WHERE a.tenant_id = $1 AND a.message_key = ANY($2::bytea[])
ORDER BY occur_time_us, kind, fingerprint
LIMIT $3
"""

ADD_DUE = insert(tables.due)
