"""Generations of cells in PostgreSQL: begun, filled from the message store, switched, removed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import MetaData

from libs.runtime.database import Database
from services.analytics.adapters.cell_statements import turned
from services.analytics.adapters.cell_store import FIRST_GENERATION, CellStore
from services.analytics.adapters.family_tables import family_tables
from services.analytics.adapters.generation_compare import compare, ledger_of_switch
from services.analytics.adapters.list_rows import LIST_TABLES
from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.change_view import ChangeView
from services.analytics.domain.families.family import Family
from services.analytics.domain.frames import Frame
from services.analytics.domain.lists.listed import Names, Wanted
from services.analytics.fold_changes import Built, Folding, When, cells_of, fold_built, name_all
from services.analytics.mend_restored import Stale
from services.analytics.rebuild_cells import AnotherRebuild, Building, Compared, Page

_BEGIN = f"""
    INSERT INTO analytics.generations AS g (tenant_id, shown, building, last, is_read, after_key,
      start_time_us, read_time_us, message_count, shown_since_us)
    VALUES ($1, {FIRST_GENERATION}, {FIRST_GENERATION + 1}, {FIRST_GENERATION + 1}, FALSE, '', $2,
      0, 0, 0)
    ON CONFLICT (tenant_id) DO UPDATE SET building = g.last + 1, last = g.last + 1, is_read = FALSE,
      after_key = '', start_time_us = excluded.start_time_us, read_time_us = 0, message_count = 0
      WHERE g.building = 0 OR $3
"""  # noqa: S608 constants
_GET = "SELECT * FROM analytics.generations WHERE tenant_id = $1"
_MOVE = """
    UPDATE analytics.generations
    SET after_key = $3, message_count = message_count + $4, read_time_us = $5, is_read = $6
    WHERE tenant_id = $1 AND building = $2
"""
_SWITCH = """
    UPDATE analytics.generations
    SET shown = building, building = 0, shown_since_us = start_time_us
    WHERE tenant_id = $1 AND building = $2 AND is_read
"""
_DISCARD = "UPDATE analytics.generations SET building = 0 WHERE tenant_id = $1 AND building = $2"
_NOTE_VERSIONS = """
    INSERT INTO analytics.built_versions (tenant_id, generation, message_key, version)
    SELECT $1, $2, * FROM unnest($3::bytea[], $4::bigint[])
"""
_TAKE_EARLY_OF = """
    DELETE FROM analytics.early_changes
    WHERE tenant_id = $1 AND generation = $2 AND message_key = ANY($3::bytea[])
    RETURNING payload
"""
_TAKE_EARLY = """
    DELETE FROM analytics.early_changes
    WHERE tenant_id = $1 AND generation = $2 AND (message_key, version, part) IN (
      SELECT message_key, version, part FROM analytics.early_changes
      WHERE tenant_id = $1 AND generation = $2 ORDER BY message_key, version, part LIMIT $3
    )
    RETURNING payload
"""
_EXPECTED = f"""
    SELECT coalesce(sum(targeted), 0)::bigint FROM analytics.totals
    WHERE tenant_id = $1 AND generation = coalesce(
      (SELECT shown FROM analytics.generations WHERE tenant_id = $1), {FIRST_GENERATION})
"""  # noqa: S608 constants
# A campaign of which no change was ever folded is known by its messages from the switch on.
_CAMPAIGNS = """
    SELECT DISTINCT tenant_id, campaign_id FROM analytics.totals
    WHERE tenant_id = $1 AND generation = $2
"""
_WAITING = "SELECT EXISTS (SELECT FROM analytics.postponed_cells WHERE tenant_id = $1)"
_CLEAN = """
    DELETE FROM analytics.{table} cell USING analytics.generations g
    WHERE cell.ctid >= ('(' || $2::bigint || ',0)')::tid
      AND cell.ctid < ('(' || $3::bigint || ',0)')::tid
      AND cell.tenant_id = $1 AND g.tenant_id = cell.tenant_id
      AND cell.generation NOT IN (g.shown, g.building)
"""
_PAGES = "SELECT pg_relation_size('analytics.{table}') / current_setting('block_size')::bigint"


_COUNTED_BEFORE = """
    SELECT c.tenant_id, coalesce(g.building <> 0 AND g.start_time_us <= $1, FALSE)
    FROM (SELECT DISTINCT tenant_id FROM analytics.campaigns) c
    LEFT JOIN analytics.generations g USING (tenant_id)
    WHERE coalesce(g.shown_since_us, 0) <= $1 ORDER BY c.tenant_id
