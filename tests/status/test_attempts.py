"""A reference is a message, an id an attempt: the one that got furthest stands, in any order."""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import MessageChanged, MessageImage
from bluetick.v1.event_pb2 import Event
from bluetick.v1.message_service_pb2 import GetMessageRequest

from libs.runtime.database import Database
from libs.runtime.keys import message_key, ref_key
from libs.testkit import builders
from services.status.adapters.readers import MessageRows
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
REF = "ref-1"


class Attempt(NamedTuple):
    """One send under a reference, told by its record and by reports."""

    ref: str
    provider: str
    id: str
    accept_us: int

    @property
    def key(self) -> bytes:
        return message_key(builders.TENANT, self.provider, self.id)

    @property
    def of(self) -> dict[str, str]:
        return {"provider": self.provider, "provider_message_id": self.id}

    def record(self, channel: int = words.CHANNEL_WHATSAPP, **fields: str) -> Event:
        registration = builders.a_registration(channel=channel, **fields)
        return builders.a_registered(
            message_ref=self.ref,
            occur_time_us=self.accept_us,
            registration=registration,
            **self.of,
        )

    def report(self, kind: int, time_us: int) -> Event:
        if kind == words.EVENT_KIND_UNDELIVERED:
            return builders.a_failure(occur_time_us=time_us, **self.of)
        if kind == words.EVENT_KIND_REPLIED:
            return builders.a_reply(f"r-{time_us}", occur_time_us=time_us, **self.of)
        return builders.an_event(kind, occur_time_us=time_us, **self.of)


def a_click_by_ref(ref: str, act_id: str, time_us: int) -> Event:
    return builders.a_click(
        act_id,
        provider="",
        account="",
        provider_message_id="",
        message_ref=ref,
        message_key=ref_key(builders.TENANT, ref),
        occur_time_us=time_us,
    )


WHATSAPP = Attempt(REF, "meta", "wamid.1", T)
SMS = Attempt(REF, "twilio", "SM1", T + 60_000_000)

REPORTS = (
    words.EVENT_KIND_SENT,
    words.EVENT_KIND_UNDELIVERED,
    words.EVENT_KIND_DELIVERED,
    words.EVENT_KIND_READ,
    words.EVENT_KIND_REPLIED,
)
# How far a report gets an attempt, written down apart from the product.
REACH = {
    words.EVENT_KIND_SENT: 1,
    words.EVENT_KIND_UNDELIVERED: 2,
    words.EVENT_KIND_DELIVERED: 3,
    words.EVENT_KIND_REPLIED: 3,
    words.EVENT_KIND_READ: 4,
}


def stories(chance: random.Random, count: int) -> list[Event]:
    """References with none to four attempts, some queued first, some with acts by reference."""
    events: list[Event] = []
    for n in range(count):
        ref = f"ref-{n}"
        if chance.random() < 0.3:
            kind = chance.choice((words.EVENT_KIND_QUEUED, words.EVENT_KIND_DROPPED))
            events.append(builders.a_registered(kind, message_ref=ref, occur_time_us=T - 5))
        for m in range(chance.choice((0, 1, 1, 2, 2, 3, 4))):
            one = Attempt(
                ref, chance.choice(("meta", "twilio")), f"{n}.{m}", T + chance.randrange(3)
            )
            events.append(one.record(chance.choice((words.CHANNEL_WHATSAPP, words.CHANNEL_SMS))))
            for kind in chance.sample(REPORTS, chance.choice((0, 1, 1, 2))):
                events.append(one.report(kind, T + 10 + chance.randrange(100)))
        for m in range(chance.choice((0, 0, 1, 3))):
            events.append(a_click_by_ref(ref, f"click-{n}-{m}", T + 200 + m))
    return events


class Truth(NamedTuple):
    """What must come out, by reference."""

    standing: dict[str, bytes]
    attempts: dict[str, int]
    clicks: dict[str, int]


