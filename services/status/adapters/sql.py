"""The statements of the hot path, generated from the tables: one round trip for a whole batch.

Arrays are zipped by ``unnest``. Nothing here asks for the time, a sequence or a trigger, so the
statements stay within what distributed PostgreSQL runs.
"""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from services.status.adapters import tables

_SQL_TYPES = {
    Text: "text",
    BigInteger: "bigint",
    Integer: "integer",
    SmallInteger: "smallint",
    Boolean: "boolean",
    LargeBinary: "bytea",
    Uuid: "uuid",
}


# Types of the rows of the hottest statements; a change of columns needs a new type.
ROW_TYPES = {
    "messages": "message_row_2",
    "history": "history_row_1",
    "registrations": "registration_row_1",
    "refs": "ref_row_1",
    "address_sends": "address_send_row_1",
}


def _sql_type(column: Column[Any]) -> str:
    return _SQL_TYPES[type(column.type)]


def _unnest(table: Table) -> str:
    columns = list(table.columns)
    arrays = ", ".join(f"${n}::{_sql_type(c)}[]" for n, c in enumerate(columns, 1))
    return f"unnest({arrays}) AS u({', '.join(c.name for c in columns)})"


def insert(table: Table, alias: str = "t") -> str:
    """Return the insertion of arrays, one a column, zipped as ``u``."""
    names = ", ".join(c.name for c in table.columns)
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {_unnest(table)}"


def _insert_rows(table: Table, alias: str = "t") -> str:
    """As ``_insert``, with one array of rows: the driver encodes it at half the cost of columns.

    The row type is a type of its own, made by a migration and never changed, so that a replica of
    yesterday still runs on the tables of tomorrow.
    """
    names = ", ".join(c.name for c in table.columns)
    rows = f"unnest($1::{tables.SCHEMA}.{ROW_TYPES[table.name]}[])"
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {rows}"


def conflict(table: Table) -> str:
    """Return the beginning of what happens to rows whose key is there."""
    return f"ON CONFLICT ({', '.join(c.name for c in table.primary_key.columns)})"


def _assignments(table: Table) -> str:
    rest = [c.name for c in table.columns if not c.primary_key]
    return ", ".join(f"{name} = excluded.{name}" for name in rest)


MESSAGE_COLUMNS = tuple(c.name for c in tables.messages.columns)
RECORD_COLUMNS = tuple(c.name for c in tables.registrations.columns if not c.primary_key)
# Fields of Message start here: after tenant, key, version, state, is_counted.
FIELDS_START = 5

# A plan made while a table was empty would scan it for ever after.
FRESH_PLANS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"

READ_MESSAGES = f"""
SELECT {", ".join(f"m.{name}" for name in MESSAGE_COLUMNS)},
       {", ".join(f"r.{name}" for name in RECORD_COLUMNS)}
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
JOIN {tables.messages.fullname} AS m
  ON m.tenant_id = k.tenant_id AND m.message_key = k.message_key
LEFT JOIN {tables.registrations.fullname} AS r
  ON r.tenant_id = m.tenant_id AND r.message_key = m.message_key
"""

# A row that another transaction moved first is not returned; it is locked all the same.
WRITE_MESSAGES = f"""
{_insert_rows(tables.messages, "m")}
{conflict(tables.messages)} DO UPDATE SET {_assignments(tables.messages)}
WHERE m.version = excluded.version - 1
RETURNING m.tenant_id, m.message_key
"""

WRITE_REGISTRATIONS = f"""
{_insert_rows(tables.registrations)}
{conflict(tables.registrations)} DO UPDATE SET {_assignments(tables.registrations)}
"""

ADD_REFS = f"""
{_insert_rows(tables.refs)}
{conflict(tables.refs)} DO NOTHING
"""

LOCK_REFS = f"""
SELECT r.tenant_id, r.ref_key, r.message_key, r.has_facts
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, ref_key)
JOIN {tables.refs.fullname} AS r ON r.tenant_id = k.tenant_id AND r.ref_key = k.ref_key
ORDER BY r.tenant_id, r.ref_key
FOR UPDATE OF r
"""

UPDATE_REFS = f"""
UPDATE {tables.refs.fullname} AS r
SET message_key = u.message_key, has_facts = u.has_facts
FROM {_unnest(tables.refs)}
WHERE r.tenant_id = u.tenant_id AND r.ref_key = u.ref_key
"""

ADD_FACTS = f"""
{insert(tables.facts)}
{conflict(tables.facts)} DO NOTHING
RETURNING t.tenant_id, t.message_key, t.fact_id
"""

PARK_FACTS = f"{insert(tables.parked_facts)} {conflict(tables.parked_facts)} DO NOTHING"

