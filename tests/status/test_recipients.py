"""What is told of a recipient that nobody recorded counts for the only recorded one of its id."""

import itertools
import random
from collections.abc import Iterable

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import CHANGE_CAUSE_CORRECTION, MessageImage
from bluetick.v1.event_pb2 import Event
from bluetick.v1.message_service_pb2 import GetMessageRequest

from libs.runtime.database import Database
from libs.runtime.message_ids import names_of
from libs.testkit import builders
from services.status.adapters.due_rows import DueRows
from services.status.adapters.readers import MessageRows
from services.status.domain.due import DAY_US
from services.status.get_message import get_message
from tests.status.machine import (
    Bench,
    CollectingOutbox,
    assert_versions_have_no_gaps,
    contribution,
    empty,
    make_bench,
    shuffled,
    sum_of_deltas,
)

T = builders.TIME_US
ALIAS, FORWARDED, OTHER = "alias@mail.example", "kim@forwarded.example", "lou@mail.example"


def named(event: Event, message_id: str, recipient: str) -> Event:
    """Name the message of an event as ingest does."""
    names = names_of(builders.TENANT, event.provider, builders.ACCOUNT, message_id, recipient)
    event.provider_message_id, event.message_key, event.batch_key = names
    event.address = recipient
    return event


def a_record(message_id: str, recipient: str, at_us: int = T, *, ref: str = "") -> Event:
    told = builders.a_registration("c", channel=words.CHANNEL_EMAIL, contact_id=recipient)
    record = builders.a_registered(
        provider="ses",
        message_ref=ref or f"{message_id}-{recipient}",
        occur_time_us=at_us,
        registration=told,
    )
    return named(record, message_id, recipient)


def a_report(message_id: str, recipient: str, kind: int, at_us: int) -> Event:
    if kind == words.EVENT_KIND_UNDELIVERED:
        event = builders.a_failure("5.1.1", provider="ses", occur_time_us=at_us)
    elif kind in (words.EVENT_KIND_CLICKED, words.EVENT_KIND_COMPLAINED):
        act = builders.an_engagement(f"{kind}-{at_us}", link_id="l")
        event = builders.an_event(kind, provider="ses", occur_time_us=at_us, engagement=act)
    else:
        event = builders.an_event(kind, provider="ses", occur_time_us=at_us)
    return named(event, message_id, recipient)


def key_of(message_id: str, recipient: str, provider: str = "ses") -> bytes:
    return names_of(builders.TENANT, provider, builders.ACCOUNT, message_id, recipient).key


async def recorded(bench: Bench) -> dict[bytes, MessageImage]:
    """Every message that counts."""
    return {key: one for key, (_, one) in (await bench.images()).items() if one.is_counted}


def assert_sums_agree(bench: Bench, images: Iterable[MessageImage]) -> None:
    total = contribution(MessageImage())
    for one in images:
        total.update(contribution(one))
    assert sum_of_deltas(bench.outbox.changes) == {k: n for k, n in total.items() if n}
    assert_versions_have_no_gaps(bench.outbox.changes)


