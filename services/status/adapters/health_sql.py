"""The statements behind the health of callbacks: what a batch adds, and what is read of it."""
# Names come from the tables, values are always parameters.
# ruff: noqa: S608

from collections.abc import Iterable
from typing import Any

from bluetick.v1.event_pb2 import DoorReport

from services.status.adapters import tables
from services.status.adapters.statements import conflict, insert

_SUMS = tuple(c.name for c in tables.account_hours.columns if not c.primary_key)

ADD_ACCOUNT_HOURS = f"""
{insert(tables.account_hours, "h")}
{conflict(tables.account_hours)} DO UPDATE
SET {", ".join(f"{name} = h.{name} + excluded.{name}" for name in _SUMS)}
"""

ADD_DOOR_REPORTS = f"{insert(tables.door_reports)} {conflict(tables.door_reports)} DO NOTHING"

ADD_DOOR_REFUSALS = f"{insert(tables.door_refusals)} {conflict(tables.door_refusals)} DO NOTHING"

MOVE_ACCOUNTS = f"""
{insert(tables.callback_accounts, "a")}
{conflict(tables.callback_accounts)} DO UPDATE
SET last_receive_time_us = excluded.last_receive_time_us
WHERE a.last_receive_time_us < excluded.last_receive_time_us
"""

ADD_UNKNOWN_WORDS = f"{insert(tables.unknown_words)} {conflict(tables.unknown_words)} DO NOTHING"

_OF_THE_ACCOUNTS = """
WHERE tenant_id = $1 AND ($2::text = '' OR provider = $2) AND ($3::text = '' OR account = $3)
"""

READ_ACCOUNTS = f"""
SELECT provider, account, last_receive_time_us
FROM {tables.callback_accounts.fullname} {_OF_THE_ACCOUNTS}
"""

READ_DOOR_REPORTS = f"""
SELECT provider, account, sum(callback_count)::bigint, sum(refused_count)::bigint,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY lag_us)
FROM {tables.door_reports.fullname} {_OF_THE_ACCOUNTS} AND report_time_us >= $4
GROUP BY provider, account
"""

# $4: from when on; $5: the last hour of it. Of several cures the newest.
READ_DOOR_REFUSALS = f"""
SELECT provider, account, reason, sum(refused_count)::bigint,
       COALESCE(sum(refused_count) FILTER (WHERE report_time_us >= $5), 0)::bigint,
       (array_agg(cure ORDER BY report_time_us DESC))[1]
FROM {tables.door_refusals.fullname} {_OF_THE_ACCOUNTS} AND report_time_us >= $4
GROUP BY provider, account, reason
ORDER BY 4 DESC, reason
"""

READ_UNKNOWN_WORDS = f"""
SELECT provider, account, word, count(*)
FROM {tables.unknown_words.fullname} {_OF_THE_ACCOUNTS} AND receive_time_us >= $4
GROUP BY provider, account, word
ORDER BY count(*) DESC, word
"""

# What the clock will do to messages, the latest first: of which nobody has a record, and of which a
# report is waited for.
READ_LATEST_DUE = f"""
SELECT message_keys FROM {tables.due.fullname}
WHERE tenant_id = $1 AND kind = $2 AND due_time_us >= $3
ORDER BY due_time_us DESC, due_id
LIMIT $4
"""

# The notice beside an act keeps where it was told, and by whom. Of an act that was told in several
# ways one stands, and the others are on no message.
LONE_OPT_OUT = f"""
a.message_key IS NULL AND substr(a.act, 10, 2) = '\\x000d'::bytea
  AND NOT EXISTS (
    SELECT FROM {tables.address_acts.fullname} AS b
    WHERE b.address_key = a.address_key AND b.tenant_id = a.tenant_id AND b.act_id = a.act_id
      AND b.message_key IS NOT NULL)
  AND NOT EXISTS (
    SELECT FROM {tables.names.fullname} AS own
    JOIN {tables.names.fullname} AS other
      ON other.person_key = own.person_key AND other.tenant_id = own.tenant_id
    JOIN {tables.address_acts.fullname} AS b
      ON b.address_key = other.address_key AND b.tenant_id = other.tenant_id
    WHERE own.address_key = a.address_key AND own.tenant_id = a.tenant_id
      AND b.act_id = a.act_id AND b.message_key IS NOT NULL)
"""
COUNT_LONE_OPT_OUTS = f"""
SELECT n.provider, n.account, count(DISTINCT (a.address_key, a.act_id))
FROM {tables.address_acts.fullname} AS a
JOIN {tables.notices.fullname} AS n ON n.tenant_id = a.tenant_id AND n.fingerprint = a.fingerprint
WHERE a.tenant_id = $1 AND ($2::text = '' OR n.provider = $2) AND ($3::text = '' OR n.account = $3)
  AND {LONE_OPT_OUT} AND a.occur_time_us >= $4
GROUP BY n.provider, n.account
"""