READ_FACTS = f"""
SELECT f.tenant_id, f.message_key, f.fact_id, f.kind, f.occur_time_us, f.engagement
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
JOIN {tables.facts.fullname} AS f
  ON f.tenant_id = k.tenant_id AND f.message_key = k.message_key
"""

READ_ATTRIBUTED_FACTS = f"""
SELECT a.tenant_id, a.message_key, a.fact_id, a.kind, a.occur_time_us, a.engagement
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
JOIN {tables.address_acts.fullname} AS a
  ON a.tenant_id = k.tenant_id AND a.message_key = k.message_key
"""

READ_ALL_FACTS = f"{READ_FACTS} UNION ALL {READ_ATTRIBUTED_FACTS}"

ADD_ADDRESS_ACTS = f"{insert(tables.address_acts)} {conflict(tables.address_acts)} DO NOTHING"

ADD_ADDRESS_SENDS = (
    f"{_insert_rows(tables.address_sends)} {conflict(tables.address_sends)} DO NOTHING"
)

REMOVE_ADDRESS_SENDS = f"""
DELETE FROM {tables.address_sends.fullname} AS s
USING {_unnest(tables.address_sends)}
WHERE s.tenant_id = u.tenant_id AND s.address_key = u.address_key
  AND s.accept_time_us = u.accept_time_us AND s.message_key = u.message_key
"""

# Of each act found, every way in which it was told.
LOCK_ADDRESS_ACTS = f"""
WITH found AS (
    SELECT a.tenant_id, a.address_key, a.fact_id
    FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, address_key)
    JOIN {tables.address_acts.fullname} AS a
      ON a.tenant_id = k.tenant_id AND a.address_key = k.address_key
     AND a.occur_time_us BETWEEN $3 AND $4
    UNION
    SELECT a.tenant_id, a.address_key, a.fact_id
    FROM unnest($5::text[], $6::bytea[]) AS k(tenant_id, message_key)
    JOIN {tables.address_acts.fullname} AS a
      ON a.tenant_id = k.tenant_id AND a.message_key = k.message_key
)
SELECT {", ".join(f"a.{c.name}" for c in tables.address_acts.columns)}
FROM found AS k
JOIN {tables.address_acts.fullname} AS a
  ON a.tenant_id = k.tenant_id AND a.address_key = k.address_key AND a.fact_id = k.fact_id
ORDER BY a.tenant_id, a.address_key, a.fact_id, a.fingerprint
FOR UPDATE OF a
"""

# The greater key where two were accepted in one microsecond: any fixed choice will do.
LAST_SENDS = f"""
SELECT k.tenant_id, k.address_key, k.fact_id, s.message_key
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[])
  AS k(tenant_id, address_key, fact_id, occur_time_us)
CROSS JOIN LATERAL (
    SELECT s.message_key
    FROM {tables.address_sends.fullname} AS s
    WHERE s.tenant_id = k.tenant_id AND s.address_key = k.address_key
      AND s.accept_time_us BETWEEN k.occur_time_us - $5::bigint AND k.occur_time_us
    ORDER BY s.accept_time_us DESC, s.message_key DESC
    LIMIT 1
) AS s
"""

MOVE_ADDRESS_ACTS = f"""
UPDATE {tables.address_acts.fullname} AS a
SET message_key = u.message_key
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[])
  AS u(tenant_id, address_key, fact_id, fingerprint, message_key)
WHERE a.tenant_id = u.tenant_id AND a.address_key = u.address_key
  AND a.fact_id = u.fact_id AND a.fingerprint = u.fingerprint
"""

READ_PARKED_FACTS = f"""
SELECT f.tenant_id, f.ref_key, f.fact_id, f.kind, f.occur_time_us, f.engagement
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, ref_key)
JOIN {tables.parked_facts.fullname} AS f
  ON f.tenant_id = k.tenant_id AND f.ref_key = k.ref_key
"""

# Of a repeat the first receipt is kept; most repeats are later ones and write nothing.
APPEND_HISTORY = f"""
{_insert_rows(tables.history, "h")}
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

ADD_OUTBOX = insert(tables.outbox)

DELETE_OUTBOX = f"""
DELETE FROM {tables.outbox.fullname} AS o
USING unnest($1::text[], $2::uuid[]) AS k(tenant_id, outbox_id)
WHERE o.tenant_id = k.tenant_id AND o.outbox_id = k.outbox_id
"""

TAKE_OUTBOX = f"""
SELECT tenant_id, outbox_id, subject, payload, oldest_event_time_us
FROM {tables.outbox.fullname}
WHERE create_time_us < $1
ORDER BY create_time_us
LIMIT $2
FOR UPDATE SKIP LOCKED
"""

OLDEST_OUTBOX = f"SELECT min(oldest_event_time_us) FROM {tables.outbox.fullname}"

STANDING_KEY = f"""
SELECT message_key FROM {tables.refs.fullname} WHERE tenant_id = $1 AND ref_key = $2
"""

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