"""


class Generations:
    """See rebuild_cells.GenerationStore."""

    def __init__(self, database: Database, cells: CellStore, families: Sequence[Family]) -> None:
        self._database = database
        self._cells = cells
        self._families = families

    async def resolve(self, frames: Sequence[Frame]) -> None:
        """See rebuild_cells.GenerationStore.resolve."""
        await self._cells.resolve(frames)

    async def names(self, wanted: Mapping[CampaignName, Wanted]) -> Mapping[CampaignName, Names]:
        """See rebuild_cells.GenerationStore.names."""
        return await self._cells.names(wanted)

    async def begin(self, tenant_id: str, now_us: int, *, is_from_scratch: bool) -> Building:
        """See rebuild_cells.GenerationStore.begin."""

        async def run(connection: Any) -> Building:
            await connection.execute(_BEGIN, tenant_id, now_us, is_from_scratch)
            return _building(await connection.fetchrow(_GET, tenant_id))

        return await self._database.run(run)

    async def counted_before(self, time_us: int) -> list[Stale]:
        """See mend_restored.StaleTenants.counted_before."""
        async with self._database.transaction() as connection:
            return [Stale(*row) for row in await connection.fetch(_COUNTED_BEFORE, time_us)]

    async def expected_count(self, tenant_id: str) -> int:
        """See rebuild_cells.GenerationStore.expected_count."""
        async with self._database.transaction() as connection:
            count: int = await connection.fetchval(_EXPECTED, tenant_id)
        return count

    async def add_page(
        self,
        tenant_id: str,
        building: Building,
        page: Page,
        cells: Mapping[CampaignName, Cells],
        folding: Folding,
        now_us: int,
    ) -> Building:
        """See rebuild_cells.GenerationStore.add_page."""
        when = When(now_us, page.read_time_us)
        rows = [(message.message_key, message.version) for message in page.messages]

        async def run(connection: Any) -> Building:
            await _lock(connection, tenant_id, building)
            transaction = self._cells.transaction(connection)
            generation = building.generation
            if rows:
                columns = turned(rows, 2)
                await connection.execute(_NOTE_VERSIONS, tenant_id, generation, *columns)
                await transaction.add_built(cells, generation, when)
                keys = columns[0]
                early = await connection.fetch(_TAKE_EARLY_OF, tenant_id, generation, keys)
                # Those whose version the page has are passed over.
                built = Built(generation, is_read=False)
                changes = [ChangeView.FromString(row[0]) for row in early]
                whole = folding.folder()
                whole.add_changes(tenant_id, changes)
                named = self._cells, await name_all(whole, self._cells)
                await fold_built(transaction, named, folding, tenant_id, built, changes, when)
            last = rows[-1][0] if rows else building.after_key
            count, read_us = len(rows), page.read_time_us
            await connection.execute(_MOVE, tenant_id, generation, last, count, read_us, False)
            return _building(await connection.fetchrow(_GET, tenant_id))

        return await self._database.run(run)

    async def add_early(
        self, tenant_id: str, building: Building, folding: Folding, now_us: int, changes_max: int
    ) -> Building:
        """See rebuild_cells.GenerationStore.add_early."""
        when = When(now_us, building.read_time_us or now_us)

        async def run(connection: Any) -> Building:
            await _lock(connection, tenant_id, building)
            transaction = self._cells.transaction(connection)
            generation = building.generation
            rows = await connection.fetch(_TAKE_EARLY, tenant_id, generation, changes_max)
            folder = folding.folder()
            folder.add_changes(tenant_id, [ChangeView.FromString(row[0]) for row in rows])
            await transaction.add_built(await cells_of(folder, self._cells), generation, when)
            is_read = len(rows) < changes_max
            place = building.after_key, 0, when.event_time_us, is_read
            await connection.execute(_MOVE, tenant_id, generation, *place)
            return _building(await connection.fetchrow(_GET, tenant_id))

        return await self._database.run(run)

    async def is_settled(self, tenant_id: str) -> bool:
        """See rebuild_cells.GenerationStore.is_settled."""
        async with self._database.transaction() as connection:
            return not await connection.fetchval(_WAITING, tenant_id)

    async def compare(
        self, tenant_id: str, building: Building, now_us: int, differences_max: int
    ) -> Compared:
        """See rebuild_cells.GenerationStore.compare."""
        async with self._database.transaction() as connection:
            return await compare(
                connection, self._families, tenant_id, building, now_us, differences_max
            )

    async def switch(self, tenant_id: str, building: Building, now_us: int) -> None:
        """See rebuild_cells.GenerationStore.switch."""

        async def run(connection: Any) -> None:
            # Whoever folds for this tenant has finished, or sees what is shown from now on.
            await _lock(connection, tenant_id, building)
            await ledger_of_switch(connection, tenant_id, building, now_us)
            names = await connection.fetch(_CAMPAIGNS, tenant_id, building.generation)
            transaction = self._cells.transaction(connection)
            await transaction.start_campaigns([(row[0], row[1]) for row in names], now_us)
            await connection.execute(_SWITCH, tenant_id, building.generation)

        await self._database.run(run)

    async def discard(self, tenant_id: str, building: Building) -> None:
        """See rebuild_cells.GenerationStore.discard."""

        async def run(connection: Any) -> None:
            await connection.execute(_DISCARD, tenant_id, building.generation)

        await self._database.run(run)

    async def clean(self, tenant_id: str, pages_max: int) -> AsyncIterator[int]:
        """See rebuild_cells.GenerationStore.clean. Goes through each table once, from its start."""
        tables = ["built_versions", "early_changes", "postponed_cells"]
        tables += LIST_TABLES
        for family in self._families:
            tables += [table.name for table in family_tables(family, MetaData())]
        for table in tables:
            statement = _CLEAN.format(table=table)
            async with self._database.transaction() as connection:
                pages = await connection.fetchval(_PAGES.format(table=table))
            for first in range(0, pages + 1, pages_max):
                async with self._database.transaction() as connection:
                    place = first, first + pages_max
                    answer = await connection.execute(statement, tenant_id, *place)
                yield int(answer.rsplit(" ", 1)[-1])


async def _lock(connection: Any, tenant_id: str, building: Building) -> None:
    """Wait for folds of the tenant, and keep others out until the commit.

    Raises:
        AnotherRebuild: the generation is not where ``building`` says.
    """
    row = await connection.fetchrow(f"{_GET} FOR UPDATE", tenant_id)
    if row is None or _building(row) != building:
        raise AnotherRebuild


def _building(row: Any) -> Building:
    return Building(
        row["building"],
        row["shown"],
        bytes(row["after_key"]),
        row["is_read"],
        row["message_count"],
        row["read_time_us"],
    )
