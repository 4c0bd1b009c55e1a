"""The statements on the rows of messages: found by key once, then written where they were found.

A lane plans each statement once, for tables of any size. So every look-up is fenced: ``OFFSET 0``
keeps the planner from turning the loop round, keys outside, one look-up for each.
"""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert_rows

_MESSAGES = tables.messages.fullname
_KEYS = "unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS k(tenant_id, message_key, n)"
_FOUND = """m.revision, m.version, m.state, m.stored, m.record, m.dimensions, m.image, m.history,
       m.ctid"""


def _look_up(columns: str, key: str, tenant: str, locking: str = "") -> str:
    return f"""CROSS JOIN LATERAL (
  SELECT {columns} FROM {_MESSAGES} AS m
  WHERE m.message_key = {key} AND m.tenant_id = {tenant}
  OFFSET 0 {locking}) AS m"""


READ_MESSAGES = f"""
SELECT k.n, {_FOUND} FROM {_KEYS} {_look_up("m.*, m.ctid", "k.message_key", "k.tenant_id")}
"""

# The same for one tenant, whose keys come as one string of bytes: cheaper to encode.
READ_MESSAGES_OF = f"""
SELECT k.n, {_FOUND}
FROM generate_series(1, octet_length($2::bytea) / 16) AS k(n)
{_look_up("m.*, m.ctid", "substring($2::bytea FROM k.n * 16 - 15 FOR 16)", "$1")}
"""

# Keys come sorted, so rows are locked in one order everywhere.
LOCK_MESSAGES = f"""
SELECT k.n, {_FOUND}
FROM {_KEYS} {_look_up("m.*, m.ctid", "k.message_key", "k.tenant_id", "FOR NO KEY UPDATE")}
"""

# The rows that nobody holds, without waiting for the others.
FREE_MESSAGES = f"""
SELECT k.n
FROM {_KEYS} {_look_up("1", "k.message_key", "k.tenant_id", "FOR NO KEY UPDATE SKIP LOCKED")}
"""
STORED_MESSAGES = f"""
SELECT k.n FROM {_KEYS} {_look_up("1", "k.message_key", "k.tenant_id")}
"""

# A row that somebody moved since it was read is elsewhere, or has another revision. The key is
# compared too, since the place may be another row's by now.
_WHERE_IT_WAS = """
WHERE m.ctid = u.at AND m.message_key IS NOT DISTINCT FROM u.message_key
  AND m.tenant_id IS NOT DISTINCT FROM u.tenant_id AND m.revision = u.revision - 1
"""
_MOVING = """revision = u.revision, state = u.state, version = u.version, stored = u.stored,
    image = u.image, history = u.history"""

ADVANCE_MESSAGES = f"""
UPDATE {_MESSAGES} AS m SET {_MOVING}
FROM unnest($1::{tables.SCHEMA}.advance_row_1[]) AS u
{_WHERE_IT_WAS}
"""
# As above, where the record or the names move too.
RECORD_MESSAGES = f"""
UPDATE {_MESSAGES} AS m
SET campaign_id = u.campaign_id, record = u.record, dimensions = u.dimensions, {_MOVING}
FROM unnest($1::{tables.SCHEMA}.record_row_1[]) AS u
{_WHERE_IT_WAS}
"""
ADD_MESSAGES = f"{insert_rows(tables.messages)} {conflict(tables.messages)} DO NOTHING"

# Rows whose last writer is this transaction.
WRITTEN_MESSAGES = f"""
SELECT k.n
FROM {_KEYS} {_look_up("m.xmin", "k.message_key", "k.tenant_id")}
WHERE m.xmin = pg_current_xact_id()::xid
"""