def truth(events: Iterable[Event]) -> Truth:
    """Work out who stands from the story alone: a second way to the same answer."""
    accepted: dict[str, dict[bytes, int]] = defaultdict(dict)
    queued: set[str] = set()
    reach: Counter[bytes] = Counter()
    clicks: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.HasField("registration"):
            if event.provider_message_id:
                accepted[event.message_ref][event.message_key] = event.occur_time_us
            else:
                queued.add(event.message_ref)
        elif event.message_ref:
            clicks[event.message_ref].add(event.engagement.act_id)
        else:
            reach[event.message_key] = max(reach[event.message_key], REACH[event.kind])
    standing = {ref: ref_key(builders.TENANT, ref) for ref in queued}
    for ref, found in accepted.items():
        ranked = sorted(found, key=lambda key: (-reach[key], found[key], key))
        standing[ref] = ranked[0]
    return Truth(
        standing,
        {ref: len(accepted.get(ref, ())) for ref in standing},
        {ref: len(clicks.get(ref, ())) for ref in standing},
    )


def assert_true(expected: Truth, images: dict[bytes, tuple[int, MessageImage]]) -> None:
    counted = {one.message_ref: (key, one) for key, (_, one) in images.items() if one.is_counted}
    assert {ref: key for ref, (key, _) in counted.items()} == expected.standing
    assert sum(one.is_counted for _, one in images.values()) == len(expected.standing)
    assert {ref: one.attempt_count for ref, (_, one) in counted.items()} == expected.attempts
    assert {ref: one.click_count for ref, (_, one) in counted.items()} == expected.clicks


