"""A person is a set of names: told in any order, what counted for several counts for one."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import CHANGE_CAUSE_CORRECTION, MessageChanged, MessageImage
from bluetick.v1.event_pb2 import Event

from libs.runtime.addresses import canonical_address
from libs.runtime.database import Database
from libs.runtime.keys import person_key
from libs.runtime.verdicts import TryAgain
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.domain.attribution import HOUR_US
from services.status.domain.people import united
from tests.status.machine import (
    Bench,
    CollectingOutbox,
    assert_versions_have_no_gaps,
    empty,
    make_bench,
    shuffled,
)
from tests.status.test_attribution import an_act, key_of

T = builders.TIME_US
PHONE, BSUID, NEW_PHONE = "+4915120000600", "DE.600600600", "+4915120000699"
MINUTE_US = 60_000_000


def a_message(
    name: str, address: str, *, at_us: int = T, campaign: str = "c", contact: str = ""
) -> Event:
    """A record as ingest makes it: without a contact's id the address is the person."""
    person = contact or canonical_address(address)
    told = builders.a_registration(
        campaign, contact_id=contact, person_key=person_key(builders.TENANT, person)
    )
    return builders.a_registered(
        provider_message_id=name,
        message_ref=f"ref-{name}",
        occur_time_us=at_us,
        address=address,
        registration=told,
    )


def a_join(*names: str, name: str = "", at_us: int = T + MINUTE_US, **fields: Any) -> Event:
    """A callback that tells several names of one person; without a message it is a notice."""
    if name:
        return builders.an_event(
            provider_message_id=name,
            address=names[0],
            also_known_as=names[1:],
            occur_time_us=at_us,
            **fields,
        )
    return builders.an_event(
        words.EVENT_KIND_INFO,
        provider_message_id="",
        message_key=b"",
        address=names[0],
        also_known_as=names[1:],
        occur_time_us=at_us,
        **fields,
    )


def people(images: Iterable[tuple[int, MessageImage]]) -> dict[str, dict[str, int]]:
    """People by campaign: targeted, reached, repliers, as a recount of what is stored."""
    sets: dict[tuple[str, str], set[bytes]] = {}
    for _, one in images:
        for what in _sets_of(one):
            sets.setdefault((one.scope.campaign_id, what), set()).add(one.person_key)
    return _counted(Counter({place: len(who) for place, who in sets.items()}))


def people_of_changes(changes: Iterable[MessageChanged]) -> dict[str, dict[str, int]]:
    """The same from signed changes, as other teams fold them."""
    members: dict[tuple[str, str], Counter[bytes]] = {}
    for change in changes:
        for one, sign in ((change.new_image, 1), (change.old_image, -1)):
            if sign > 0 or change.HasField("old_image"):
                for what in _sets_of(one):
                    place = members.setdefault((one.scope.campaign_id, what), Counter())
                    place[one.person_key] += sign
    for who in members.values():
        assert not [n for n in who.values() if n < 0]
    return _counted(
        Counter({place: sum(n > 0 for n in who.values()) for place, who in members.items()})
    )


def _sets_of(one: MessageImage) -> list[str]:
    if not one.is_counted:
        return []
    is_reached = one.state >= words.MESSAGE_STATE_DELIVERED
    replied = ["repliers"] if is_reached and one.reply_count else []
    left = ["left"] if one.unsubscribe_time_us else []
    return ["targeted", *(["reached"] if is_reached else []), *replied, *left]


