"""Cells in PostgreSQL: set-based upserts, sorted so that replicas cannot deadlock."""

from collections.abc import Sequence
from typing import Any

from bluetick.v1 import campaign_service_pb2 as campaign_pb2

from libs.runtime.database import Database
from services.analytics.adapters.cell_statements import CAMPAIGN, turned, upsert
from services.analytics.adapters.link_cells import add_links
from services.analytics.domain.cells import Cells
from services.analytics.domain.counters import DISTINCT_NAMES, PEOPLE, STORED_NAMES
from services.analytics.domain.dimensions import NAMES
from services.analytics.fold_changes import Work

_PEOPLE_NAMES = tuple(counter.name for counter in PEOPLE)
_DRAFT = campaign_pb2.CAMPAIGN_STATE_DRAFT
_SENDING = campaign_pb2.CAMPAIGN_STATE_SENDING
_BROADCAST = campaign_pb2.CAMPAIGN_KIND_BROADCAST


_ADD_TOTALS = upsert(
    "totals", (*CAMPAIGN, ("channel", "smallint")), [*STORED_NAMES, *DISTINCT_NAMES]
)
_ADD_HOURS = upsert(
    "hours",
    (*CAMPAIGN, ("clock", "smallint"), ("hour_us", "bigint"), ("dimension_key", "bytea")),
    STORED_NAMES,
)
_ADD_MINUTES = upsert("minutes", (*CAMPAIGN, ("minute_us", "bigint")), STORED_NAMES)
_ADD_FAILURES = upsert(
    "failures",
    (
        *CAMPAIGN,
        ("stage", "smallint"),
        ("reason", "smallint"),
        ("provider", "text"),
        ("provider_code", "text"),
    ),
    ["message_count"],
)


def _members(table: str, member: str, sums: Sequence[str]) -> str:
    """Return the statement that adds to the members of sets and answers how the sets grew."""
    arrays = ", ".join(f"${at}::int[]" for at in range(4, 4 + len(sums)))
    added = ", ".join(f"{name} = was.{name} + excluded.{name}" for name in sums)
    grown = ", ".join(
        f"(new.{name} > 0)::int - coalesce((old.{name} > 0)::int, 0) AS {name}" for name in sums
    )
    totals = ", ".join(f"sum({name})::bigint" for name in sums)
    return f"""
        WITH moved AS (
          INSERT INTO analytics.{table} AS was (tenant_id, campaign_id, {member}, {", ".join(sums)})
          SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], {arrays})
          ON CONFLICT (tenant_id, campaign_id, {member}) DO UPDATE SET {added}
          RETURNING new.tenant_id, new.campaign_id, {grown}
        )
        SELECT tenant_id, campaign_id, {totals} FROM moved GROUP BY tenant_id, campaign_id
    """  # noqa: S608 the names are constants of the catalogue


_ADD_PEOPLE = _members("people", "person_key", _PEOPLE_NAMES)
_ADD_LINKS = _members("link_clickers", "member_key", ["click_count"])

_CLAIM = """
    INSERT INTO analytics.applied (tenant_id, batch_id, apply_time_us)
    SELECT tenant_id, batch_id, $3 FROM unnest($1::text[], $2::text[]) AS u (tenant_id, batch_id)
    ON CONFLICT (tenant_id, batch_id) DO NOTHING
    RETURNING tenant_id, batch_id
"""
_ADD_DIMENSIONS = f"""
    INSERT INTO analytics.dimension_sets (tenant_id, campaign_id, dimension_key, {", ".join(NAMES)})
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[],
      {", ".join(f"${at}::text[]" for at in range(5, 4 + len(NAMES)))})
    ON CONFLICT (tenant_id, campaign_id, dimension_key) DO NOTHING
"""  # noqa: S608 the names are constants of the catalogue
# Looked at first, without a lock: nearly always everything is there.
_STARTED = """
    SELECT tenant_id, campaign_id FROM analytics.campaigns
    JOIN unnest($1::text[], $2::text[]) AS u (tenant_id, campaign_id) USING (tenant_id, campaign_id)
    WHERE state <> $3
"""
_START = """
    INSERT INTO analytics.campaigns AS known (tenant_id, campaign_id, kind, state, tags,
      create_time_us, update_time_us, is_implicit, body, creation_hash)
    SELECT tenant_id, campaign_id, $3, $4, '{}'::text[], $5, $5, TRUE, ''::bytea, ''::bytea
    FROM unnest($1::text[], $2::text[]) AS u (tenant_id, campaign_id)
    ON CONFLICT (tenant_id, campaign_id) DO UPDATE
      SET state = excluded.state, update_time_us = excluded.update_time_us
      WHERE known.state = $6
"""
_FORGET_APPLIED = """
    DELETE FROM analytics.applied
    WHERE (tenant_id, batch_id) IN (
      SELECT tenant_id, batch_id FROM analytics.applied WHERE apply_time_us < $1 LIMIT $2
    )
"""


