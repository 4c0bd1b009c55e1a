"""The statements on messages under one id."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert
from services.status.domain.recipients import Role

_BATCHES = "unnest($1::text[], $2::bytea[]) AS k(tenant_id, batch_key)"

# A message that is told of before its record comes is one without a record until then.
ADD_RECORDED = f"""
{insert(tables.recipients)}
{conflict(tables.recipients)} DO UPDATE SET role = {Role.FOUND:d} WHERE t.role = {Role.STRAY:d}
"""
ADD_STRAYS = f"{insert(tables.recipients)} {conflict(tables.recipients)} DO NOTHING"

# Ids under which something may belong to another message than it was told of.
FIND_MIXED = f"""
SELECT k.tenant_id, k.batch_key
FROM {_BATCHES}
CROSS JOIN LATERAL (
  SELECT FROM {tables.recipients.fullname} AS t
  WHERE t.batch_key = k.batch_key AND t.tenant_id = k.tenant_id
  HAVING count(*) > 1 AND bool_or(t.role <> {Role.RECORDED:d}) OFFSET 0) AS t
"""

LOCK_RECIPIENTS = f"""
SELECT k.tenant_id, k.batch_key, t.message_key, t.role
FROM {_BATCHES}
JOIN {tables.recipients.fullname} AS t ON t.batch_key = k.batch_key AND t.tenant_id = k.tenant_id
ORDER BY t.batch_key, t.tenant_id, t.message_key
FOR UPDATE OF t
"""

READ_RECIPIENTS = f"""
SELECT message_key, role FROM {tables.recipients.fullname}
WHERE tenant_id = $1 AND batch_key = $2
ORDER BY message_key
"""
