"""The transaction on a real PostgreSQL: order, repeats, batching, replicas, references."""

import asyncio
import itertools
import random

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event

from libs.runtime.database import Database
from libs.runtime.keys import message_key, ref_key
from libs.testkit import builders
from libs.testkit.clock import ManualClock
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
KEY = message_key(builders.TENANT, builders.PROVIDER, builders.PROVIDER_MESSAGE_ID)
REF_KEY = ref_key(builders.TENANT, "ref-1")


def a_click_by_ref(act_id: str = "click-1", ref: str = "ref-1", **fields: int) -> Event:
    """A click that the sender's own system saw, told by its own reference."""
    return builders.a_click(
        act_id,
        provider="",
        account="",
        provider_message_id="",
        message_ref=ref,
        message_key=ref_key(builders.TENANT, ref),
        **fields,
    )


def a_crowd(count: int) -> list[Event]:
    """Many messages: registered or not, failed, read, clicked, told by reference, superseded."""
    events: list[Event] = []
    for n in range(count):
        wamid, ref = f"wamid.{n}", f"ref-{n}"
        of = {"provider_message_id": wamid}
        if n % 5:
            events.append(builders.a_registered(message_ref=ref, occur_time_us=T + n, **of))
        if n % 7 == 1:
            kind = words.EVENT_KIND_QUEUED if n % 2 else words.EVENT_KIND_DROPPED
            events.append(builders.a_registered(kind, message_ref=ref, occur_time_us=T))
        events.append(builders.an_event(words.EVENT_KIND_SENT, occur_time_us=T + 10 + n, **of))
        if n % 3 == 0:
            events.append(builders.a_failure(occur_time_us=T + 20 + n, **of))
        if n % 2:
            events.append(builders.an_event(occur_time_us=T + 30 + n, **of))
        if n % 4 == 1:
            events.append(builders.an_event(words.EVENT_KIND_READ, occur_time_us=T + 40, **of))
            events.append(builders.a_reply(f"reply-{n}", is_tap=n % 8 == 1, **of))
        if n % 6 == 2:
            events.append(a_click_by_ref(f"click-{n}", ref, occur_time_us=T + 50))
            events.append(a_click_by_ref(f"again-{n}", ref, occur_time_us=T + 51))
        if n % 12 == 2:
            # The same act by another name and with another time, and a rival for the reference.
            events.append(builders.a_click(f"click-{n}", occur_time_us=T + 49 + n % 3, **of))
            rival = f"wamid.rival-{n}"
            events.append(builders.a_registered(message_ref=ref, provider_message_id=rival))
            events.append(builders.a_click(f"again-{n}", provider_message_id=rival))
    return events


async def test_reports_of_one_message_make_one_change_with_its_new_image(bench: Bench) -> None:
    """Merging before writing is what makes it fast; other teams see one move."""
    await bench.apply(
        builders.a_registered(),
        builders.an_event(words.EVENT_KIND_SENT, occur_time_us=T + 1),
        builders.an_event(occur_time_us=T + 2),
    )

    (change,) = bench.outbox.changes
    assert (change.version, change.HasField("old_image")) == (1, False)
    assert change.new_image.state == words.MESSAGE_STATE_DELIVERED
    assert change.new_image.is_counted
    assert change.new_image.scope.campaign_id == "campaign-1"
    assert list(change.moved_by) == [1, 3, 4]
    (batch,) = bench.outbox.batches
    assert (batch.tenant_id, batch.state) == ("demo", words.MESSAGE_STATE_DELIVERED)
    assert batch.batch_id
    assert batch.oldest_event_time_us == 1_785_900_000_000_000


