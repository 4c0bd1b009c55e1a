"""Acts: which telling of one stands, and what becomes of acts when a reference moves on."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from bluetick.v1 import change_pb2
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.database import Database
from libs.runtime.keys import message_key
from libs.testkit import builders
from services.status.domain.acts import act_of, stored_act
from tests.status.machine import (
    Bench,
    CollectingOutbox,
    assert_versions_have_no_gaps,
    empty,
    make_bench,
)
from tests.status.test_transaction import a_click_by_ref

T = builders.TIME_US
# Two attempts for one reference: where both got equally far, the smaller key stands.
WINNER, LOSER = sorted(
    ("wamid.A", "wamid.B"),
    key=lambda own_id: message_key(builders.TENANT, builders.PROVIDER, own_id),
)


def key_of(own_id: str) -> bytes:
    return message_key(builders.TENANT, builders.PROVIDER, own_id)


def a_retold_click(time_us: int, url: str = "https://example.com/", **fields: Any) -> Event:
    click = builders.a_click("click-1", occur_time_us=time_us, **fields)
    click.engagement.url = url
    return click


async def told_in_every_order(
    bench: Bench, database: Database, events: Sequence[Event | tuple[Event, ...]]
) -> list[tuple[dict[str, Any], list[change_pb2.MessageChanged]]]:
    """Rows and changes for each order of telling; events of a tuple are told together."""
    found = []
    for order in itertools.permutations(events):
        await empty(database)
        one = make_bench(database, CollectingOutbox(database), bench.clock)
        for event in order:
            await one.apply(*event if isinstance(event, tuple) else (event,))
        found.append((await one.snapshot(), one.outbox.changes))
    return found


def sum_of_acts(changes: list[change_pb2.MessageChanged]) -> dict[tuple[int, bytes], int]:
    """How often each telling counts, as whoever folds changes sees it."""
    counts: dict[tuple[int, bytes], int] = {}
    for change in changes:
        for act in change.acts:
            if not act.is_repeated:
                at = (act.occur_time_us, act.engagement.SerializeToString(deterministic=True))
                counts[at] = counts.get(at, 0) + (-1 if act.is_retracted else 1)
    return {at: number for at, number in counts.items() if number}


async def test_of_an_act_told_differently_one_telling_stands_in_any_order(
    bench: Bench, database: Database
) -> None:
    """A retry may bring another time or another address; links and times must not depend on it."""
    events = [
        a_retold_click(T + 5),
        a_retold_click(T + 3, url="https://example.com/b"),
        a_retold_click(T + 3, url="https://example.com/a"),
    ]

    found = await told_in_every_order(bench, database, events)

    rows, changes = found[0]
    assert all(other == rows for other, _ in found)
    ((time_us, _),) = sum_of_acts(changes)
    assert time_us == T + 3
    for _, told in found:
        assert sum_of_acts(told) == sum_of_acts(changes)
        assert_versions_have_no_gaps(told)
        assert told[-1].new_image.click_time_us == T + 3
        assert told[-1].new_image.click_count == 1


async def test_a_telling_that_a_machine_made_it_is_forgotten_with_it(
    bench: Bench, database: Database
) -> None:
    """What acts add is a function of the tellings that stand, flags included."""
    by_machine = a_retold_click(T + 9)
    by_machine.engagement.is_machine = True

    found = await told_in_every_order(bench, database, [by_machine, a_retold_click(T)])

    assert found[0][0] == found[1][0]
    for _, changes in found:
        seen = changes[-1].new_image
        assert (seen.click_count, seen.machine_click_count) == (1, 0)
        assert (seen.human_click_time_us, seen.evidence_time_us) == (T, T)


async def test_a_choice_that_may_be_made_again_counts_as_it_was_made_last(
    bench: Bench, database: Database
) -> None:
    """A reaction that is changed, and taken back in the end, is no reply."""
    events = [builders.a_registered()]
    for n, is_withdrawn in enumerate((False, False, True)):
        reaction = builders.a_reply("reaction-1", occur_time_us=T + n)
        reaction.engagement.is_replaceable = True
        reaction.engagement.is_withdrawn = is_withdrawn
        events.append(reaction)

    found = await told_in_every_order(bench, database, events)

    assert all(rows == found[0][0] for rows, _ in found)
    for _, changes in found:
        assert sum_of_acts(changes) == {}
        assert changes[-1].new_image.reply_count == 0


async def test_acts_by_reference_leave_a_message_that_another_supersedes(
    bench: Bench, database: Database
) -> None:
    """Whichever of two attempts came first, acts are counted on the one that got furthest."""
    events = [
        builders.a_registered(provider_message_id=LOSER),
        (
            builders.a_registered(provider_message_id=WINNER, occur_time_us=T + 1),
            builders.an_event(words.EVENT_KIND_READ, provider_message_id=WINNER),
        ),
        a_click_by_ref(occur_time_us=T + 2),
        builders.a_click("own", provider_message_id=LOSER, occur_time_us=T + 3),
    ]

    found = await told_in_every_order(bench, database, events)

    assert all(rows == found[0][0] for rows, _ in found)
    images = await bench.images()
    winner, loser = images[key_of(WINNER)][1], images[key_of(LOSER)][1]
    assert (winner.is_counted, winner.click_count) == (True, 1)
    assert (loser.is_counted, loser.click_count, loser.click_time_us) == (False, 1, T + 3)
    for _, changes in found:
        last = {change.message_key: change.new_image.click_count for change in changes}
        assert last == {key_of(WINNER): 1, key_of(LOSER): 1}


async def test_an_act_told_by_both_names_stays_with_the_message_that_it_names(
    bench: Bench, database: Database
) -> None:
    """Of an act by reference only the telling by reference moves on."""
    events = [
        builders.a_registered(provider_message_id=LOSER),
        (
            builders.a_registered(provider_message_id=WINNER),
            builders.an_event(words.EVENT_KIND_READ, provider_message_id=WINNER),
        ),
        a_click_by_ref("click-1", occur_time_us=T + 2),
        builders.a_click("click-1", provider_message_id=LOSER, occur_time_us=T + 3),
    ]

    found = await told_in_every_order(bench, database, events)

    assert all(rows == found[0][0] for rows, _ in found)
    images = await bench.images()
    assert images[key_of(LOSER)][1].click_time_us == T + 3
    assert images[key_of(WINNER)][1].click_time_us == T + 2


@pytest.mark.parametrize("seed", range(4))
async def test_records_of_one_reference_and_acts_in_random_order_and_batches(
    bench: Bench, database: Database, seed: int
) -> None:
    """Law 1 over everything that a reference can do, repeats included."""
    events = [
        builders.a_registered(words.EVENT_KIND_QUEUED, occur_time_us=T - 9),
        builders.a_registered(provider_message_id=LOSER),
        builders.a_registered(provider_message_id=WINNER),
        builders.a_registered(provider_message_id=WINNER, occur_time_us=T + 1,
                              registration=builders.a_registration("other")),
        builders.an_event(words.EVENT_KIND_READ, provider_message_id=LOSER),
        *(a_click_by_ref(f"click-{n}", occur_time_us=T + n) for n in range(4)),
        *(a_click_by_ref(f"click-{n}", occur_time_us=T + n + 1) for n in range(2)),
        *(builders.a_click(f"click-{n}", provider_message_id=LOSER) for n in range(2, 5)),
        builders.a_reply("tap-1", is_tap=True, provider_message_id=WINNER),
    ]  # fmt: skip
    await bench.apply(*events)
    expected = await bench.snapshot()
    chance = random.Random(seed)
    told = chance.sample(events, len(events)) + chance.sample(events, len(events) // 2)
    await empty(database)
    other = make_bench(database, CollectingOutbox(database), bench.clock)

    while told:
        size = chance.choice((1, 2, 5))
        await other.apply(*told[:size])
        del told[:size]

    assert await other.snapshot() == expected
    assert_versions_have_no_gaps(other.outbox.changes)
    for key, (version, image) in (await other.images()).items():
        last = max((c for c in other.outbox.changes if c.message_key == key), key=_version)
        assert (last.version, last.new_image) == (version, image)


def _version(change: change_pb2.MessageChanged) -> int:
    return change.version


async def test_the_buttons_that_were_tapped_are_in_the_image(bench: Bench) -> None:
    """ "How many tapped yes" is counted from images alone."""
    for n, button in enumerate(("yes", "no", "yes")):
        tap = builders.a_reply(f"tap-{n}", is_tap=True)
        tap.engagement.button_id = button
        await bench.apply(tap)

    assert list(bench.outbox.changes[-1].new_image.tapped_button_ids) == ["no", "yes"]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 2**62), st.booleans(), st.booleans(), st.text(max_size=20), st.integers(1, 2**62)
)
def test_a_telling_is_stored_whole_and_sorts_by_its_claim(
    time_us: int, is_replaceable: bool, is_withdrawn: bool, url: str, later_us: int
) -> None:
    """The database compares bytes; they must sort as the rule does."""
    engagement = builders.an_engagement(
        url=url, is_replaceable=is_replaceable, is_withdrawn=is_withdrawn
    )
    act = act_of("f", 7, time_us, engagement, engagement.SerializeToString())
    other = act_of("f", 7, later_us, engagement, engagement.SerializeToString())

    assert stored_act("f", act.told) == act
    if time_us != later_us:
        assert (act.told < other.told) == ((time_us < later_us) != is_replaceable)
