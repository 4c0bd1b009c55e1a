"""The statements on the names of people."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert, look_up

_NAMES = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, address_key)"
_BY_NAME = look_up(tables.names, "t.*", "address_key", "tenant_id")

READ_NAMES = f"""
SELECT k.tenant_id, k.address_key, t.person_key, t.is_settled FROM {_NAMES} {_BY_NAME}
"""

# All names of those who are called so.
READ_PEOPLE = f"""
WITH people AS (SELECT DISTINCT k.tenant_id, t.person_key FROM {_NAMES} {_BY_NAME})
SELECT n.tenant_id, n.address_key, n.person_key, n.is_settled
FROM people AS p
JOIN {tables.names.fullname} AS n ON n.person_key = p.person_key AND n.tenant_id = p.tenant_id
"""

# Whoever joins names does so alone in its tenant: of two joins at one moment, the later one must
# find what the earlier one made.
ADD_JOINED_TENANTS = f"""
{insert(tables.joined_tenants)} {conflict(tables.joined_tenants)} DO NOTHING
"""
LOCK_JOINED_TENANTS = f"""
SELECT FROM {tables.joined_tenants.fullname} WHERE tenant_id = ANY($1::text[])
ORDER BY tenant_id
FOR UPDATE
"""

ADD_NAMES = f"{insert(tables.names)} {conflict(tables.names)} DO NOTHING"

RENAME_PEOPLE = f"""
UPDATE {tables.names.fullname} AS n SET person_key = u.new_key, is_settled = false
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS u(tenant_id, old_key, new_key)
WHERE n.person_key = u.old_key AND n.tenant_id = u.tenant_id
"""

SETTLE_NAMES = f"""
UPDATE {tables.names.fullname} AS n SET is_settled = true
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS u(tenant_id, address_key, person_key)
WHERE n.address_key = u.address_key AND n.tenant_id = u.tenant_id
  AND n.person_key = u.person_key AND NOT n.is_settled
"""

MESSAGES_TO = f"""
SELECT k.tenant_id, t.message_key
FROM {_NAMES} {look_up(tables.address_sends, "t.message_key", "address_key", "tenant_id")}
"""

# Those of the addresses told, and the other names of their people.
_TOLD = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, address_key)"
_ACTED = "unnest($3::text[], $4::bytea[]) AS k(tenant_id, message_key)"
_BY_MESSAGE = look_up(tables.address_acts, "t.*", "message_key", "tenant_id")
WHO_ACTED = f"""
WITH told AS (
  SELECT k.tenant_id, k.address_key FROM {_TOLD}
  UNION
  SELECT t.tenant_id, t.address_key FROM {_ACTED} {_BY_MESSAGE}),
known AS (
  SELECT k.tenant_id, k.address_key, n.person_key
  FROM told AS k
  LEFT JOIN {tables.names.fullname} AS n
    ON n.address_key = k.address_key AND n.tenant_id = k.tenant_id)
SELECT tenant_id, address_key, address_key FROM known WHERE person_key IS NULL
UNION
SELECT n.tenant_id, n.address_key, n.person_key
FROM known AS k
JOIN {tables.names.fullname} AS n ON n.person_key = k.person_key AND n.tenant_id = k.tenant_id
"""
