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
ROW_TYPES = {"messages": "message_row_1", "history": "history_row_1"}


def _sql_type(column: Column[Any]) -> str:
    return _SQL_TYPES[type(column.type)]


def _unnest(table: Table) -> str:
    columns = list(table.columns)
    arrays = ", ".join(f"${n}::{_sql_type(c)}[]" for n, c in enumerate(columns, 1))
    return f"unnest({arrays}) AS u({', '.join(c.name for c in columns)})"


def _insert(table: Table, alias: str = "t") -> str:
    names = ", ".join(c.name for c in table.columns)
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {_unnest(table)}"


def _insert_rows(table: Table, alias: str) -> str:
    """As ``_insert``, with one array of rows: the driver encodes it at half the cost of columns.

    The row type is a type of its own, made by a migration and never changed, so that a replica of
    yesterday still runs on the tables of tomorrow.
    """
    names = ", ".join(c.name for c in table.columns)
    rows = f"unnest($1::{tables.SCHEMA}.{ROW_TYPES[table.name]}[])"
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {rows}"


def _conflict(table: Table) -> str:
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
{_conflict(tables.messages)} DO UPDATE SET {_assignments(tables.messages)}
WHERE m.version = excluded.version - 1
RETURNING m.tenant_id, m.message_key
"""

WRITE_REGISTRATIONS = f"""
{_insert(tables.registrations)}
{_conflict(tables.registrations)} DO UPDATE SET {_assignments(tables.registrations)}
"""

ADD_REFS = f"""
{_insert(tables.refs)}
{_conflict(tables.refs)} DO NOTHING
RETURNING t.tenant_id, t.ref_key
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
{_insert(tables.facts)}
{_conflict(tables.facts)} DO NOTHING
RETURNING t.tenant_id, t.message_key, t.fact_id
"""

PARK_FACTS = f"{_insert(tables.parked_facts)} {_conflict(tables.parked_facts)} DO NOTHING"

READ_FACTS = f"""
SELECT f.tenant_id, f.message_key, f.fact_id, f.kind, f.occur_time_us, f.engagement
FROM unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)
JOIN {tables.facts.fullname} AS f
  ON f.tenant_id = k.tenant_id AND f.message_key = k.message_key
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
{_conflict(tables.history)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < h.receive_time_us
"""

ADD_NOTICES = f"""
{_insert(tables.notices, "n")}
{_conflict(tables.notices)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < n.receive_time_us
"""

ADD_QUARANTINE = f"""
{_insert(tables.quarantine, "q")}
{_conflict(tables.quarantine)} DO UPDATE SET receive_time_us = excluded.receive_time_us
WHERE excluded.receive_time_us < q.receive_time_us
"""

ADD_RECEIPTS = (
    f"{_insert(tables.quarantine_receipts)} {_conflict(tables.quarantine_receipts)} DO NOTHING"
)

ADD_OUTBOX = _insert(tables.outbox)

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
ORDER BY occur_time_us, kind, fingerprint
LIMIT $3
"""

LIST_QUARANTINE = f"""
SELECT q.quarantine_key, q.provider, q.account, q.reason, q.detail, q.receive_time_us,
       octet_length(q.body),
       (SELECT count(*) FROM {tables.quarantine_receipts.fullname} AS r
        WHERE r.tenant_id = q.tenant_id AND r.quarantine_key = q.quarantine_key)
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
