from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from bluetick.v1 import change_pb2

from libs.runtime.database import Database
from services.analytics.adapters.cell_store import CellStore
from services.analytics.domain.counters import DISTINCT_NAMES, STORED_NAMES
from services.analytics.fold_changes import Incoming, fold_changes
from tests.analytics.building import CAMPAIGN, T0

TABLES = (
    "totals", "hours", "minutes", "dimension_sets", "failures", "people", "link_clickers", "links",
    "link_names", "link_people",
    "campaigns", "campaign_requests", "applied", "rejected_batches",
)  # fmt: skip


@dataclass
class Cells:
    """The tables of one database, and two replicas that write them."""

    database: Database
    replicas: tuple[CellStore, CellStore]

    async def fold(self, batches: list[change_pb2.MessageChangedBatch], replica: int = 0) -> int:
        messages = [
            Incoming(batch.SerializeToString(), seq) for seq, batch in enumerate(batches, 1)
        ]
        folded = await fold_changes(messages, self.replicas[replica], T0)
        return folded.new_change_count

    async def rows(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def sums(
        self, table: str = "totals", campaign_id: str = CAMPAIGN, where: str = "TRUE"
    ) -> dict[str, int]:
        names = [*STORED_NAMES, *(DISTINCT_NAMES if table == "totals" else ())]
        columns = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in names)
        sql = f"SELECT {columns} FROM analytics.{table} WHERE campaign_id = $1 AND {where}"
        return (await self.rows(sql, campaign_id))[0]

    async def clear(self) -> None:
        async with self.database.transaction() as connection:
            for table in TABLES:
                await connection.execute(f"DELETE FROM analytics.{table}")


@pytest_asyncio.fixture(loop_scope="session")
async def cells(database_url: str) -> AsyncIterator[Cells]:
    database = await Database.connect(database_url, pool_size=4)
    yield Cells(database, (CellStore(database, 0), CellStore(database, 1)))
    await database.close()
