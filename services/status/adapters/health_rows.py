"""Reads the health of callbacks, and forgets what nobody asks for any more."""

from itertools import islice
from typing import Any

from libs.runtime.database import Database
from services.status.adapters import health_sql
from services.status.adapters.message_store import MessageStore
from services.status.domain.account_hours import HOUR_US
from services.status.domain.callback_findings import Refusals, Vitals
from services.status.domain.due import Due, keys_of
from services.status.domain.message import Message

_REPORTS_KEPT_H = 48
_WORDS_KEPT_H = 30 * 24
_HOURS_KEPT_H = 60 * 24
# Entries of the clock that are read to find messages for hints, and messages of each kind in them.
_DUE_READ_MAX = 50
LONE_MESSAGES_MAX = 2_000


class HealthRows:
    """``get_callback_health.HealthReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def vitals(
        self,
        tenant_id: str,
        provider: str,
        account: str,
        *,
        first_hour: int,
        silent_before_hour: int,
        doors_since_us: int,
        doors_lately_us: int,
    ) -> list[Vitals]:
        """Read eight tables, each by the beginning of its key."""
        whose = (tenant_id, provider, account)
        found: dict[tuple[str, str], Vitals] = {}

        def of(row: Any) -> Vitals:
            return found.setdefault((row[0], row[1]), Vitals(row[0], row[1]))

        async with self._database.transaction() as connection:
            for row in await connection.fetch(health_sql.READ_ACCOUNTS, *whose):
                of(row).last_receive_time_us = row[2]
            reports = await connection.fetch(health_sql.READ_DOOR_REPORTS, *whose, doors_since_us)
            for row in reports:
                vitals = of(row)
                vitals.callback_count, vitals.refused_count, vitals.lag_us = row[2:]
            refusals = await connection.fetch(
                health_sql.READ_DOOR_REFUSALS, *whose, doors_since_us, doors_lately_us
            )
            for row in refusals:
                of(row).refusals.append(Refusals(*row[2:]))
            for row in await connection.fetch(health_sql.COUNT_QUARANTINE, *whose):
                of(row).quarantined_count = row[2]
            since_us = first_hour * HOUR_US
            for row in await connection.fetch(health_sql.READ_UNKNOWN_WORDS, *whose, since_us):
                of(row).unknown_words.append((row[2], row[3]))
            for row in await connection.fetch(health_sql.COUNT_LONE_OPT_OUTS, *whose, since_us):
                of(row).lone_opt_out_count = row[2]
            hours = await connection.fetch(
                health_sql.READ_ACCOUNT_HOURS, *whose, first_hour, silent_before_hour
            )
            for row in hours:
                _add_hours(of(row), row)
        return [vitals for _, vitals in sorted(found.items())]

    async def lone_messages(self, tenant_id: str, since_us: int) -> list[Message]:
        """Read some messages of either kind, the latest."""
        keys: set[bytes] = set()
        async with self._database.transaction() as connection:
            for kind in (Due.FORGET_UNRECORDED, Due.TELL_SILENCE):
                rows = await connection.fetch(
                    health_sql.READ_LATEST_DUE, tenant_id, kind, since_us, _DUE_READ_MAX
                )
                found = (key for row in rows for key in keys_of(row[0]))
                keys.update(islice(found, LONE_MESSAGES_MAX))
            wanted = [(tenant_id, key) for key in sorted(keys)]
            stored = await MessageStore(connection).read_messages(wanted)
        return [known.message for known in stored if known is not None]

    async def forget(self, now_us: int) -> None:
        """Delete what is older than anybody asks for."""
        limits = (
            now_us - _REPORTS_KEPT_H * HOUR_US,
            now_us - _REPORTS_KEPT_H * HOUR_US,
            now_us - _WORDS_KEPT_H * HOUR_US,
            now_us // HOUR_US - _HOURS_KEPT_H,
        )
        async with self._database.transaction() as connection:
            for statement, limit in zip(health_sql.FORGET, limits, strict=True):
                await connection.execute(statement, limit)


def _add_hours(vitals: Vitals, row: Any) -> None:
    (
        vitals.accepted_count,
        vitals.silent_count,
        vitals.delivered_count,
        vitals.read_count,
        vitals.engaged_count,
        vitals.timed_read_count,
        vitals.fast_read_count,
        vitals.unrecorded_count,
        vitals.contradicted_count,
    ) = row[2:]