# Of several tellings the earliest, as it stands.
LIST_LONE_OPT_OUTS = f"""
SELECT a.occur_time_us, a.address_key, a.act_id, n.provider, n.account, n.event
FROM {tables.address_acts.fullname} AS a
JOIN {tables.notices.fullname} AS n ON n.tenant_id = a.tenant_id AND n.fingerprint = a.fingerprint
WHERE a.tenant_id = $1 AND ($2::text = '' OR n.provider = $2) AND ($3::text = '' OR n.account = $3)
  AND {LONE_OPT_OUT}
  AND ($4::bigint IS NULL
       OR (a.occur_time_us, a.address_key, a.act_id) < ($4, $5::bytea, $6::text))
  AND NOT EXISTS (
    SELECT FROM {tables.address_acts.fullname} AS b
    WHERE b.address_key = a.address_key AND b.tenant_id = a.tenant_id AND b.act_id = a.act_id
      AND (b.occur_time_us, b.fingerprint) < (a.occur_time_us, a.fingerprint))
ORDER BY a.occur_time_us DESC, a.address_key DESC, a.act_id DESC
LIMIT $7
"""

COUNT_QUARANTINE = f"""
SELECT provider, account, count(*)
FROM {tables.quarantine.fullname} {_OF_THE_ACCOUNTS}
GROUP BY provider, account
"""

# $4: first hour; $5: the hour from which on it is too early to miss a callback.
READ_ACCOUNT_HOURS = f"""
SELECT provider, account,
       COALESCE(sum(accepted) FILTER (WHERE hour < $5), 0)::bigint,
       COALESCE(sum(accepted - heard) FILTER (WHERE hour < $5), 0)::bigint,
       {", ".join(f"sum({name})::bigint" for name in _SUMS[2:-2])},
       COALESCE(sum(unrecorded) FILTER (WHERE hour < $5), 0)::bigint,
       sum(contradicted)::bigint
FROM {tables.account_hours.fullname} {_OF_THE_ACCOUNTS} AND hour >= $4
GROUP BY provider, account
"""

FORGET = (
    f"DELETE FROM {tables.door_reports.fullname} WHERE report_time_us < $1",
    f"DELETE FROM {tables.door_refusals.fullname} WHERE report_time_us < $1",
    f"DELETE FROM {tables.unknown_words.fullname} WHERE receive_time_us < $1",
    f"DELETE FROM {tables.account_hours.fullname} WHERE hour < $1",
)


def report_row(report: DoorReport) -> tuple[Any, ...]:
    """Return a report as a row of ``door_reports``."""
    return (
        report.tenant_id,
        report.report_id,
        report.provider,
        report.account,
        report.report_time_us,
        report.callback_count,
        report.refused_count,
        report.lag_us if report.HasField("lag_us") else None,
    )


def refusal_rows(report: DoorReport) -> list[tuple[Any, ...]]:
    """Return why requests were refused as rows of ``door_refusals``, a reason once."""
    found: dict[str, tuple[int, str]] = {}
    for refused in report.refusals:
        count, _ = found.get(refused.reason, (0, ""))
        found[refused.reason] = count + refused.count, refused.cure
    return [
        (
            report.tenant_id,
            report.report_id,
            reason,
            report.provider,
            report.account,
            report.report_time_us,
            count,
            cure,
        )
        for reason, (count, cure) in sorted(found.items())
    ]


def account_rows(reports: Iterable[DoorReport]) -> list[tuple[str, str, str, int]]:
    """Return the last callback of each account, in key order."""
    last: dict[tuple[str, str, str], int] = {}
    for report in reports:
        key = (report.tenant_id, report.provider, report.account)
        last[key] = max(last.get(key, 0), report.last_receive_time_us)
    return [(*key, time_us) for key, time_us in sorted(last.items())]