BOUNCE = a_report("id1", FORWARDED, words.EVENT_KIND_UNDELIVERED, T + 60)
CLICK = a_report("id1", FORWARDED, words.EVENT_KIND_CLICKED, T + 30)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_bounce_and_a_click_at_the_forwarding_address_are_the_recorded_ones(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """In any order, also before the record."""
    events = [a_record("id1", ALIAS), BOUNCE, CLICK]

    for n in order:
        await bench.apply(events[n])

    seen = (await recorded(bench))[key_of("id1", ALIAS)]
    assert (seen.state, seen.click_count) == (words.MESSAGE_STATE_DELIVERED, 1)
    assert (seen.undeliver_time_us, seen.failure_code) == (T + 60, "5.1.1")
    assert_sums_agree(bench, (await recorded(bench)).values())


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
async def test_with_a_second_recipient_the_stray_is_nobodys_again(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """Which of two it was, nobody can say; the first one gets its state back by a change."""
    events = [a_record("id1", ALIAS), BOUNCE, CLICK, a_record("id1", OTHER)]

    for n in order:
        await bench.apply(events[n])

    found = await recorded(bench)
    assert {one.state for one in found.values()} == {words.MESSAGE_STATE_ACCEPTED}
    assert [one.click_count for one in found.values()] == [0, 0]
    assert_sums_agree(bench, found.values())


async def test_what_leaves_is_a_correction(bench: Bench) -> None:
    """And what comes is live: nothing was put right."""
    await bench.apply(a_record("id1", ALIAS), BOUNCE)
    before = len(bench.outbox.changes)

    await bench.apply(a_record("id1", OTHER))

    key = key_of("id1", ALIAS)
    causes = [c.cause for c in bench.outbox.changes[before:] if c.message_key == key]
    assert causes == [CHANGE_CAUSE_CORRECTION]
    told = [c for c in bench.outbox.changes[:before] if c.message_key == key]
    assert [list(c.moved_by) for c in told][-1] == [words.EVENT_KIND_UNDELIVERED]


async def test_a_stray_that_is_recorded_later_takes_its_reports_back(bench: Bench) -> None:
    """It was a recipient of its own all the time."""
    await bench.apply(a_record("id1", ALIAS), BOUNCE, CLICK)

    await bench.apply(a_record("id1", FORWARDED))

    found = await recorded(bench)
    assert found[key_of("id1", ALIAS)].state == words.MESSAGE_STATE_ACCEPTED
    own = found[key_of("id1", FORWARDED)]
    assert (own.state, own.click_count) == (words.MESSAGE_STATE_DELIVERED, 1)
    assert_sums_agree(bench, found.values())


async def test_an_act_that_names_the_bare_id_is_of_its_only_recipient(bench: Bench) -> None:
    """A sender who tells an act may not know the mailbox any more."""
    await bench.apply(a_report("id1", "", words.EVENT_KIND_CLICKED, T + 5), a_record("id1", ALIAS))

    assert (await recorded(bench))[key_of("id1", ALIAS)].click_count == 1


async def test_a_message_to_a_group_is_delivered_by_its_members(bench: Bench) -> None:
    """Recorded under the bare id; the first member who has it is enough."""
    record = builders.a_registered(message_ref="g", provider_message_id="wamid.g")
    for first, second in itertools.permutations(("4915120003700", "4915120003701")):
        await empty(bench.database)
        told = [
            named(builders.an_event(provider="meta", occur_time_us=T + n), f"wamid.g/{one}", "")
            for n, one in enumerate((first, second), 5)
        ]
        await bench.apply(told[0])
        await bench.apply(record)
        await bench.apply(told[1])

        [seen] = (await recorded(bench)).values()
        assert (seen.state, seen.deliver_time_us) == (words.MESSAGE_STATE_DELIVERED, T + 5)


@pytest.mark.parametrize("recipient", ["", ALIAS, FORWARDED])
async def test_the_message_is_found_by_its_bare_id_and_by_either_recipient(
    bench: Bench, database: Database, recipient: str
) -> None:
    """With everything that was told of it."""
    await bench.apply(a_record("id1", ALIAS), BOUNCE)

    request = GetMessageRequest(provider="ses", provider_message_id="id1", recipient=recipient)
    found = await get_message(
        MessageRows(database), builders.TENANT, request, is_address_shown=True
    )

    assert (found.address, found.state) == (ALIAS, words.MESSAGE_STATE_UNDELIVERED)
    assert found.failure.provider_code == "5.1.1"
    kinds = [entry.kind for entry in found.history]
    assert kinds == [words.EVENT_KIND_ACCEPTED, words.EVENT_KIND_UNDELIVERED]


async def test_strays_that_count_are_not_forgotten(bench: Bench, database: Database) -> None:
    """A message without a record goes after a month, unless it counts for one with a record."""
    lone = a_report("id2", FORWARDED, words.EVENT_KIND_DELIVERED, T)
    await bench.apply(a_record("id1", ALIAS), BOUNCE, lone)

    shelf = DueRows(database)
    _, forgotten = await shelf.forget_unrecorded(bench.clock.now_us() + 31 * DAY_US, 20)
    assert forgotten == 1
    await bench.apply(a_report("id1", FORWARDED, words.EVENT_KIND_SENT, T + 1))

    seen = (await recorded(bench))[key_of("id1", ALIAS)]
    assert seen.state == words.MESSAGE_STATE_UNDELIVERED
    assert await bench.rows("SELECT count(*) FROM status.recipients WHERE role = 0") == [(1,)]


KINDS = (
    words.EVENT_KIND_SENT,
    words.EVENT_KIND_DELIVERED,
    words.EVENT_KIND_UNDELIVERED,
    words.EVENT_KIND_READ,
    words.EVENT_KIND_CLICKED,
    words.EVENT_KIND_COMPLAINED,
)


def a_story(seed: int) -> tuple[list[Event], list[Event]]:
    """Ids with none to three recipients; the same events as if each had named its message."""
    chance = random.Random(seed)
    events, renamed = [], []
    for n in range(12):
        message_id = f"id{n}"
        boxes = chance.sample([f"{name}@mail.example" for name in "abcd"], 4)
        known = boxes[: chance.choice((0, 1, 1, 1, 2, 3))]
        ref = f"ref-{n % 9}" if len(known) == 1 else ""
        for m, box in enumerate(known):
            events.append(a_record(message_id, box, T + n * 9 + m, ref=ref))
            renamed.append(events[-1])
        for m in range(chance.choice((0, 2, 4, 7))):
            box = chance.choice([*boxes, ""])
            kind = chance.choice(KINDS)
            at_us = T + 100 + chance.randrange(10_000) * 10 + m
            events.append(a_report(message_id, box, kind, at_us))
            to = known[0] if len(known) == 1 else box
            renamed.append(a_report(message_id, to, kind, at_us))
    return events, renamed


@pytest.mark.parametrize("seed", range(4, 10))
async def test_any_order_gives_what_came_out_if_each_had_named_its_message(
    bench: Bench, database: Database, seed: int
) -> None:
    """The oracle is the product itself without the rule, told the truth."""
    events, renamed = a_story(seed)
    await bench.apply(*renamed)
    expected = await recorded(bench)
    await empty(database)
    other = make_bench(database, CollectingOutbox(database), bench.clock)
    chance = random.Random(seed + 99)
    told = shuffled(events + chance.sample(events, len(events) // 3), seed)

    while told:
        size = chance.choice((1, 1, 3, 20))
        await other.apply(*told[:size])
        del told[:size]

    assert await recorded(other) == expected
    assert_sums_agree(other, expected.values())


@pytest.mark.parametrize("seed", range(3))
async def test_every_order_ends_in_the_same_rows(
    bench: Bench, database: Database, seed: int
) -> None:
    """Also of those that nobody recorded."""
    events, _ = a_story(seed + 30)
    await bench.apply(*events)
    expected = await bench.snapshot()
    await empty(database)
    other = make_bench(database, CollectingOutbox(database), bench.clock)

    for event in shuffled(events, seed):
        await other.apply(event)

    assert await other.snapshot() == expected
