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
from services.status.domain.origins import CHANNEL_BYTES, PART_BYTES, UNTOLD

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
    "messages": "message_row_1",
    "history": "history_row_1",
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


def insert_rows(table: Table, alias: str = "t") -> str:
    """As ``insert``, with one array of rows: the driver encodes it at half the cost of columns.

    The row type is a type of its own, made by a migration and never changed, so that a replica of
    yesterday still runs on the tables of tomorrow.
    """
    names = ", ".join(c.name for c in table.columns)
    rows = f"unnest($1::{tables.SCHEMA}.{ROW_TYPES[table.name]}[])"
    return f"INSERT INTO {table.fullname} AS {alias} ({names}) SELECT {names} FROM {rows}"


def conflict(table: Table) -> str:
    """Return the beginning of what happens to rows whose key is there."""
    return f"ON CONFLICT ({', '.join(c.name for c in table.primary_key.columns)})"


# A plan made while a table was empty would scan it for ever after.
FRESH_PLANS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"


def look_up(table: Table, columns: str, *keys: str, locking: str = "") -> str:
    """Return one look-up for each row of ``k``, by columns of the same names.

    ``OFFSET 0`` keeps the planner from turning the loop round: a plan is made once for tables of
    any size.
    """
    where = " AND ".join(f"t.{name} = k.{name}" for name in keys)
    return f"""CROSS JOIN LATERAL (
  SELECT {columns} FROM {table.fullname} AS t WHERE {where} OFFSET 0 {locking}) AS t"""


ADD_REFS = f"{insert_rows(tables.refs)} {conflict(tables.refs)} DO NOTHING"

_REFS = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, ref_key)"
# Keys come sorted, so rows are locked in one order everywhere.
LOCK_REFS = f"""
SELECT k.tenant_id, k.ref_key, t.message_key, t.others, t.has_facts
FROM {_REFS} {look_up(tables.refs, "t.*", "ref_key", "tenant_id", locking="FOR UPDATE")}
"""

UPDATE_REFS = f"""
{insert_rows(tables.refs, "r")}
{conflict(tables.refs)} DO UPDATE
SET message_key = excluded.message_key, others = excluded.others, has_facts = excluded.has_facts
"""

# Of each act, told of the message and told by reference, the smaller telling stays. Returned is
# what changed, with what stood before.
ADD_FACTS = f"""
{insert(tables.facts)}
{conflict(tables.facts)} DO UPDATE
SET act = least(t.act, excluded.act), act_by_ref = least(t.act_by_ref, excluded.act_by_ref)
WHERE least(t.act, excluded.act) IS DISTINCT FROM t.act
   OR least(t.act_by_ref, excluded.act_by_ref) IS DISTINCT FROM t.act_by_ref
RETURNING t.tenant_id, t.message_key, t.fact_id,
          least(old.act, old.act_by_ref), least(new.act, new.act_by_ref)
"""

# Acts told by references, of messages that lose them: what stands with them, and without.
LOCK_REF_FACTS = f"""
SELECT k.tenant_id, k.message_key, k.fact_id, least(t.act, t.act_by_ref), t.act, t.at
FROM unnest($1::bytea[], $2::text[], $3::text[]) AS k(message_key, tenant_id, fact_id)
{
    look_up(
        tables.facts,
        "t.ctid AS at, t.act, t.act_by_ref",
        "message_key",
        "tenant_id",
        "fact_id",
        locking="FOR UPDATE",
    )
}
WHERE t.act_by_ref IS NOT NULL
"""

# A statement of its own: the one that locks does not see the rows that it waited for.
TAKE_REF_FACTS = f"""
WITH gone AS (
  DELETE FROM {tables.facts.fullname} WHERE ctid = ANY($1::tid[]) AND act IS NULL)
UPDATE {tables.facts.fullname} SET act_by_ref = NULL
WHERE ctid = ANY($1::tid[]) AND act IS NOT NULL
"""

PARK_FACTS = f"""
{insert(tables.parked_facts)}
{conflict(tables.parked_facts)} DO UPDATE SET act = excluded.act WHERE excluded.act < t.act
"""

_MESSAGES = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, message_key)"

READ_FACTS = f"""
SELECT k.tenant_id, k.message_key, t.fact_id, least(t.act, t.act_by_ref)
FROM {_MESSAGES} {look_up(tables.facts, "t.*", "message_key", "tenant_id")}
"""

READ_ATTRIBUTED_FACTS = f"""
SELECT k.tenant_id, k.message_key, t.fact_id, t.act
FROM {_MESSAGES} {look_up(tables.address_acts, "t.*", "message_key", "tenant_id")}
"""

READ_ALL_FACTS = f"{READ_FACTS} UNION ALL {READ_ATTRIBUTED_FACTS}"

ADD_ADDRESS_ACTS = f"{insert(tables.address_acts)} {conflict(tables.address_acts)} DO NOTHING"

ADD_ADDRESS_SENDS = (
    f"{insert_rows(tables.address_sends)} {conflict(tables.address_sends)} DO NOTHING"
)

REMOVE_ADDRESS_SENDS = f"""
WITH found AS (
  SELECT t.ctid AS at
  FROM unnest($1::{tables.SCHEMA}.{ROW_TYPES["address_sends"]}[]) AS k
  {
    look_up(
        tables.address_sends,
        "t.ctid",
        "address_key",
        "tenant_id",
        "accept_time_us",
        "message_key",
        locking="FOR UPDATE",
    )
})
DELETE FROM {tables.address_sends.fullname} AS s USING found WHERE s.ctid = found.at
"""