async def test_a_redelivered_batch_writes_nothing_and_says_nothing(bench: Bench) -> None:
    """The broker delivers at least once; PostgreSQL decides what is new."""
    events = a_crowd(30)
    await bench.apply(*events)
    before, told = await bench.snapshot(), len(bench.outbox.changes)
    stored = await bench.rows("SELECT xmin::text, message_key FROM status.messages ORDER BY 2")

    await bench.apply(*events)

    assert await bench.snapshot() == before
    assert len(bench.outbox.changes) == told
    assert (
        await bench.rows("SELECT xmin::text, message_key FROM status.messages ORDER BY 2") == stored
    )


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_repeats_and_split_give_the_same_rows(
    bench: Bench, database: Database, seed: int
) -> None:
    """Law 1 through the database: rows, and the sum of what the changes describe."""
    events = a_crowd(40)
    await bench.apply(*events)
    expected = await bench.snapshot()
    recount = sum_of_deltas(bench.outbox.changes)
    await empty(database)
    chance = random.Random(seed)
    told = shuffled(events + chance.sample(events, len(events) // 3), seed)

    other = make_bench(database, CollectingOutbox(database), bench.clock)
    while told:
        size = chance.choice((1, 2, 7, 50))
        await other.apply(*told[:size])
        del told[:size]

    assert await other.snapshot() == expected
    assert sum_of_deltas(other.outbox.changes) == recount
    assert_versions_have_no_gaps(other.outbox.changes)
    assert recount == await _recounted(other)


async def test_two_replicas_on_the_same_messages_lose_nothing_and_leave_no_gap(
    bench: Bench, database: Database
) -> None:
    """Scaling is adding replicas: no leases, no deadlock, the same numbers."""
    events = a_crowd(60)
    await bench.apply(*events)
    expected = await bench.snapshot()
    await empty(database)
    replicas = [make_bench(database, CollectingOutbox(database), ManualClock()) for _ in range(3)]

    async def work(replica: Bench, seed: int) -> None:
        told = shuffled(events, seed)
        for start in range(0, len(told), 40):
            await replica.apply(*told[start : start + 40])

    await asyncio.gather(*(work(replica, n) for n, replica in enumerate(replicas)))

    changes = [change for replica in replicas for change in replica.outbox.changes]
    assert await replicas[0].snapshot() == expected
    assert_versions_have_no_gaps(changes)
    assert sum_of_deltas(changes) == await _recounted(replicas[0])


async def test_callbacks_before_the_record_count_from_the_record_on(bench: Bench) -> None:
    """A callback may be faster than the sender's own record."""
    await bench.apply(builders.an_event(), builders.a_click())
    first = bench.outbox.changes[-1]

    await bench.apply(builders.a_registered())

    second = bench.outbox.changes[-1]
    assert not first.new_image.is_counted
    assert (second.old_image.is_counted, second.new_image.is_counted) == (False, True)
    # Whoever counts people and links must hear again which acts these are.
    assert [(f.engagement.act_id, f.is_repeated) for f in second.acts] == [("click-1", True)]


async def test_a_corrected_record_tells_both_registrations_and_all_acts(bench: Bench) -> None:
    """The earlier record stands, whenever it comes; campaigns must be able to move the counts."""
    late = builders.a_registered(occur_time_us=T + 9, registration=builders.a_registration("late"))
    early = builders.a_registered(occur_time_us=T, registration=builders.a_registration("early"))
    await bench.apply(late, builders.a_click())

    await bench.apply(early, builders.a_click("click-2"))

    change = bench.outbox.changes[-1]
    assert change.new_image.scope.campaign_id == "early"
    assert change.old_image.scope.campaign_id == "late"
    assert {(f.engagement.act_id, f.is_repeated) for f in change.acts} == {
        ("click-1", True),
        ("click-2", False),
    }


@pytest.mark.parametrize("first", ["queued", "accepted", "together"])
async def test_the_accepted_message_supersedes_the_queued_one_in_any_order(
    bench: Bench, first: str
) -> None:
    """One reference is one message: it counts once, as what was handed over."""
    queued = builders.a_registered(words.EVENT_KIND_QUEUED)
    accepted = builders.a_registered(occur_time_us=T + 1)
    batches = {
        "queued": [[queued], [accepted]],
        "accepted": [[accepted], [queued]],
        "together": [[queued, accepted]],
    }[first]

    for batch in batches:
        await bench.apply(*batch)

    assert not (await bench.image_of(REF_KEY)).is_counted
    assert (await bench.image_of(KEY)).is_counted
    assert sum_of_deltas(bench.outbox.changes)["targeted"] == 1
    assert_versions_have_no_gaps(bench.outbox.changes)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_click_by_reference_reaches_the_message_that_stands_in_any_order(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """Tracked links know only the sender's reference; a click may be faster than any record."""
    events = [
        builders.a_registered(words.EVENT_KIND_QUEUED),
        builders.a_registered(occur_time_us=T + 1),
        a_click_by_ref(occur_time_us=T + 2),
    ]

    for n in order:
        await bench.apply(events[n])

    assert (await bench.image_of(KEY)).click_count == 1
    assert (await bench.image_of(REF_KEY)).click_count == 0
    assert sum_of_deltas(bench.outbox.changes)["clicks"] == 1


async def test_the_same_act_told_by_both_names_counts_once(bench: Bench) -> None:
    """A retry may name the message differently; it is still the same act."""
    await bench.apply(builders.a_registered(), a_click_by_ref())

    await bench.apply(builders.a_click(occur_time_us=T))

    assert (await bench.image_of(KEY)).click_count == 1


async def test_a_click_parks_until_its_record_comes(bench: Bench) -> None:
    """Nothing is dropped, and nobody's row is invented for it."""
    await bench.apply(a_click_by_ref())
    assert await bench.images() == {}

    await bench.apply(builders.a_registered())

    assert (await bench.image_of(KEY)).click_count == 1


async def test_an_event_without_a_message_is_kept_as_a_notice(bench: Bench) -> None:
    """Template and account updates belong to no message and are worth knowing."""
    notice = builders.an_event(
        words.EVENT_KIND_INFO, message_key=b"", provider_message_id="", provider_word="template"
    )

    await bench.apply(notice, notice)
    await bench.apply(notice)

    assert await bench.rows("SELECT count(*) FROM status.notices") == [(1,)]
    assert await bench.images() == {}


async def test_history_keeps_each_report_once_with_its_first_receipt(bench: Bench) -> None:
    """Providers retry for days; people want to read what happened, not how often it was told."""
    await bench.apply(builders.an_event(receive_time_us=T + 9))
    await bench.apply(builders.an_event(receive_time_us=T + 5))
    await bench.apply(builders.an_event(receive_time_us=T + 7))

    ((_, _, receive_us),) = (await bench.snapshot())["history"]
    assert receive_us == T + 5


async def test_quarantine_counts_receipts_and_not_redeliveries(bench: Bench) -> None:
    """The count says how often the provider sent it, not how often our broker did."""
    once = builders.a_quarantined(receive_time_us=T)
    again = builders.a_quarantined(receive_time_us=T + 1)

    await bench.apply(quarantined=[once])
    await bench.apply(quarantined=[once])
    await bench.apply(quarantined=[again, once])

    assert await bench.rows("SELECT count(*) FROM status.quarantine_receipts") == [(2,)]
    assert await bench.rows("SELECT receive_time_us FROM status.quarantine") == [(T,)]


async def _recounted(bench: Bench) -> object:
    total = sum_of_deltas([])
    for _, image in (await bench.images()).values():
        total.update(contribution(image))
    return total
