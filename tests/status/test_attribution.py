"""Replies that quote nothing: on the last message sent to that address, in any order."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import MessageChanged
from bluetick.v1.event_pb2 import Event

from libs.runtime.broker import BrokerUnavailable
from libs.runtime.consumer import TryAgain
from libs.runtime.database import Database
from libs.runtime.keys import message_key
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.message_store import MessageStore
from services.status.adapters.readers import MessageRows
from services.status.domain.acts import Act
from services.status.domain.attribution import HOUR_US, PlacedAct
from services.status.domain.origins import may_answer, origin
from services.status.ports import OutboxEntry
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
WINDOW_US = 72 * HOUR_US
PHONES = ("+14155550101", "+5531988887777", "ann@example.com")
# The same people as providers report them.
REPORTED = ("whatsapp:+14155550101", "553188887777", "Ann@Example.com")


def a_send(name: str, at_us: int, *, address: str = PHONES[0], campaign: str = "") -> Event:
    """A record of an accepted message."""
    return builders.a_registered(
        provider_message_id=name,
        message_ref=f"ref-{name}",
        occur_time_us=at_us,
        address=address,
        registration=builders.a_registration(campaign or f"campaign-{name}"),
    )


def an_act(
    act_id: str,
    at_us: int,
    *,
    address: str = PHONES[0],
    kind: words.EventKind.ValueType = words.EVENT_KIND_REPLIED,
    **engagement: Any,
) -> Event:
    """What a person did, told without a message."""
    return builders.an_event(
        kind,
        provider_message_id="",
        message_key=b"",
        address=address,
        occur_time_us=at_us,
        engagement=builders.an_engagement(act_id, **engagement),
    )


def key_of(name: str, provider: str = builders.PROVIDER) -> bytes:
    return message_key(builders.TENANT, provider, name)


async def replies(bench: Bench) -> dict[str, int]:
    """Replies by the name of the message, without zeros."""
    images = await bench.images()
    named = {key_of(name): name for name in "XYZ"}
    return {named[key]: seen.reply_count for key, (_, seen) in images.items() if seen.reply_count}


async def test_a_reply_belongs_to_the_last_message_sent_before_it(bench: Bench) -> None:
    """Campaigns X and Y went to one person, who answers: that is an answer to Y."""
    await bench.apply(a_send("X", T), a_send("Y", T + HOUR_US))

    await bench.apply(an_act("r1", T + 2 * HOUR_US))

    assert await replies(bench) == {"Y": 1}
    assert await bench.rows("SELECT count(*) FROM status.notices") == [(1,)]


async def test_who_was_sent_nothing_answers_nothing(bench: Bench) -> None:
    """Somebody who just writes is no reply to any campaign."""
    await bench.apply(a_send("X", T))

    await bench.apply(an_act("r1", T + 1, address="+14155550199"), an_act("r2", T + 2, address=""))

    assert await replies(bench) == {}


@pytest.mark.parametrize(
    ("at_us", "expected"),
    [(T - 1, {}), (T, {"X": 1}), (T + WINDOW_US, {"X": 1}), (T + WINDOW_US + 1, {})],
)
async def test_the_window_begins_with_the_send_and_ends_with_its_last_moment(
    bench: Bench, at_us: int, expected: dict[str, int]
) -> None:
    """Nobody answers before they were asked, or for ever after."""
    await bench.apply(a_send("X", T), an_act("r1", at_us))

    assert await replies(bench) == expected


async def test_a_window_of_0_attributes_nothing(database: Database, clock: ManualClock) -> None:
    """Who wants quoted replies only can have that."""
    bench = make_bench(database, CollectingOutbox(database), clock, reply_window_us=0)

    await bench.apply(a_send("X", T), an_act("r1", T + 1))

    assert await replies(bench) == {}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_every_order_of_two_sends_and_two_replies_ends_alike(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """Records come late; replies do not wait for them."""
    events = [a_send("X", T), a_send("Y", T + 100), an_act("r1", T + 50), an_act("r2", T + 150)]

    for n in order:
        await bench.apply(events[n])

    assert await replies(bench) == {"X": 1, "Y": 1}
    await _assert_sums_are_the_recount(bench, bench.outbox.changes)


async def test_a_late_record_moves_the_reply_as_signed_changes(bench: Bench) -> None:
    """Both campaigns must hear of it: one loses exactly what the other gains."""
    await bench.apply(a_send("X", T), an_act("r1", T + 200, is_tap=True))
    before = len(bench.outbox.changes)

    await bench.apply(a_send("Y", T + 100))

    moved = {change.message_key: change for change in bench.outbox.changes[before:]}
    lost = moved[key_of("X")]
    assert (lost.old_image.reply_count, lost.new_image.reply_count) == (1, 0)
    assert (lost.old_image.tap_count, lost.new_image.tap_count) == (1, 0)
    assert lost.old_image.state == words.MESSAGE_STATE_DELIVERED
    assert lost.new_image.state == words.MESSAGE_STATE_ACCEPTED
    assert [(f.engagement.act_id, f.is_retracted) for f in lost.acts] == [("r1", True)]
    gained = bench.outbox.changes[-1] if moved[key_of("Y")].acts else moved[key_of("Y")]
    assert gained.new_image.reply_count == 1
    assert [(f.engagement.act_id, f.is_retracted) for f in gained.acts] == [("r1", False)]


async def test_a_person_is_found_under_every_way_of_writing_the_address(bench: Bench) -> None:
    """Brazil's ninth digit, a channel's prefix, capital letters."""
    for name, phone in zip("XYZ", PHONES, strict=True):
        await bench.apply(a_send(name, T, address=phone))

    for n, reported in enumerate(REPORTED):
        await bench.apply(an_act(f"r{n}", T + 1, address=reported))

    assert await replies(bench) == {"X": 1, "Y": 1, "Z": 1}


async def test_an_act_that_names_its_message_stays_there(bench: Bench) -> None:
    """A quote is better than a guess, even if the quoted message is not the last one."""
    await bench.apply(a_send("X", T), a_send("Y", T + 100))

    await bench.apply(builders.a_reply(provider_message_id="X", occur_time_us=T + 200))

    assert await replies(bench) == {"X": 1}


async def test_a_message_that_failed_is_not_what_a_reply_answers(bench: Bench) -> None:
    """Else every failed send to somebody who chats would count as delivered after all."""
    failure = builders.a_failure(provider_message_id="Y", occur_time_us=T + 101)
    await bench.apply(a_send("X", T), a_send("Y", T + 100), an_act("r1", T + 200))
    assert await replies(bench) == {"Y": 1}

    await bench.apply(failure)
    assert await replies(bench) == {"X": 1}
    failed = await bench.image_of(key_of("Y"))
    assert (failed.state, failed.is_recovered) == (words.MESSAGE_STATE_UNDELIVERED, False)

    await bench.apply(builders.an_event(provider_message_id="Y", occur_time_us=T + 102))
    assert await replies(bench) == {"Y": 1}


async def test_an_accepted_callback_with_an_earlier_time_moves_the_reply(bench: Bench) -> None:
    """The send is when the provider took it, and the provider may tell that later."""
    await bench.apply(a_send("X", T), a_send("Y", T + 300), an_act("r1", T + 200))
    assert await replies(bench) == {"X": 1}

    earlier = builders.an_event(
        words.EVENT_KIND_ACCEPTED, provider_message_id="Y", occur_time_us=T + 100
    )
    await bench.apply(earlier)

    assert await replies(bench) == {"Y": 1}
    await _assert_sums_are_the_recount(bench, bench.outbox.changes)


async def test_a_corrected_address_takes_its_replies_along(bench: Bench) -> None:
    """The earlier record stands, also if it names another person."""
    late = a_send("X", T + 9, address=PHONES[1])
    await bench.apply(late, an_act("r1", T + 20, address=PHONES[1]), an_act("r2", T + 21))
    assert await replies(bench) == {"X": 1}

    await bench.apply(a_send("X", T, address=PHONES[0]))

    assert await bench.rows(
        "SELECT act_id FROM status.address_acts WHERE message_key = $1", key_of("X")
    ) == [("r2",)]
    await _assert_sums_are_the_recount(bench, bench.outbox.changes)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_retried_act_counts_once_at_its_earliest_time(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """Twilio tells no time, so that each retry seems to have happened later."""
    tellings = [an_act("r1", T + 150), an_act("r1", T + 50), an_act("r1", T + 250)]
    await bench.apply(a_send("X", T), a_send("Y", T + 100))

    for n in order:
        await bench.apply(tellings[n])

    assert await replies(bench) == {"X": 1}
    assert (await bench.image_of(key_of("X"))).reply_time_us == T + 50
    await _assert_sums_are_the_recount(bench, bench.outbox.changes)


async def test_withdrawn_reactions_and_notices_are_attributed_to_nothing(bench: Bench) -> None:
    """Only what a person did counts."""
    await bench.apply(a_send("X", T))

    await bench.apply(
        an_act("r1", T + 1, is_withdrawn=True),
        an_act("i1", T + 2, kind=words.EVENT_KIND_INFO),
    )

    assert await bench.rows("SELECT count(*) FROM status.address_acts") == [(0,)]
    assert (await bench.image_of(key_of("X"))).state == words.MESSAGE_STATE_ACCEPTED


async def test_an_opt_out_without_a_quote_is_one_of_the_last_message(bench: Bench) -> None:
    """STOP is written to the number, not to a message."""
    await bench.apply(a_send("X", T))

    await bench.apply(
        an_act("r1", T + 5), an_act("r1/stop", T + 5, kind=words.EVENT_KIND_UNSUBSCRIBED)
    )

    seen = await bench.image_of(key_of("X"))
    assert (seen.reply_count, seen.unsubscribe_time_us) == (1, T + 5)


async def test_the_messages_history_tells_the_reply(bench: Bench, database: Database) -> None:
    """Whoever asks why a message counts a reply must see it."""
    await bench.apply(a_send("X", T), an_act("r1", T + 5))

    told = await MessageRows(database).history(builders.TENANT, [key_of("X")], 10)

    assert [entry.kind for _, entry in told] == [
        words.EVENT_KIND_ACCEPTED,
        words.EVENT_KIND_REPLIED,
    ]


class _BrokenOutbox(CollectingOutbox):
    """A broker that is away, so that the batch ends before its acts are attributed."""

    async def publish(self, entries: Sequence[OutboxEntry]) -> None:
        raise BrokerUnavailable("away")


@pytest.mark.parametrize("late", ["send", "act", "failure"])
async def test_a_redelivery_finishes_what_a_crash_left(
    bench: Bench, database: Database, clock: ManualClock, late: str
) -> None:
    """Attribution comes after the commit; a crash in between must not lose it."""
    events = {
        "send": [a_send("Y", T + 100)],
        # Its own message moves too, so that there is something to publish.
        "act": [an_act("r1", T + 200), builders.an_event(provider_message_id="Y")],
        "failure": [builders.a_failure(provider_message_id="Y", occur_time_us=T + 101)],
    }
    told = [a_send("X", T), a_send("Y", T + 100), an_act("r1", T + 200)]
    await bench.apply(*(e for e in told if not (late != "failure" and e in events[late])))
    crashing = make_bench(database, _BrokenOutbox(database), clock)
    with pytest.raises(TryAgain):
        await crashing.apply(*events[late])

    await bench.apply(*events[late])

    assert await replies(bench) == {"X" if late == "failure" else "Y": 1}


def a_chat(seed: int) -> list[Event]:
    """Sends, reports, acts, retries and contradictions around a few addresses."""
    chance = random.Random(seed)
    events: list[Event] = []
    for n in range(14):
        name, at_us = f"m{n}", T + chance.randrange(0, 200) * HOUR_US // 2
        phone = chance.choice(PHONES)
        of = {"provider_message_id": name}
        if chance.random() < 0.9:
            events.append(a_send(name, at_us, address=phone, campaign=f"c{n % 3}"))
        if chance.random() < 0.2:
            other = a_send(name, at_us + 7, address=chance.choice(PHONES))
            events.append(other)
        if chance.random() < 0.4:
            events.append(builders.a_failure(occur_time_us=at_us + 60, **of))
        if chance.random() < 0.5:
            events.append(builders.an_event(occur_time_us=at_us + 90, **of))
        if chance.random() < 0.3:
            early = at_us - chance.randrange(0, 9) * HOUR_US
            kind = words.EVENT_KIND_ACCEPTED
            events.append(builders.an_event(kind, occur_time_us=early, **of))
        if chance.random() < 0.3:
            events.append(builders.a_reply(f"own-{n}", occur_time_us=at_us + 120, **of))
    for n in range(16):
        kind = chance.choice(_ACT_KINDS)
        at_us = T + chance.randrange(0, 300) * HOUR_US // 2
        address = chance.choice(REPORTED)
        is_tap = kind == words.EVENT_KIND_REPLIED and chance.random() < 0.5
        for _ in range(chance.choice((1, 1, 2))):
            act = an_act(f"a{n}", at_us, address=address, kind=kind, is_tap=is_tap)
            events.append(act)
            at_us += chance.randrange(0, 60) * HOUR_US
    return events


_ACT_KINDS = (
    words.EVENT_KIND_REPLIED,
    words.EVENT_KIND_REPLIED,
    words.EVENT_KIND_CLICKED,
    words.EVENT_KIND_UNSUBSCRIBED,
    words.EVENT_KIND_RESUBSCRIBED,
    words.EVENT_KIND_COMPLAINED,
)


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_and_split_gives_one_attribution(
    bench: Bench, database: Database, seed: int
) -> None:
    """Law 1 for acts that name no message, and the sum of the deltas is the recount."""
    events = a_chat(seed)
    await bench.apply(*events)
    expected = await bench.snapshot()
    assert any(row[-1] for row in expected["address_acts"])
    await empty(database)
    chance = random.Random(seed)
    told = shuffled(events + chance.sample(events, len(events) // 3), seed)
    other = make_bench(database, CollectingOutbox(database), bench.clock)

    while told:
        size = chance.choice((1, 1, 2, 5))
        await other.apply(*told[:size])
        del told[:size]

    assert await other.snapshot() == expected
    await _assert_sums_are_the_recount(other, other.outbox.changes)


@pytest.mark.parametrize("seed", range(4))
async def test_replicas_that_hear_sends_and_replies_at_one_moment_agree(
    bench: Bench, database: Database, seed: int
) -> None:
    """A send and its reply may be handled at the same moment; one of the two finds the other."""
    events = a_chat(seed) + a_chat(seed + 100)
    await bench.apply(*events)
    expected = await bench.snapshot()
    await empty(database)
    replicas = [make_bench(database, CollectingOutbox(database), ManualClock()) for _ in range(3)]
    parts = [shuffled(events, seed)[n::3] for n in range(3)]

    async def work(replica: Bench, told: list[Event]) -> None:
        for start in range(0, len(told), 3):
            await replica.apply(*told[start : start + 3])

    await asyncio.gather(*(work(r, told) for r, told in zip(replicas, parts, strict=True)))

    changes = [change for replica in replicas for change in replica.outbox.changes]
    assert await bench.snapshot() == expected
    await _assert_sums_are_the_recount(bench, changes)


async def _assert_sums_are_the_recount(bench: Bench, changes: Sequence[MessageChanged]) -> None:
    assert_versions_have_no_gaps(changes)
    recount = sum_of_deltas([])
    for _, seen in (await bench.images()).values():
        recount.update(contribution(seen))
    assert sum_of_deltas(changes) == recount
    _assert_acts_are_the_acts_counted(changes)


def _assert_acts_are_the_acts_counted(changes: Sequence[MessageChanged]) -> None:
    """What came minus what was taken back is what the newest image of each message counts."""
    told: dict[bytes, dict[str, int]] = {}
    newest: dict[bytes, MessageChanged] = {}
    for change in sorted(changes, key=lambda c: c.version):
        newest[change.message_key] = change
        acts = told.setdefault(change.message_key, {})
        for act in change.acts:
            if act.kind == words.EVENT_KIND_REPLIED and not act.is_repeated:
                act_id = act.engagement.act_id
                acts[act_id] = acts.get(act_id, 0) + (-1 if act.is_retracted else 1)
    for key, change in newest.items():
        assert set(told[key].values()) <= {0, 1}
        assert sum(told[key].values()) == change.new_image.reply_count


ORIGINS = tuple(
    origin(channel, "meta", account, own)
    for channel in (0, words.CHANNEL_SMS, words.CHANNEL_WHATSAPP)
    for account in ("", "shop", "bank")
    for own in ("", "+14155550100", "001 415 555 0100", "+14155550111", "SHOP")
)


async def test_the_store_finds_the_last_send_that_an_act_may_answer(bench: Bench) -> None:
    """The rule in the store is the one in the code, for every pair of origins."""
    acts = {f"{n}": one for n, one in enumerate(ORIGINS)}
    address = b"a" * 16
    sends = [(builders.TENANT, address, T + n, bytes([n]) * 16, o) for n, o in enumerate(ORIGINS)]
    told = [
        PlacedAct(
            (builders.TENANT, address, name, b"f" * 16),
            Act(name, words.EVENT_KIND_REPLIED, T + 100, b"", False, False, False),
            b"",
            came_in,
        )
        for name, came_in in acts.items()
    ]
    async with bench.database.transaction() as connection:
        store = MessageStore(connection)
        await store.move_sends((), sends)
        found = await store.last_sends(told, WINDOW_US)

    for name, came_in in acts.items():
        last = [key for _, _, _, key, sent in sends if may_answer(came_in, sent)]
        assert found.get((builders.TENANT, address, name)) == (last[-1] if last else None)


@pytest.mark.parametrize(
    ("came_in", "is_answer"),
    [
        ({}, True),
        ({"channel": words.CHANNEL_WHATSAPP}, True),
        ({"channel": words.CHANNEL_SMS}, False),
        ({"account": "acct_2"}, False),
        ({"own_address": "+1 415 555 0100", "account": "acct_2"}, True),
        ({"own_address": "+14155550111"}, False),
        ({"own_address": "SHOP"}, True),
        ({"provider": "", "account": ""}, True),
    ],
)
async def test_only_what_came_in_where_the_message_went_out_answers_it(
    bench: Bench, came_in: dict[str, Any], is_answer: bool
) -> None:
    """An SMS is not answered by WhatsApp, and who writes to the shop does not answer the bank."""
    act = an_act("r1", T + 2)
    for field, value in came_in.items():
        setattr(act, field, value)

    await bench.apply(act)
    await bench.apply(a_send("X", T))

    assert await replies(bench) == ({"X": 1} if is_answer else {})


async def test_what_came_in_elsewhere_passes_over_later_sends(bench: Bench) -> None:
    """The last message of that channel is answered, not the last of all."""
    sms = builders.a_registration("campaign-Y", channel=words.CHANNEL_SMS)
    later = builders.a_registered(
        provider_message_id="Y", message_ref="ref-Y", occur_time_us=T + 1, registration=sms
    )
    act = an_act("r1", T + 2)
    act.channel = words.CHANNEL_WHATSAPP

    for events in ((act,), (later,), (a_send("X", T),)):
        await bench.apply(*events)

    assert await replies(bench) == {"X": 1}


async def test_an_advert_or_a_group_is_no_answer(bench: Bench) -> None:
    """Who saw an advert writes about the advert."""
    await bench.apply(a_send("X", T), an_act("r1", T + 2, answers_nothing="ADVERT"))

    assert await replies(bench) == {}


async def test_an_account_that_is_renamed_takes_its_answers_along(bench: Bench) -> None:
    """The account of a message is the smaller of two that are told, whichever came first."""
    renamed = builders.an_event(
        words.EVENT_KIND_SENT, provider_message_id="X", account="acct_0", occur_time_us=T + 1
    )
    act = an_act("r1", T + 2)
    act.account = "acct_0"

    await bench.apply(a_send("X", T), act)
    assert await replies(bench) == {}

    await bench.apply(renamed)
    assert await replies(bench) == {"X": 1}
