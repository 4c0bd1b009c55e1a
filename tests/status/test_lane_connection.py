"""A lane's connection: what is cut in its middle leaves nothing behind for the next work."""

import asyncio

from libs.runtime.database import Database
from services.status.adapters.lane_connection import LANE_SESSION
from services.status.ports import Store
from tests.status.machine import a_connection


async def test_work_that_was_cut_leaves_no_transaction_open(
    database: Database, database_url: str
) -> None:
    """What a lane commits afterwards would be part of a transaction that nobody ends."""
    connection = a_connection(database_url, LANE_SESSION)

    async def nothing(store: Store) -> None:
        await asyncio.sleep(0)

    for steps in range(60):
        task = asyncio.create_task(connection.run(nothing))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        # Refused inside of a transaction.
        await connection.execute("VACUUM status.alembic_version")
    await connection.close()