def _counted(found: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    told: dict[str, dict[str, int]] = {}
    for (campaign, what), number in found.items():
        if number:
            told.setdefault(campaign, {})[what] = number
    return told


async def counted(bench: Bench) -> dict[str, int]:
    """People of the campaign ``c``; the changes must say the same as the rows."""
    stored = people((await bench.images()).values())
    assert people_of_changes(bench.outbox.changes) == stored
    assert_versions_have_no_gaps(bench.outbox.changes)
    return stored.get("c", {})


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::6])
async def test_a_phone_and_a_user_id_are_one_person_in_any_order(
    bench: Bench, order: tuple[int, ...]
) -> None:
    """A reply and a stop by the user id alone, and a message sent to the user id alone."""
    events = [
        a_message("X", PHONE),
        a_message("Z", BSUID, at_us=T - HOUR_US),
        a_join(PHONE, BSUID, name="X"),
        an_act("r1", T + 2 * MINUTE_US, address=BSUID),
        an_act("r1/s", T + 3 * MINUTE_US, address=BSUID, kind=words.EVENT_KIND_UNSUBSCRIBED),
    ]

    for n in order:
        await bench.apply(events[n])

    assert await counted(bench) == {"targeted": 1, "reached": 1, "repliers": 1, "left": 1}
    assert (await bench.image_of(key_of("X"))).reply_count == 1


async def test_a_join_moves_what_was_counted_as_signed_corrections(bench: Bench) -> None:
    """Both campaigns of other teams must learn who it was, from the changes alone."""
    await bench.apply(a_message("X", PHONE), a_message("Y", BSUID), a_join(PHONE, name="X"))
    assert (await counted(bench))["targeted"] == 2
    before = len(bench.outbox.changes)

    await bench.apply(a_join(BSUID, PHONE))

    moved = bench.outbox.changes[before:]
    assert await counted(bench) == {"targeted": 1, "reached": 1}
    assert {change.cause for change in moved} == {CHANGE_CAUSE_CORRECTION}
    one = min(person_key(builders.TENANT, name) for name in (PHONE, BSUID))
    assert {change.new_image.person_key for change in moved} == {one}
    assert len(moved) == 1, "who is called rightly already is not told of"


async def test_acts_counted_before_are_told_again_under_the_joined_person(bench: Bench) -> None:
    """Clickers of a link are people, too."""
    await bench.apply(a_message("X", PHONE), a_message("Y", BSUID))
    await bench.apply(
        builders.a_click("k1", provider_message_id="X"),
        builders.a_click("k2", provider_message_id="Y"),
    )
    before = len(bench.outbox.changes)

    await bench.apply(a_join(PHONE, BSUID))

    acts = [act for change in bench.outbox.changes[before:] for act in change.acts]
    assert [act.is_repeated for act in acts] == [True]


async def test_the_senders_own_word_on_who_is_one_person_stands(bench: Bench) -> None:
    """Two contacts that share a phone stay two; their replies are found by any name."""
    await bench.apply(
        a_message("X", PHONE, contact="ann"),
        a_message("Y", PHONE, at_us=T + 9, contact="bob"),
        a_join(PHONE, BSUID),
        an_act("r1", T + MINUTE_US, address=BSUID),
    )

    assert await counted(bench) == {"targeted": 2, "reached": 1, "repliers": 1}
    assert (await bench.image_of(key_of("Y"))).reply_count == 1


async def test_dropped_and_failed_messages_count_for_the_joined_person(bench: Bench) -> None:
    """Who was targeted is a person, whatever became of the message."""
    dropped = builders.a_registered(
        words.EVENT_KIND_DROPPED,
        message_ref="ref-d",
        address=BSUID,
        registration=builders.a_registration(
            "c", contact_id="", person_key=person_key(builders.TENANT, BSUID)
        ),
    )
    failure = builders.a_failure(provider_message_id="X", occur_time_us=T + 5)
    await bench.apply(a_message("X", PHONE), failure, dropped)
    assert (await counted(bench))["targeted"] == 2

    await bench.apply(a_join(PHONE, BSUID))

    assert await counted(bench) == {"targeted": 1}


async def test_a_reply_told_by_two_names_is_one_reply(bench: Bench) -> None:
    """A provider that retries may call the person by the other name."""
    await bench.apply(a_message("X", PHONE))
    await bench.apply(an_act("r1", T + 50, address=PHONE))
    await bench.apply(an_act("r1", T + 40, address=BSUID))

    await bench.apply(a_join(PHONE, BSUID))

    seen = await bench.image_of(key_of("X"))
    assert (seen.reply_count, seen.reply_time_us) == (1, T + 40)
    assert people_of_changes(bench.outbox.changes)["c"]["repliers"] == 1


