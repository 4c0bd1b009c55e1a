"""Acts by reference that leave a message while somebody else tells it the same acts."""

import asyncio

from libs.runtime.database import Database
from services.status.adapters.message_store import MessageStore
from services.status.domain.facts import Fact, stored_fact
from services.status.ports import FactPlace

PLACE: FactPlace = ("demo", b"m" * 16, "click-1")


def a_fact(at_us: int) -> Fact:
    """Return a click of that time."""
    return stored_fact("click-1", b"\x01" + at_us.to_bytes(8, "big") + b"\x00\x07")


async def test_an_act_leaves_also_while_its_message_is_told_of_it(database: Database) -> None:
    """It once stayed, and counted on both messages."""
    async with database.transaction() as connection:
        await MessageStore(connection).add_facts({}, {PLACE: a_fact(5)})

    async def take() -> None:
        async with database.transaction() as connection:
            (taken,) = await MessageStore(connection).take_facts([PLACE])
            assert taken[1:] == (a_fact(5), a_fact(7))

    async with database.transaction() as connection:
        await MessageStore(connection).add_facts({PLACE: a_fact(7)}, {})
        taking = asyncio.create_task(take())
        async with database.transaction() as looker:
            while not await looker.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    await taking

    async with database.transaction() as connection:
        (row,) = await connection.fetch("SELECT act, act_by_ref FROM status.facts")
    assert (row["act"], row["act_by_ref"]) == (a_fact(7).told, None)
