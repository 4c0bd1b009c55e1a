"""The statements on acts told by an address, and on what was sent there."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from services.status.adapters import tables
from services.status.adapters.statements import ROW_TYPES, conflict, insert, insert_rows, look_up
from services.status.domain.origins import CHANNEL_BYTES, PART_BYTES, UNTOLD

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
unnest($1::text[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS k(tenant_id, address_key, person, n)
"""
_NAMED = look_up(tables.names, "t.person_key", "address_key", "tenant_id")
# Where nobody has two names, one look at an empty table says so.
_ANY_NAMES = f"EXISTS (SELECT FROM {tables.joined_tenants.fullname})"

# Whether LOCK_ADDRESS_ACTS would find anything: nearly always not. And whether anybody has names.
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
{_ANY_NAMES}
"""
# Which messages count for somebody else than the names say: hardly ever any.
FIND_STRANGERS = f"SELECT k.n FROM {_PEOPLE} {_NAMED} WHERE t.person_key <> k.person"

# Of each act found, every way in which it was told, by whichever name of its person.
_WHO = "unnest($1::text[], $2::bytea[], $7::bytea[]) AS k(tenant_id, address_key, person)"
LOCK_ADDRESS_ACTS = f"""
WITH who AS (SELECT * FROM {_WHO}),
found AS (
    SELECT k.tenant_id, k.person, t.act_id
    FROM who AS k {_BY_ADDRESS} WHERE t.occur_time_us BETWEEN $3 AND $4
    UNION
    SELECT w.tenant_id, w.person, t.act_id
    FROM {_ACTED} {_BY_MESSAGE}
    JOIN who AS w ON w.tenant_id = t.tenant_id AND w.address_key = t.address_key
)
SELECT a.tenant_id, a.address_key, a.act_id, a.fingerprint, a.act, a.message_key, a.origin,
       w.person
FROM found AS k
JOIN who AS w ON w.tenant_id = k.tenant_id AND w.person = k.person
JOIN {tables.address_acts.fullname} AS a
  ON a.tenant_id = w.tenant_id AND a.address_key = w.address_key AND a.act_id = k.act_id
ORDER BY a.tenant_id, a.address_key, a.act_id, a.fingerprint
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
SELECT k.tenant_id, k.address_key, k.act_id, s.message_key
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bytea[])
  AS k(tenant_id, address_key, act_id, occur_time_us, origin)
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
  AS u(tenant_id, address_key, act_id, fingerprint, message_key)
WHERE a.tenant_id = u.tenant_id AND a.address_key = u.address_key
  AND a.act_id = u.act_id AND a.fingerprint = u.fingerprint
"""
