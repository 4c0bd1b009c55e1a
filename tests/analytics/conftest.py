from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio
from bluetick.v1 import change_pb2

from libs.runtime.database import Database
from services.analytics.adapters.cell_store import CellStore
from services.analytics.adapters.dictionary import Dictionary
from services.analytics.adapters.folded_sequences import StreamPlace
from services.analytics.adapters.tables import metadata
from services.analytics.domain.counters import PEOPLE, STORED_NAMES
from services.analytics.domain.families.family import Family
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.frames import FrameBook
from services.analytics.domain.moves import Planner
from services.analytics.fold_changes import Folding, Incoming, fold_changes
from tests.analytics.building import CAMPAIGN, T0
from tests.analytics.folding import LINKS
from tests.analytics.oracle import DIMENSIONS, TABLES, Rows, without_zeros

PLANNERS: dict[tuple[Family, ...], Planner] = {}


@dataclass
class Cells:
    """The tables of one database, and two replicas that write them."""

    database: Database
    replicas: tuple[CellStore, CellStore]
    # One of each: what a replica remembers is its own.
    foldings: tuple[Folding, Folding]
    families: tuple[Family, ...] = FAMILIES
    place: StreamPlace = field(default_factory=StreamPlace)

    async def fold(self, batches: list[change_pb2.MessageChangedBatch], replica: int = 0) -> int:
        messages = [
            Incoming(batch.SerializeToString(), seq) for seq, batch in enumerate(batches, 1)
        ]
        folded = await fold_changes(messages, self.replicas[replica], self.foldings[replica], T0)
        return folded.new_change_count

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def sums(
        self, table: str = "totals", campaign_id: str = CAMPAIGN, where: str = "TRUE"
    ) -> dict[str, int]:
        found = await self._sums(table, STORED_NAMES, campaign_id, where)
        if table == "totals":
            names = [counter.name for counter in PEOPLE]
            found |= await self._sums("people_sizes", names, campaign_id, where)
            pairs = ["unique_link_clicks"]
            found |= await self._sums("link_pairs_sizes", pairs, campaign_id, where)
        return found

    async def _sums(
        self, table: str, names: Iterable[str], campaign_id: str, where: str
    ) -> dict[str, int]:
        columns = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in names)
        sql = f"SELECT {columns} FROM analytics.{table} WHERE campaign_id = $1 AND {where}"
        return (await self.rows(sql, campaign_id))[0]

    async def tables(self, generation: int = 1) -> dict[str, Rows]:
        """Return all rows of a generation as the oracle spells them."""
        scopes = {
            (row["campaign_id"], row["scope_id"]): tuple(row[name] for name in DIMENSIONS)
            for row in await self.rows("SELECT * FROM analytics.scopes")
        }
        words = {
            (row["campaign_id"], row["dimension"], row["number"]): row["value"]
            for row in await self.rows("SELECT * FROM analytics.dimension_values")
        }
        tables: dict[str, Rows] = {}
        for family in self.families:
            if family.name not in TABLES:
                continue
            table = family.name if family.member is None else family.sizes
            if family.seat:
                await self._read_parts(tables, family, generation)
            names = ["campaign_id", *(column.name for column in family.key)]
            sums = ", ".join(f"sum({name})::bigint" for name in family.sums)
            sql = f"""SELECT {", ".join(names)}, {sums} FROM analytics.{table}
              WHERE generation = $1 GROUP BY {", ".join(names)}"""
            rows = tables.setdefault(family.name, {})
            async with self.database.transaction() as connection:
                for row in await connection.fetch(sql, generation):
                    key, counts = tuple(row)[: len(names)], tuple(row)[len(names) :]
                    if family.name == "quarters":
                        key = (*key[:3], scopes[key[0], key[3]])
                    elif family.name == "attributes":
                        campaign, name, value, *rest = key
                        key = (
                            campaign,
                            words[campaign, 100, name],
                            words[campaign, 100 + name, value],
                            *rest,
                        )
                    elif family.name in ("links", "link_people"):
                        key = key[0], LINKS[key[1]], *key[2:]
                    rows[key] = Counter(dict(zip(family.sums, counts, strict=True)))
        return {table: kept for table, rows in tables.items() if (kept := without_zeros(rows))}

    async def _read_parts(self, tables: dict[str, Rows], family: Family, generation: int) -> None:
        sums = ", ".join(f"sum({name})::bigint" for name in family.sums)
        sql = f"""SELECT campaign_id, part_kind, part, {sums} FROM analytics.{family.part_sizes}
          WHERE generation = $1 GROUP BY campaign_id, part_kind, part"""
        async with self.database.transaction() as connection:
            for row in await connection.fetch(sql, generation):
                counts = dict(zip(family.sums, tuple(row)[3:], strict=True))
                tables.setdefault(f"part_{family.name}", {})[tuple(row)[:3]] = Counter(counts)

    async def clear(self) -> None:
        """Forget everything, in the tables and in memory."""
        async with self.database.transaction() as connection:
            names = ", ".join(f"analytics.{table.name}" for table in metadata.sorted_tables)
            await connection.execute(f"TRUNCATE {names}")
        fresh = new_cells(self.database, self.families)
        self.replicas, self.foldings = fresh.replicas, fresh.foldings
        self.place = fresh.place


def new_cells(database: Database, families: tuple[Family, ...] = FAMILIES) -> Cells:
    """Return two replicas that have folded nothing yet."""
    place, planner = StreamPlace(T0), PLANNERS.setdefault(families, Planner(families))
    one, two = (
        CellStore(database, Dictionary(database), families, shard, place) for shard in range(2)
    )
    foldings = Folding(planner, FrameBook()), Folding(planner, FrameBook())
    return Cells(database, (one, two), foldings, families, place)


@pytest_asyncio.fixture(loop_scope="session")
async def cells(database_url: str) -> AsyncIterator[Cells]:
    database = await Database.connect(database_url, pool_size=6)
    yield new_cells(database)
    await database.close()
