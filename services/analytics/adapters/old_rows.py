"""Deletes what is kept for a while only, in small steps."""

from collections.abc import Sequence

from libs.runtime.database import Database
from services.analytics.domain.families.family import Family
from services.analytics.domain.times import HOUR_US

_FORGET_APPLIED = """
    DELETE FROM analytics.applied
    WHERE (tenant_id, batch_id) IN (
      SELECT tenant_id, batch_id FROM analytics.applied WHERE apply_time_us < $1 LIMIT $2
    )
"""
_FORGET_CELLS = """
    DELETE FROM analytics.{table} WHERE ctid IN (
      SELECT ctid FROM analytics.{table} WHERE {time} < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""
_FORGET_UNFINISHED = """
    UPDATE analytics.generations SET building = 0
    WHERE building <> 0 AND greatest(start_time_us, read_time_us) < $1
"""
_FORGET_LEDGER = """
    DELETE FROM analytics.ledger WHERE ctid IN (
      SELECT ctid FROM analytics.ledger WHERE minute_us < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""


class OldRows:
    """See keep_forgetting in chores.py."""

    def __init__(self, database: Database, families: Sequence[Family]) -> None:
        self._database = database
        self._families = families

    async def forget_old_cells(self, now_us: int, rows_max: int) -> int:
        """Delete cells that are kept for a while only; return how many, of each family at most
        ``rows_max``."""
        count = 0
        for family in self._families:
            if family.kept_h is None:
                continue
            before_us = now_us - family.kept_h * HOUR_US
            statement = _FORGET_CELLS.format(table=family.name, time=family.key[0].name)
            async with self._database.transaction() as connection:
                answer: str = await connection.execute(statement, before_us, rows_max)
            count += int(answer.rsplit(" ", 1)[-1])
        return count

    async def forget_unfinished(self, before_us: int) -> None:
        """Give up generations that nobody has gone on making since ``before_us``."""
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_UNFINISHED, before_us)

    async def forget_applied(self, before_us: int, rows_max: int) -> int:
        """Forget batches applied before a time, at most ``rows_max``; return how many."""
        async with self._database.transaction() as connection:
            answer: str = await connection.execute(_FORGET_APPLIED, before_us, rows_max)
        return int(answer.rsplit(" ", 1)[-1])

    async def forget_ledger(self, before_us: int, rows_max: int) -> int:
        """Forget why numbers moved before a time, at most ``rows_max`` rows; return how many."""
        async with self._database.transaction() as connection:
            answer: str = await connection.execute(_FORGET_LEDGER, before_us, rows_max)
        return int(answer.rsplit(" ", 1)[-1])
