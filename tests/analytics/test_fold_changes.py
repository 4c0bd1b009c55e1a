import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.analytics.adapters.old_rows import OldRows
from services.analytics.domain.counters import DISTINCT_NAMES, STORED_NAMES
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.fold_changes import Incoming, Rejected, fold_changes
from tests.analytics import fixture_a
from tests.analytics.building import (
    CAMPAIGN,
    T0,
    Step,
    batches_of,
    changes_of,
    image,
    person,
    registration,
)
from tests.analytics.conftest import Cells
from tests.analytics.oracle import recount
from tests.analytics.stories import a_message, key_of, stories

ALL = (*STORED_NAMES, *DISTINCT_NAMES)
FIXTURE = {name: fixture_a.EXPECTED.get(name, 0) for name in ALL}


async def test_the_hand_counted_campaign_comes_out_of_the_database(cells: Cells) -> None:
    """The same numbers as in memory, distinct ones included."""
    folded = await cells.fold(batches_of(fixture_a.changes(), 5))

    assert folded == 24
    assert await cells.sums() == FIXTURE


async def test_a_batch_folded_twice_counts_once(cells: Cells) -> None:
    """The broker may deliver anything again; `applied` is what makes it exactly once."""
    batches = batches_of(fixture_a.changes(), 5)
    await cells.fold(batches)

    again = await cells.fold([*batches, batches[0]], replica=1)

    assert again == 0
    assert await cells.sums() == FIXTURE


async def test_two_replicas_folding_the_same_batches_at_once_count_each_once(cells: Cells) -> None:
    """A redelivery may overtake the first delivery in another replica."""
    batches = batches_of(fixture_a.changes(), 1)

    folded = await asyncio.gather(
        *(cells.fold(batches[at : at + 6], replica) for at in range(0, 24, 3) for replica in (0, 1))
    )

    assert sum(folded) == 24
    assert await cells.sums() == FIXTURE


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_any_order_split_and_repetition_on_two_replicas_equals_a_recount(
    cells: Cells, data: st.DataObject
) -> None:
    """The whole law at once, on the real database."""
    await cells.clear()
    messages = data.draw(st.lists(stories(), min_size=1, max_size=5))
    changes = [change for at, steps in enumerate(messages) for change in a_message(at, steps)]
    shuffled = data.draw(st.permutations(changes))
    batches = batches_of(shuffled, data.draw(st.integers(1, 5)))
    repeated = [*batches, *data.draw(st.lists(st.sampled_from(batches), max_size=4))]
    cut = data.draw(st.integers(0, len(repeated)))

    await asyncio.gather(cells.fold(repeated[:cut], 0), cells.fold(repeated[cut:], 1))

    expected = recount((key_of(at), steps) for at, steps in enumerate(messages))
    assert await cells.tables() == expected
    for campaign_id in ("spring", "autumn"):
        # Why it changed adds up to what it is, people included.
        columns = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in ALL)
        sql = f"SELECT {columns} FROM analytics.ledger WHERE campaign_id = $1"
        assert await cells.rows(sql, campaign_id) == [await cells.sums(campaign_id=campaign_id)]


async def test_a_person_leaves_a_set_with_their_last_message_only(cells: Cells) -> None:
    """Sets shrink too: a record that names another person takes the first one back."""
    at = {"accept_time_us": T0, "deliver_time_us": T0}
    first, second = (
        changes_of(key, [Step(image("DELIVERED", **at), registration("P1"))])
        for key in (b"1" * 16, b"2" * 16)
    )
    corrected = [
        changes_of(
            key,
            [
                Step(image("DELIVERED", **at), registration("P1")),
                Step(image("DELIVERED", **at), registration("P2")),
            ],
        )[1:]
        for key in (b"1" * 16, b"2" * 16)
    ]
    seen = []
    for number, changes in enumerate([first + second, *corrected]):
        await cells.fold(batches_of(changes, 9, prefix=f"step{number}."))
        members = await cells.rows(
            "SELECT people_reached > 0 AS is_in FROM analytics.people WHERE person_key = $1",
            person("P1"),
        )
        seen.append(((await cells.sums())["people_reached"], members[0]["is_in"]))

    assert seen == [(1, True), (2, True), (1, False)]


async def test_a_message_names_a_campaign_that_nobody_created(cells: Cells) -> None:
    """Numbers must not wait for a set-up that comes late or never."""
    await cells.fold(batches_of(fixture_a.changes(), 50))

    found = await cells.rows("SELECT campaign_id, state, is_implicit FROM analytics.campaigns")

    assert found == [{"campaign_id": CAMPAIGN, "state": 2, "is_implicit": True}]


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\xff\xff\xff", "NOT_A_BATCH"), (b"", "IDENTITY_MISSING")]
)
async def test_what_is_no_batch_is_told_and_its_neighbours_are_folded(
    cells: Cells, data: bytes, reason: str
) -> None:
    """One poisoned broker message may neither block the rest nor vanish."""
    good = batches_of(fixture_a.changes(), 50)[0].SerializeToString()

    for _ in range(2):
        told = await fold_changes(
            [Incoming(data, 7), Incoming(good, 8)], cells.replicas[0], cells.foldings[0], T0
        )
        assert list(told.rejected) == [Rejected(Incoming(data, 7), reason)]

    assert await cells.sums() == FIXTURE


async def test_unstorable_text_does_not_stop_a_batch(cells: Cells) -> None:
    """PostgreSQL takes no NUL; one such template name would block everything behind it."""
    who = registration("P1", template="a\x00b", segment="s" * 5_000)
    changes = changes_of(b"1" * 16, [Step(image("ACCEPTED", accept_time_us=T0), who)])

    await cells.fold(batches_of(changes, 1))

    assert (await cells.sums())["sent"] == 1


async def test_marks_of_batches_are_forgotten_in_steps(cells: Cells) -> None:
    """The table must not grow for ever, and its cleaning must not hold others up."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    old = OldRows(cells.database, FAMILIES)
    forgotten = [await old.forget_applied(T0 + 1, 3) for _ in range(3)]

    assert forgotten == [3, 2, 0]


async def test_the_ledger_is_forgotten_in_steps_and_the_numbers_stay(cells: Cells) -> None:
    """It has a row for each minute and cause of each campaign, for ever."""
    await cells.fold(batches_of(fixture_a.changes(), 5))
    old = OldRows(cells.database, FAMILIES)

    kept = await old.forget_ledger(T0, 100)
    gone = await old.forget_ledger(T0 + 60_000_000, 100)

    assert kept == 0
    assert gone > 0
    assert await cells.rows("SELECT FROM analytics.ledger") == []
    assert await cells.sums() == FIXTURE
