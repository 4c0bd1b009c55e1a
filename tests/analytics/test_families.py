"""A family is a declaration: its table, fold, recount and rebuild follow from it."""

from collections.abc import AsyncIterator, Iterable

import pytest_asyncio
from bluetick.v1 import common_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData

from libs.runtime.database import Database
from services.analytics.adapters.family_tables import family_tables
from services.analytics.adapters.make_tables import make_family_tables
from services.analytics.domain.families.family import Column, Counted, Family, Key, Kind, Sums
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.frames import Seen
from tests.analytics.building import T0, Step, batches_of, changes_of, image, registration
from tests.analytics.conftest import Cells, new_cells
from tests.analytics.stories import a_message, key_of, stories
from tests.analytics.test_rebuild import Store, run

_MINUTE_US = 60_000_000


def _minutes_to_read(seen: Seen) -> Iterable[tuple[Key, Sums]]:
    image = seen.image
    if (
        image.state == common_pb2.MESSAGE_STATE_READ
        and image.read_time_us
        and image.deliver_time_us
    ):
        minutes = (image.read_time_us - image.deliver_time_us) // _MINUTE_US
        yield (min(minutes, 60),), (1, minutes)


# What a contributor would write: one file with this, and one line in the registry.
LATENCY = Family(
    name="read_latency",
    says="Messages by minutes from delivery to read.",
    key=(Column("minutes", Kind.BIG, "minutes, 60 and more together"),),
    sums=("messages", "minutes_sum"),
    how=Counted(of_image=_minutes_to_read),
)
WITH_LATENCY = (*FAMILIES, LATENCY)


def recounted(finals: Iterable[Step]) -> dict[tuple[str, int], tuple[int, int]]:
    """Count from scratch, without the product."""
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for step in finals:
        one, campaign = step.image, step.image.scope.campaign_id
        is_read = one.state == 7 and one.read_time_us and one.deliver_time_us
        if campaign and one.is_counted and is_read:
            minutes = (one.read_time_us - one.deliver_time_us) // _MINUTE_US
            n, total = rows.get((campaign, min(minutes, 60)), (0, 0))
            rows[campaign, min(minutes, 60)] = n + 1, total + minutes
    return rows


async def stored(cells: Cells, generation: int = 1) -> dict[tuple[str, int], tuple[int, int]]:
    rows = await cells.rows(
        """SELECT campaign_id, minutes, sum(messages)::bigint AS n,
          sum(minutes_sum)::bigint AS total
        FROM analytics.read_latency WHERE generation = $1 GROUP BY campaign_id, minutes""",
        generation,
    )
    return {(r["campaign_id"], r["minutes"]): (r["n"], r["total"]) for r in rows if r["n"]}


@pytest_asyncio.fixture(loop_scope="session")
async def latency(database_url: str) -> AsyncIterator[Cells]:
    """Cells with one family more."""
    database = await Database.connect(database_url, pool_size=6)
    tables = family_tables(LATENCY, MetaData(schema="analytics"))
    async with database.engine.begin() as connection:
        await connection.run_sync(make_family_tables, tables)
    yield new_cells(database, WITH_LATENCY)
    await database.close()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_a_declared_family_has_its_table_and_is_folded(
    latency: Cells, data: st.DataObject
) -> None:
    """In any order, as all numbers are, without a line of code about it."""
    await latency.clear()
    await latency.rows("DELETE FROM analytics.read_latency")
    messages = data.draw(st.lists(stories(), min_size=1, max_size=4))
    changes = [change for at, steps in enumerate(messages) for change in a_message(at, steps)]

    await latency.fold(batches_of(data.draw(st.permutations(changes)), 3))

    assert await stored(latency) == recounted(steps[-1] for steps in messages)


async def test_a_new_family_gets_its_history_by_a_rebuild(
    database_url: str, latency: Cells
) -> None:
    """Messages of before the family existed count in it as those of after."""
    before = new_cells(latency.database)
    steps = [
        Step(
            image("READ", accept_time_us=T0, deliver_time_us=T0, read_time_us=T0 + n * _MINUTE_US),
            registration(f"P{n}"),
        )
        for n in range(5)
    ]
    store = Store()
    for n, step in enumerate(steps):
        await before.fold(batches_of(changes_of(key_of(n), [step]), 1, prefix=f"{n}."))
        store.tell(key_of(n), [step])
    assert await stored(latency) == {}

    verified = await run(latency, store, is_verify_only=True)
    await run(latency, store)

    differing = {one.family for one in verified.compared.differences}
    assert differing == {"read_latency"}
    assert await stored(latency, generation=3) == recounted(steps)


async def test_a_column_that_a_family_gained_is_added_to_its_table(latency: Cells) -> None:
    """A table in use is widened, and what stands in it stays."""
    await latency.fold(
        batches_of(
            changes_of(
                key_of(0),
                [
                    Step(
                        image("READ", accept_time_us=T0, deliver_time_us=T0, read_time_us=T0),
                        registration(),
                    )
                ],
            ),
            1,
        )
    )
    wider = Family(
        name=LATENCY.name, says="", key=LATENCY.key, sums=(*LATENCY.sums, "more"), how=LATENCY.how
    )

    tables = family_tables(wider, MetaData(schema="analytics"))
    for _ in range(2):
        async with latency.database.engine.begin() as connection:
            await connection.run_sync(make_family_tables, tables)

    rows = await latency.rows("SELECT messages, more FROM analytics.read_latency")
    assert rows == [{"messages": 1, "more": 0}]