def recount(images: Iterable[tuple[int, MessageImage]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, image in images:
        total.update(contribution(image))
    return Counter({name: number for name, number in total.items() if number})


def last_images(changes: Iterable[MessageChanged]) -> dict[bytes, tuple[int, MessageImage]]:
    last: dict[bytes, tuple[int, MessageImage]] = {}
    for change in changes:
        if change.version > last.get(change.message_key, (0, None))[0]:
            last[change.message_key] = (change.version, change.new_image)
    return last


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_repeats_and_split_leave_the_same_attempt_standing(
    bench: Bench, database: Database, seed: int
) -> None:
    """Law 1 over attempts: a maximum, whatever came first, however often, in whichever batch."""
    chance = random.Random(seed)
    events = stories(chance, 25)
    await bench.apply(*events)
    expected = await bench.snapshot()
    assert_true(truth(events), await bench.images())
    await empty(database)
    other = make_bench(database, CollectingOutbox(database), bench.clock)
    told = chance.sample(events, len(events)) + chance.sample(events, len(events) // 2)

    while told:
        size = chance.choice((1, 2, 7, 30))
        await other.apply(*told[:size])
        del told[:size]

    assert await other.snapshot() == expected
    images = await other.images()
    assert_versions_have_no_gaps(other.outbox.changes)
    assert last_images(other.outbox.changes) == images
    assert sum_of_deltas(other.outbox.changes) == recount(images.values())


@pytest.mark.parametrize("seed", range(4))
async def test_two_replicas_at_once_agree_on_who_stands(
    bench: Bench, database: Database, seed: int
) -> None:
    """Attempts of one reference are told on several replicas at the same moment."""
    chance = random.Random(100 + seed)
    events = stories(chance, 12)
    await bench.apply(*events)
    expected = await bench.snapshot()
    await empty(database)
    replicas = [make_bench(database, CollectingOutbox(database), bench.clock) for _ in range(3)]

    async def work(replica: Bench, told: list[Event]) -> None:
        while told:
            size = chance.choice((1, 2, 5))
            batch, told = told[:size], told[size:]
            await replica.apply(*batch)

    shares = [chance.sample(events, len(events)) for _ in replicas]
    await asyncio.gather(*map(work, replicas, shares))

    assert await bench.snapshot() == expected
    assert_true(truth(events), await bench.images())
    changes = [change for replica in replicas for change in replica.outbox.changes]
    assert_versions_have_no_gaps(changes)
    assert sum_of_deltas(changes) == recount((await bench.images()).values())


async def test_a_repeat_of_settled_attempts_writes_nothing_and_says_nothing(bench: Bench) -> None:
    events = stories(random.Random(7), 30)
    await bench.apply(*events)
    before, told = await bench.snapshot(), len(bench.outbox.changes)
    stored = await bench.rows("SELECT xmin::text, message_key FROM status.messages ORDER BY 2")

    await bench.apply(*events)

    assert await bench.snapshot() == before
    assert len(bench.outbox.changes) == told
    again = await bench.rows("SELECT xmin::text, message_key FROM status.messages ORDER BY 2")
    assert again == stored


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_a_fallback_is_one_message_that_arrived_on_its_channel(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """WhatsApp failed, then the SMS came through: counters follow the attempt that stands."""
    events = [
        WHATSAPP.record(),
        WHATSAPP.report(words.EVENT_KIND_UNDELIVERED, T + 9),
        SMS.record(words.CHANNEL_SMS),
        SMS.report(words.EVENT_KIND_DELIVERED, T + 99_000_000),
    ]

    for n in order:
        await bench.apply(events[n])

    image = await bench.image_of(SMS.key)
    assert (image.is_counted, image.state) == (True, words.MESSAGE_STATE_DELIVERED)
    assert (image.scope.channel, image.attempt_count) == (words.CHANNEL_SMS, 2)
    assert not (await bench.image_of(WHATSAPP.key)).is_counted
    assert sum_of_deltas(bench.outbox.changes) == {
        "targeted": 1,
        f"state {words.MESSAGE_STATE_DELIVERED}": 1,
    }


async def test_a_click_by_reference_does_not_decide_who_stands(bench: Bench) -> None:
    """It is counted on whoever stands, so it would hold its own place."""
    events = [
        WHATSAPP.record(),
        a_click_by_ref(REF, "click-1", T + 5),
        SMS.record(words.CHANNEL_SMS),
        SMS.report(words.EVENT_KIND_SENT, T + 7),
    ]

    for event in events:
        await bench.apply(event)

    assert (await bench.image_of(SMS.key)).click_count == 1
    assert (await bench.image_of(WHATSAPP.key)).click_count == 0


@pytest.mark.parametrize("seed", range(12))
async def test_a_record_under_two_references_is_an_attempt_for_that_of_its_earlier_record(
    bench: Bench, seed: int
) -> None:
    """A contradiction does not take a message out of a campaign, nor count it twice."""
    other = Attempt("ref-2", "meta", "wamid.2", T + 1)
    events = [
        WHATSAPP.record(),
        WHATSAPP._replace(ref="ref-2", accept_us=T + 50).record(),
        other.record(),
        SMS.record(words.CHANNEL_SMS),
        SMS.report(words.EVENT_KIND_DELIVERED, T + 99_000_000),
    ]

    for event in shuffled(events, seed):
        await bench.apply(event)

    counted = {key for key, (_, one) in (await bench.images()).items() if one.is_counted}
    assert counted == {SMS.key, other.key}
    assert sum_of_deltas(bench.outbox.changes)["targeted"] == 2


async def test_a_message_without_a_second_attempt_is_not_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its costs are those of its reference: no transaction beside its own."""
    monkeypatch.setattr("services.status.follow_up.settle_attempts", None)

    await bench.apply(
        builders.a_registered(words.EVENT_KIND_QUEUED, message_ref=REF),
        WHATSAPP.record(),
        WHATSAPP.report(words.EVENT_KIND_READ, T + 9),
        a_click_by_ref(REF, "click-1", T + 5),
    )

    assert (await bench.image_of(WHATSAPP.key)).click_count == 1


@pytest.mark.parametrize(
    "named",
    [
        {"message_ref": REF},
        {"provider": "meta", "provider_message_id": "wamid.1"},
        {"provider": "twilio", "provider_message_id": "SM1"},
    ],
)
async def test_the_message_shows_all_its_attempts(
    bench: Bench, database: Database, named: dict[str, str]
) -> None:
    """Whichever of its names was asked for."""
    await bench.apply(
        WHATSAPP.record(),
        WHATSAPP.report(words.EVENT_KIND_UNDELIVERED, T + 9),
        SMS.record(words.CHANNEL_SMS),
        SMS.report(words.EVENT_KIND_DELIVERED, T + 99_000_000),
    )

    found = await get_message(
        MessageRows(database), builders.TENANT, GetMessageRequest(**named), is_address_shown=False
    )

    assert (found.provider, found.state) == ("twilio", words.MESSAGE_STATE_DELIVERED)
    assert found.message_ref == REF
    sms, whatsapp = found.attempts
    assert (sms.provider_message_id, sms.channel, sms.is_standing) == (
        "SM1",
        words.CHANNEL_SMS,
        True,
    )
    assert (whatsapp.provider, whatsapp.state) == ("meta", words.MESSAGE_STATE_UNDELIVERED)
    assert (whatsapp.failure.provider_code, whatsapp.is_standing) == ("131026", False)
    assert whatsapp.milestones.undeliver_time.ToMicroseconds() == T + 9
    assert len(found.history) == 4


async def test_each_attempt_shows_what_it_cost(bench: Bench, database: Database) -> None:
    """Of a journey that went on by SMS both are paid; the message shows the one that stands."""

    def priced(one: Attempt, kind: int, nanos: int) -> Event:
        report = one.report(kind, T + 99_000_000)
        report.pricing.price.CopyFrom(words.Money(currency_code="EUR", nanos=nanos))
        return report

    await bench.apply(
        WHATSAPP.record(),
        priced(WHATSAPP, words.EVENT_KIND_UNDELIVERED, 90_000_000),
        SMS.record(words.CHANNEL_SMS),
        priced(SMS, words.EVENT_KIND_DELIVERED, 70_000_000),
    )

    request = GetMessageRequest(message_ref=REF)
    found = await get_message(
        MessageRows(database), builders.TENANT, request, is_address_shown=False
    )

    assert [one.pricing.price.nanos for one in found.attempts] == [70_000_000, 90_000_000]
    assert found.pricing.price.nanos == 70_000_000


async def test_the_only_attempt_is_told_by_the_message_itself(
    bench: Bench, database: Database
) -> None:
    await bench.apply(WHATSAPP.record())

    found = await get_message(
        MessageRows(database),
        builders.TENANT,
        GetMessageRequest(message_ref=REF),
        is_address_shown=False,
    )

    assert (found.provider_message_id, len(found.attempts)) == ("wamid.1", 0)


@pytest.mark.parametrize("seed", range(3))
async def test_of_too_many_attempts_some_are_compared_and_the_others_never_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whoever writes one reference on everything must not make its row grow without end."""
    for module in ("domain.refs", "resolve_refs"):
        monkeypatch.setattr(f"services.status.{module}.ATTEMPTS_MAX", 3)
    attempts = [Attempt(REF, "meta", f"wamid.{n}", T + n) for n in range(8)]
    compared = sorted(attempts, key=lambda one: one.key)[:3]
    events = [one.record() for one in attempts]
    events += [one.report(words.EVENT_KIND_DELIVERED, T + 50) for one in attempts[4:]]

    for event in shuffled(events, seed):
        await bench.apply(event)

    ranked = sorted(compared, key=lambda one: (one not in attempts[4:], one.accept_us, one.key))
    images = await bench.images()
    assert [key for key, (_, one) in images.items() if one.is_counted] == [ranked[0].key]
    assert images[ranked[0].key][1].attempt_count == 3
    assert sum_of_deltas(bench.outbox.changes)["targeted"] == 1
    assert_versions_have_no_gaps(bench.outbox.changes)
