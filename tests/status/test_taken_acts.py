"""Acts by reference that leave a message while somebody else tells it the same acts."""

import asyncio

from libs.runtime.database import Database
from services.status.adapters.message_store import MessageStore
from services.status.domain.acts import Act, stored_act
from services.status.ports import ActPlace

PLACE: ActPlace = ("demo", b"m" * 16, "click-1")


def a_act(at_us: int) -> Act:
    """Return a click of that time."""
    return stored_act("click-1", b"\x01" + at_us.to_bytes(8, "big") + b"\x00\x07")


async def test_an_act_leaves_also_while_its_message_is_told_of_it(database: Database) -> None:
    """It once stayed, and counted on both messages."""
    async with database.transaction() as connection:
        await MessageStore(connection).add_acts({}, {PLACE: a_act(5)})

    async def take() -> None:
        async with database.transaction() as connection:
            (taken,) = await MessageStore(connection).take_acts([PLACE])
            assert taken[1:] == (a_act(5), a_act(7))

    async with database.transaction() as connection:
        await MessageStore(connection).add_acts({PLACE: a_act(7)}, {})
        taking = asyncio.create_task(take())
        async with database.transaction() as looker:
            while not await looker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    await taking

    async with database.transaction() as connection:
        (row,) = await connection.fetch("SELECT act, act_by_ref FROM status.acts")
    assert (row["act"], row["act_by_ref"]) == (a_act(7).told, None)
