"""The statements on webhook endpoints and their letters."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables

_ENDPOINTS = tables.webhook_endpoints.fullname
_LETTERS = tables.webhook_letters.fullname
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

STORED = (
    "tenant_id",
    "endpoint_id",
    "url",
    "description",
    "filter",
    "disable_reason",
    "secrets",
    "create_time_us",
    "update_time_us",
    "revision",
    "stream_id",
    "seq",
    "passed",
    "missed_time_us",
    "success_time_us",
    "failure_time_us",
    "failure",
)
_STORED = ", ".join(STORED)
_COUNTS = f"""
 (SELECT count(*) FROM {_LETTERS} AS l WHERE l.tenant_id = e.tenant_id
   AND l.endpoint_id = e.endpoint_id AND NOT l.is_dead) AS waiting_count,
 (SELECT count(*) FROM {_LETTERS} AS l WHERE l.tenant_id = e.tenant_id
   AND l.endpoint_id = e.endpoint_id AND l.is_dead) AS dead_count
"""
_LETTER = (
    "webhook_id, body, attempt_count, first_time_us, last_time_us, due_time_us, failure, is_dead"
)

READ = f"""
SELECT {_STORED}, {_COUNTS} FROM {_ENDPOINTS} AS e
WHERE tenant_id = $1 AND endpoint_id > $2 ORDER BY endpoint_id LIMIT $3
"""
READ_ONE = f"""
SELECT {_STORED}, {_COUNTS} FROM {_ENDPOINTS} AS e WHERE tenant_id = $1 AND endpoint_id = $2
"""
# Calls of one tenant come one after another: its endpoints are counted.
LOCK_TENANT = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1, 0))"
LOCK_ONE = f"""
SELECT {_STORED}, 0 AS waiting_count, 0 AS dead_count
FROM {_ENDPOINTS} WHERE tenant_id = $1 AND endpoint_id = $2 FOR UPDATE
"""
COUNT = f"SELECT count(*) FROM {_ENDPOINTS} WHERE tenant_id = $1"
# Whoever holds it finds another revision, and begins anew: the lease stays.
PUT = f"""
INSERT INTO {_ENDPOINTS} ({_STORED}, lease_owner, lease_until_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, '', 0)
ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET
  url = excluded.url, description = excluded.description, filter = excluded.filter,
  disable_reason = excluded.disable_reason, secrets = excluded.secrets,
  update_time_us = excluded.update_time_us, revision = excluded.revision,
  stream_id = excluded.stream_id, seq = excluded.seq, passed = excluded.passed
"""
DELETE = f"DELETE FROM {_ENDPOINTS} WHERE tenant_id = $1 AND endpoint_id = $2"
DELETE_LETTERS_OF = f"DELETE FROM {_LETTERS} WHERE tenant_id = $1 AND endpoint_id = $2"

_LEASE = f"""
WITH found AS (
  SELECT tenant_id, endpoint_id FROM {_ENDPOINTS}
  WHERE disable_reason = '' AND (%s)
  LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE {_ENDPOINTS} AS e SET lease_owner = $1, lease_until_us = {_NOW} + $2
FROM found WHERE e.tenant_id = found.tenant_id AND e.endpoint_id = found.endpoint_id
"""
RENEW = _LEASE % f"lease_owner = $1 AND lease_until_us < {_NOW} + $2 * 2 / 3"
CLAIM = _LEASE % f"lease_owner <> $1 AND lease_until_us < {_NOW}"
# Once a second: whoever begins to send counts what waits.
HELD = f"""
SELECT {_STORED}, 0 AS waiting_count, 0 AS dead_count FROM {_ENDPOINTS}
WHERE lease_owner = $1 AND disable_reason = '' AND lease_until_us > {_NOW}
"""
RELEASE = f"UPDATE {_ENDPOINTS} SET lease_owner = '', lease_until_us = 0 WHERE lease_owner = $1"

_MINE = "tenant_id = $1 AND endpoint_id = $2 AND lease_owner = $3 AND revision = $4"
ADVANCE = f"""
UPDATE {_ENDPOINTS} SET stream_id = $5, seq = $6, passed = $7,
  success_time_us = greatest(success_time_us, $8),
  failure = CASE WHEN $9 > failure_time_us THEN $10 ELSE failure END,
  failure_time_us = greatest(failure_time_us, $9)
WHERE {_MINE} RETURNING 1
"""
TELL = f"""
UPDATE {_ENDPOINTS} SET success_time_us = greatest(success_time_us, $5),
  failure = CASE WHEN $6 > failure_time_us THEN $7 ELSE failure END,
  failure_time_us = greatest(failure_time_us, $6)
WHERE {_MINE} RETURNING 1
"""
MISSED = f"UPDATE {_ENDPOINTS} SET missed_time_us = $5 WHERE {_MINE} RETURNING 1"
DISABLE = f"UPDATE {_ENDPOINTS} SET disable_reason = $5 WHERE {_MINE} RETURNING 1"

_OF = "tenant_id = $1 AND endpoint_id = $2"
DUE = f"""
SELECT {_LETTER} FROM {_LETTERS}
WHERE {_OF} AND NOT is_dead AND due_time_us <= $3 ORDER BY due_time_us LIMIT $4
"""
# What waits already goes on waiting; what was given up begins again.
PUT_LETTERS = f"""
INSERT INTO {_LETTERS} (tenant_id, endpoint_id, {_LETTER})
SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[], $5::integer[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::text[], $10::boolean[])
ON CONFLICT (tenant_id, endpoint_id, webhook_id) DO UPDATE SET
  attempt_count = excluded.attempt_count, first_time_us = excluded.first_time_us,
  last_time_us = excluded.last_time_us, due_time_us = excluded.due_time_us,
  failure = excluded.failure, is_dead = excluded.is_dead
"""
DELETE_LETTERS = f"DELETE FROM {_LETTERS} WHERE {_OF} AND webhook_id = ANY($3::text[])"
COUNT_WAITING = f"SELECT count(*) FROM {_LETTERS} WHERE {_OF} AND NOT is_dead"
HURRY = f"""
UPDATE {_LETTERS} SET due_time_us = $3 WHERE {_OF} AND NOT is_dead AND due_time_us > $3
"""
DEAD = f"""
SELECT {_LETTER} FROM {_LETTERS}
WHERE {_OF} AND is_dead AND webhook_id > $3 ORDER BY webhook_id LIMIT $4
"""
REVIVE = f"""
UPDATE {_LETTERS} SET is_dead = false, attempt_count = 0, first_time_us = 0, due_time_us = $5
WHERE {_OF} AND is_dead AND first_time_us >= $4
  AND (cardinality($3::text[]) = 0 OR webhook_id = ANY($3::text[]))
"""
# Whoever holds the endpoint finds another revision, and with it that letters wait.
STIR = f"UPDATE {_ENDPOINTS} SET revision = revision + 1 WHERE {_OF}"
FORGET_DEAD = f"""
DELETE FROM {_LETTERS} WHERE (tenant_id, endpoint_id, webhook_id) IN (
  SELECT tenant_id, endpoint_id, webhook_id FROM {_LETTERS}
  WHERE is_dead AND last_time_us < $1 LIMIT 1000)
"""