async def test_our_own_number_joins_nobody(bench: Bench) -> None:
    """Else all who write to it would be one person."""
    ours = "+4915100000000"
    await bench.apply(a_message("X", PHONE), a_message("Y", NEW_PHONE))

    await bench.apply(
        a_join(PHONE, ours, own_address=ours), a_join(NEW_PHONE, ours, own_address=ours)
    )

    assert (await counted(bench))["targeted"] == 2


async def test_no_name_is_kept_in_clear(bench: Bench) -> None:
    """Neither where names are joined nor in what is kept of the callback that told them."""
    await bench.apply(a_message("X", PHONE), a_join(PHONE, BSUID, name="X"), a_join(PHONE, BSUID))

    assert await bench.rows("SELECT count(*) FROM status.names") == [(2,)]
    assert all(len(key) == 16 for row in await bench.rows("SELECT * FROM status.names")
               for key in (row[0], row[2]))  # fmt: skip
    kept = await bench.rows("SELECT history FROM status.messages")
    kept += await bench.rows("SELECT event FROM status.notices")
    assert not [row for row in kept if BSUID.encode() in row[0]]


async def test_another_tenant_joins_other_people(bench: Bench) -> None:
    """The same names under two tenants have nothing to do with one another."""
    await bench.apply(a_message("X", PHONE), a_message("Y", BSUID))

    await bench.apply(a_join(PHONE, BSUID, tenant_id="other"))

    assert (await counted(bench))["targeted"] == 2


def test_people_are_called_by_the_smallest_key_of_their_set() -> None:
    """Whatever the order of the pairs; a second way to the same answer."""
    chance = random.Random(7)
    for _ in range(200):
        keys = [bytes((n,)) for n in range(10)]
        pairs = [chance.sample(keys, 2) for _ in range(chance.randrange(9))]
        sets = [{key} for key in keys]
        for pair in pairs:
            hit = [one for one in sets if one & set(pair)]
            sets = [one for one in sets if not one & set(pair)] + [set().union(*hit)]
        expected = {key: min(one) for one in sets for key in one if key != min(one)}

        assert united(pairs) == expected