class CellTransaction:
    """One transaction on the tables."""

    def __init__(self, connection: Any, shard: int) -> None:
        self._connection = connection
        self._shard = shard

    async def claim(
        self, batch_ids: Sequence[tuple[str, str]], now_us: int
    ) -> set[tuple[str, str]]:
        """See fold_changes.FoldTransaction.claim; ``batch_ids`` are sorted."""
        if not batch_ids:
            return set()
        rows = await self._connection.fetch(_CLAIM, *turned(batch_ids, 2), now_us)
        return {(row[0], row[1]) for row in rows}

    async def add(self, cells: Cells, now_us: int) -> None:
        """See fold_changes.FoldTransaction.add.

        The tables in one order and the rows in one order, everywhere: no deadlocks.
        """
        await self._start(cells.campaigns, now_us)
        grown = await self._add_members(cells)
        await add_links(self._connection, self._shard, cells)
        await self._add_dimensions(cells)
        no_sets, empty = (0,) * len(DISTINCT_NAMES), (0,) * len(STORED_NAMES)
        rows = [(*key, *row, *no_sets) for key, row in cells.totals.items()]
        rows += [(*name, 0, *empty, *sets) for name, sets in grown.items() if any(sets)]
        await self._sum(_ADD_TOTALS, _merged(rows, 3))
        await self._sum(_ADD_HOURS, [(*key, *row) for key, row in cells.hours.items()])
        await self._sum(_ADD_MINUTES, [(*key, *row) for key, row in cells.minutes.items()])
        await self._sum(_ADD_FAILURES, [(*key, n) for key, n in cells.failures.items()])

    async def _sum(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            arrays = turned(sorted(rows), len(rows[0]))
            await self._connection.execute(statement, self._shard, *arrays)

    async def _start(self, campaigns: list[tuple[str, str]], now_us: int) -> None:
        if not campaigns:
            return
        found = await self._connection.fetch(_STARTED, *turned(campaigns, 2), _DRAFT)
        started = {(row[0], row[1]) for row in found}
        missing = [name for name in campaigns if name not in started]
        if missing:
            arrays = turned(missing, 2)
            await self._connection.execute(_START, *arrays, _BROADCAST, _SENDING, now_us, _DRAFT)

    async def _add_members(self, cells: Cells) -> dict[tuple[str, str], tuple[int, ...]]:
        """Return by how much each campaign's distinct counters grew."""
        grown: dict[tuple[str, str], list[int]] = {}
        people = sorted((*key, *row) for key, row in cells.people.items())
        links = sorted((*key, n) for key, n in cells.links.items())
        for statement, rows, first in ((_ADD_PEOPLE, people, 0), (_ADD_LINKS, links, len(PEOPLE))):
            if not rows:
                continue
            for answer in await self._connection.fetch(statement, *turned(rows, len(rows[0]))):
                sums = grown.setdefault((answer[0], answer[1]), [0] * len(DISTINCT_NAMES))
                for at, n in enumerate(tuple(answer)[2:], first):
                    sums[at] += n
        return {name: tuple(sums) for name, sums in grown.items()}

    async def _add_dimensions(self, cells: Cells) -> None:
        rows = sorted((*key, *values) for key, values in cells.dimension_sets.items())
        if rows:
            await self._connection.execute(_ADD_DIMENSIONS, *turned(rows, 3 + len(NAMES)))


def _merged(rows: list[tuple[Any, ...]], key_width: int) -> list[tuple[Any, ...]]:
    """Add rows of the same key up: one statement may touch a row only once."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key, counts = row[:key_width], row[key_width:]
        known = sums.get(key) or [0] * len(counts)
        sums[key] = [a + b for a, b in zip(known, counts, strict=True)]
    return [(*key, *counts) for key, counts in sums.items()]


class CellStore:
    """Cells of one replica: it writes to the rows of its own ``shard``."""

    def __init__(self, database: Database, shard: int) -> None:
        self._database = database
        self._shard = shard

    async def in_transaction(self, work: Work) -> int:
        """See fold_changes.FoldStore.in_transaction."""

        async def run(connection: Any) -> int:
            return await work(CellTransaction(connection, self._shard))

        return await self._database.run(run)

    async def forget_applied(self, before_us: int, rows_max: int) -> int:
        """Forget batches applied before a time, at most ``rows_max``; return how many."""
        async with self._database.transaction() as connection:
            answer: str = await connection.execute(_FORGET_APPLIED, before_us, rows_max)
        return int(answer.rsplit(" ", 1)[-1])
