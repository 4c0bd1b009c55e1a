import asyncio
import os
import signal
from pathlib import Path

from libs.embedded.postgres_server import PostgresServer
from libs.runtime.database import Database, DatabaseUnavailable


async def test_a_killed_server_is_unavailable_until_it_answers_again(tmp_path: Path) -> None:
    """Refused, cut, recovering: whatever the driver calls it, callers know one word for it.

    An outage under another name ends the service instead of being waited for.
    """
    server = PostgresServer(tmp_path / "postgres", is_throwaway=True)
    await server.start()
    database = await Database.connect(server.url)
    told: list[str] = []

    for _ in range(3):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        starting = asyncio.create_task(server.start())
        while not starting.done():
            told.extend(await _try(database))
            await asyncio.sleep(0.002)
        await starting

    assert told
    assert await _try(database) == []
    await database.close()
    await server.stop()


async def _try(database: Database) -> list[str]:
    try:
        async with database.transaction() as connection:
            await connection.fetchval("SELECT 1")
    except DatabaseUnavailable as error:
        return [str(error)]
    return []