class Story:
    """Random names, joins, messages, reports and acts; the truth worked out from plain names."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        phones = [f"+49151200006{n:02}" for n in range(6)]
        ids = [f"DE.{n}00" for n in range(6)]
        self.names = phones + ids
        self.joins = [tuple(chance.sample(self.names, chance.choice((2, 2, 3)))) for _ in range(6)]
        self.events: list[Event] = []
        self.sends: list[tuple[str, str, str, int, str]] = []
        self.failed: set[str] = set()
        self.delivered: set[str] = set()
        self.acts: dict[str, tuple[str, int]] = {}
        for n in range(16):
            name, to = f"m{n}", chance.choice(self.names)
            contact = chance.choice(("", "", "", "ann", "bob"))
            at_us = T + n * 13 * MINUTE_US
            campaign = chance.choice("cd")
            self.sends.append((name, to, contact, at_us, campaign))
            self.events.append(a_message(name, to, at_us=at_us, campaign=campaign, contact=contact))
            if chance.random() < 0.3:
                self.failed.add(name)
                told = builders.a_failure(provider_message_id=name, occur_time_us=at_us + 5)
                self.events.append(told)
            elif chance.random() < 0.5:
                self.delivered.add(name)
                self.events.append(
                    builders.an_event(provider_message_id=name, occur_time_us=at_us + 5)
                )
        for n in range(14):
            by, at_us = chance.choice(self.names), T + chance.randrange(240) * MINUTE_US + 7
            self.acts[f"a{n}"] = by, at_us
            self.events.append(an_act(f"a{n}", at_us, address=by))
        for n, names in enumerate(self.joins):
            at = {"name": f"m{n}"} if chance.random() < 0.3 else {}
            if at:
                self.delivered.add(f"m{n}")
                self.failed.discard(f"m{n}")
            self.events.append(a_join(*names, at_us=T + n, **at))

    def truth(self) -> dict[str, dict[str, int]]:
        """People by campaign."""
        parent = {name: name for name in self.names}

        def find(name: str) -> str:
            while parent[name] != name:
                name = parent[name]
            return name

        for first, *others in self.joins:
            for other in others:
                parent[find(other)] = find(first)
        replied: set[str] = set()
        for by, at_us in self.acts.values():
            before = [
                (sent_us, key_of(name), name)
                for name, to, _, sent_us, _ in self.sends
                if find(to) == find(by) and sent_us <= at_us and name not in self.failed
            ]
            if before:
                replied.add(max(before)[2])
        sets: dict[str, dict[str, set[str]]] = {}
        for name, to, contact, _, campaign in self.sends:
            who = f"contact {contact}" if contact else find(to)
            place = sets.setdefault(campaign, {})
            place.setdefault("targeted", set()).add(who)
            if name in self.delivered or name in replied:
                place.setdefault("reached", set()).add(who)
            if name in replied:
                place.setdefault("repliers", set()).add(who)
        return {c: {what: len(who) for what, who in of.items()} for c, of in sets.items()}


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_of_names_messages_and_acts_gives_the_people_of_the_oracle(
    bench: Bench, seed: int
) -> None:
    """Joins before, between and after what they join, in batches of any size, some repeated."""
    story = Story(seed)
    chance = random.Random(seed + 1_000)
    told = shuffled(story.events + chance.sample(story.events, 12), seed)

    while told:
        size = chance.choice((1, 1, 2, 5, 20))
        await bench.apply(*told[:size])
        del told[:size]

    assert people((await bench.images()).values()) == story.truth()
    assert people_of_changes(bench.outbox.changes) == story.truth()
    assert_versions_have_no_gaps(bench.outbox.changes)


@pytest.mark.parametrize("seed", range(3))
async def test_every_order_ends_in_the_same_rows(
    bench: Bench, database: Database, seed: int
) -> None:
    """Also those rows that nobody counts."""
    story = Story(seed)
    await bench.apply(*story.events)
    expected = await bench.snapshot()
    await empty(database)
    other = make_bench(database, CollectingOutbox(database), bench.clock)

    for event in shuffled(story.events, seed + 5):
        await other.apply(event)

    assert await other.snapshot() == expected


@pytest.mark.parametrize("seed", range(3))
async def test_replicas_that_hear_names_and_messages_at_one_moment_agree(
    database: Database, clock: ManualClock, seed: int
) -> None:
    """Of a join and a record at one moment, the later one finds the other."""
    story = Story(seed + 50)
    replicas = [make_bench(database, CollectingOutbox(database), clock) for _ in range(3)]
    parts: list[list[Event]] = [shuffled(story.events, seed)[n::3] for n in range(3)]

    async def work(bench: Bench, events: Sequence[Event]) -> None:
        for start in range(0, len(events), 3):
            await bench.apply(*events[start : start + 3])

    await asyncio.gather(*map(work, replicas, parts))

    changes = [change for one in replicas for change in one.outbox.changes]
    assert people((await replicas[0].images()).values()) == story.truth()
    assert people_of_changes(changes) == story.truth()


async def test_a_redelivery_finishes_what_a_crash_left(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are joined, and then the process ends: what they join must still be moved."""
    await bench.apply(a_message("X", PHONE), a_message("Y", BSUID))
    crashing = make_bench(database, CollectingOutbox(database), bench.clock)

    async def crash(*_: object) -> None:
        raise TryAgain("killed")

    monkeypatch.setattr(crashing.use_case._follow_up, "_rename", crash)
    with pytest.raises(TryAgain):
        await crashing.apply(a_join(PHONE, BSUID))
    assert await bench.rows("SELECT count(*) FROM status.names WHERE is_settled") == [(0,)]

    await bench.apply(a_join(PHONE, BSUID))

    assert (await counted(bench))["targeted"] == 1
    assert await bench.rows("SELECT count(*) FROM status.names WHERE is_settled") == [(2,)]