_ADDRESSES = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, address_key)"
_ACTED = "unnest($5::text[], $6::bytea[]) AS k(tenant_id, message_key)"
_BY_ADDRESS = look_up(tables.address_acts, "t.*", "address_key", "tenant_id")
_BY_MESSAGE = look_up(tables.address_acts, "t.*", "message_key", "tenant_id")

_PEOPLE = """
unnest($7::text[], $8::bytea[], $9::bytea[]) WITH ORDINALITY AS k(tenant_id, address_key, person, n)
"""
_NAMED = look_up(tables.names, "t.person_key", "address_key", "tenant_id")
# Where nobody has two names, one look at an empty table says so.
_ANY_NAMES = f"EXISTS (SELECT FROM {tables.joined_tenants.fullname})"

# Whether LOCK_ADDRESS_ACTS would find anything: nearly always not. And which messages count for
# somebody else than the names say: hardly ever any.
FIND_TOUCHED = f"""
SELECT EXISTS (
  SELECT FROM {_ADDRESSES} {_BY_ADDRESS} WHERE t.occur_time_us BETWEEN $3 AND $4)
OR EXISTS (SELECT FROM {_ACTED} {_BY_MESSAGE})
OR {_ANY_NAMES} AND EXISTS (
  SELECT FROM {_ADDRESSES} {_NAMED}
  CROSS JOIN LATERAL (
    SELECT n.address_key FROM {tables.names.fullname} AS n
    WHERE n.person_key = t.person_key AND n.tenant_id = k.tenant_id OFFSET 0) AS n
  CROSS JOIN LATERAL (
    SELECT FROM {tables.address_acts.fullname} AS a
    WHERE a.address_key = n.address_key AND a.tenant_id = k.tenant_id
      AND a.occur_time_us BETWEEN $3 AND $4 OFFSET 0) AS a),
CASE WHEN {_ANY_NAMES}
  THEN ARRAY(SELECT k.n FROM {_PEOPLE} {_NAMED} WHERE t.person_key <> k.person) ELSE '{{}}' END
"""

# Of each act found, every way in which it was told, by whichever name of its person.
_WHO = "unnest($1::text[], $2::bytea[], $7::bytea[]) AS k(tenant_id, address_key, person)"
LOCK_ADDRESS_ACTS = f"""
WITH who AS (SELECT * FROM {_WHO}),
found AS (
    SELECT k.tenant_id, k.person, t.fact_id
    FROM who AS k {_BY_ADDRESS} WHERE t.occur_time_us BETWEEN $3 AND $4
    UNION
    SELECT w.tenant_id, w.person, t.fact_id
    FROM {_ACTED} {_BY_MESSAGE}
    JOIN who AS w ON w.tenant_id = t.tenant_id AND w.address_key = t.address_key
)
SELECT a.tenant_id, a.address_key, a.fact_id, a.fingerprint, a.act, a.message_key, a.origin,
       w.person
FROM found AS k
JOIN who AS w ON w.tenant_id = k.tenant_id AND w.person = k.person
JOIN {tables.address_acts.fullname} AS a
  ON a.tenant_id = w.tenant_id AND a.address_key = w.address_key AND a.fact_id = k.fact_id
ORDER BY a.tenant_id, a.address_key, a.fact_id, a.fingerprint
FOR UPDATE OF a
"""


def _agree(start: int, size: int) -> str:
    """Return whether a part of two origins is the same, or was not told of one."""
    one, other = (f"substr({row}.origin, {start}, {size})" for row in "ks")
    untold = f"'\\x{'00' * size}'::bytea"
    return f"({one} = {other} OR {one} = {untold} OR {other} = {untold})"


# ``domain.origins.may_answer``: the channel, and our number, or else the account. Where both sides
# tell a number, it decides alone.
_CHANNEL_AT, _ACCOUNT_AT, _OWN_AT = 1, 1 + CHANNEL_BYTES, 1 + CHANNEL_BYTES + PART_BYTES
_OWN_TOLD = " AND ".join(
    f"substr({row}.origin, {_OWN_AT}) <> '\\x{UNTOLD.hex()}'::bytea" for row in "ks"
)
_MAY_ANSWER = f"""{_agree(_CHANNEL_AT, CHANNEL_BYTES)} AND {_agree(_OWN_AT, PART_BYTES)}
      AND (({_OWN_TOLD}) OR {_agree(_ACCOUNT_AT, PART_BYTES)})"""

# The greater key where two were accepted in one microsecond: any fixed choice will do.
LAST_SENDS = f"""
SELECT k.tenant_id, k.address_key, k.fact_id, s.message_key
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bytea[])
  AS k(tenant_id, address_key, fact_id, occur_time_us, origin)
CROSS JOIN LATERAL (
    SELECT s.message_key
    FROM (
      SELECT k.address_key
      UNION
      SELECT other.address_key
      FROM {tables.names.fullname} AS own
      JOIN {tables.names.fullname} AS other
        ON other.person_key = own.person_key AND other.tenant_id = own.tenant_id
      WHERE own.address_key = k.address_key AND own.tenant_id = k.tenant_id) AS name(address_key)
    JOIN {tables.address_sends.fullname} AS s
      ON s.tenant_id = k.tenant_id AND s.address_key = name.address_key
    WHERE s.accept_time_us BETWEEN k.occur_time_us - $6::bigint AND k.occur_time_us
      AND s.origin <> ''::bytea AND {_MAY_ANSWER}
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
SELECT k.tenant_id, k.ref_key, t.fact_id, t.act
FROM {_REFS} {look_up(tables.parked_facts, "t.*", "ref_key", "tenant_id")}
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
SELECT message_key, others, has_facts
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
