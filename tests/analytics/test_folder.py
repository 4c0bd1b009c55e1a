import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from bluetick.v1 import change_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.cells import Cells
from services.analytics.domain.counters import DISTINCT_NAMES, INDEX, STORED_NAMES
from services.analytics.domain.report import ChannelSums, Summed, report
from tests.analytics import fixture_a
from tests.analytics.building import (
    CAMPAIGN,
    HOUR,
    MINUTE,
    T0,
    Step,
    act,
    changes_of,
    image,
    registration,
)
from tests.analytics.folding import Folded
from tests.analytics.oracle import recount
from tests.analytics.stories import a_message, key_of, stories


def summed(folded: Folded, campaign_id: str = CAMPAIGN) -> Summed:
    tables = folded.tables()
    channels = {
        key[1]: ChannelSums(dict(row))
        for key, row in tables.get("totals", {}).items()
        if key[0] == campaign_id
    }
    distinct = dict.fromkeys(DISTINCT_NAMES, 0)
    for name in ("people", "link_pairs"):
        distinct.update(tables.get(name, {}).get((campaign_id,), {}))
    return Summed(channels, distinct)


def test_the_hand_counted_campaign_gives_its_hand_counted_numbers() -> None:
    """If these are off by one, everything built on them is."""
    counters = report(summed(Folded().add(fixture_a.changes()))).counters

    assert counters == fixture_a.EXPECTED


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_order_of_changes_sums_to_a_recount_of_the_final_messages(data: st.DataObject) -> None:
    """Law: incremental equals recomputed, in every table and under every dimension."""
    messages = data.draw(st.lists(stories(), min_size=1, max_size=5))
    changes = [change for at, steps in enumerate(messages) for change in a_message(at, steps)]
    shuffled = data.draw(st.permutations(changes))

    tables = Folded().add(shuffled).tables()

    assert tables == recount((key_of(at), steps) for at, steps in enumerate(messages))


@settings(max_examples=60, deadline=None)
@given(stories(), stories())
def test_a_change_takes_back_exactly_what_the_old_image_had_added(
    was: list[Step], now: list[Step]
) -> None:
    """Every field that is counted may differ: provider, dimensions, person, failure, acts."""
    steps = [was[-1], now[-1]]

    tables = Folded().add(a_message(0, steps)).tables()

    assert tables == recount([(key_of(0), steps)])


def _images(accept_us: int, report_us: int) -> Iterator[change_pb2.MessageImage | None]:
    """Return one image of each shape, and a message never seen."""
    yield None
    states = ("QUEUED", "DROPPED", "ACCEPTED", "SENT", "UNDELIVERED", "DELIVERED", "READ")
    flags = itertools.product(states, *[(False, True)] * 4)
    for state, is_counted, is_recovered, is_unsubscribed, is_seen in flags:
        yield image(
            state,
            is_counted=is_counted,
            is_recovered=is_recovered,
            queue_time_us=accept_us,
            drop_time_us=accept_us,
            accept_time_us=accept_us,
            undeliver_time_us=report_us,
            deliver_time_us=report_us,
            read_time_us=report_us if state == "READ" else 0,
            unsubscribe_time_us=report_us if is_unsubscribed else 0,
            evidence_time_us=report_us if is_seen else 0,
        )


@pytest.mark.parametrize("later", [0, MINUTE, HOUR])
def test_every_move_adds_exactly_new_minus_old(later: int) -> None:
    """Examples teach, exhaustion proves: all pairs of shapes, times standing still or moving."""
    who = registration("P1")
    was = [Step(one, who) if one else None for one in _images(T0 + later, T0 + HOUR + later)]
    now = [Step(one, who) if one else None for one in _images(T0, T0 + HOUR)]
    recounted = {id(step): _minutes(step) for step in (*was, *now)}
    for old, new in itertools.product(was, now):
        change = change_pb2.MessageChanged(
            message_key=b"1" * 16,
            version=2,
            old_image=old.image if old else None,
            new_image=new.image if new else None,
        )
        got = Counter[tuple[int, str]]()
        for key, row in Folded().add([change]).tables().get("minutes", {}).items():
            got.update({(key[1], name): n for name, n in row.items()})
        expected = Counter(recounted[id(new)])
        expected.subtract(recounted[id(old)])
        assert got == Counter({key: n for key, n in expected.items() if n}), change


def _minutes(step: Step | None) -> Counter[tuple[int, str]]:
    found = Counter[tuple[int, str]]()
    if step is not None:
        for key, row in recount([(b"1" * 16, [step])]).get("minutes", {}).items():
            found.update({(key[1], name): n for name, n in row.items()})
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(stories(), min_size=1, max_size=5))
def test_one_number_is_the_same_in_every_table(messages: list) -> None:
    """It may not depend on which table answered, nor on the clock."""
    changes = [c for at, steps in enumerate(messages) for c in a_message(at, steps)]
    folded = Folded().add(changes)
    tables = folded.tables()

    def sums(table: str, clock: int = 0) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for key, row in tables.get(table, {}).items():
            if not clock or key[1] == clock:
                found.setdefault(key[0], Counter()).update(row)
        kept = {name: Counter({k: n for k, n in row.items() if n}) for name, row in found.items()}
        return {name: row for name, row in kept.items() if row}

    assert sums("totals") == sums("minutes") == sums("quarters", 1) == sums("quarters", 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(stories(), min_size=1, max_size=5))
def test_the_causes_of_a_campaign_add_up_to_its_totals(messages: list) -> None:
    """What changed a number is told for every change, so that the reasons add up to it."""
    changes = [c for at, steps in enumerate(messages) for c in a_message(at, steps)]

    for cells in Folded().add(changes).cells().values():
        by_cause = [sum(column) for column in zip(*cells.causes.values(), strict=True)]
        rows = cells.sums.get("totals", {}).values()
        total = [sum(column) for column in zip(*rows, strict=True)]
        assert (by_cause or total) == (total or [0] * len(STORED_NAMES))


def test_failures_are_kept_by_stage_reason_channel_provider_and_code() -> None:
    """Reasons partition their parent: their sum is the counter."""
    tables = Folded().add(fixture_a.changes()).tables()

    # By the time of the send and by its own; the rows of one clock, without their quarter.
    told = Counter[tuple[object, ...]]()
    for (_, clock, *key, _), row in tables["failures"].items():
        told[clock, *key] += row["message_count"]
    by_send = {key[1:]: n for key, n in told.items() if key[0] == 2}
    assert {key[1:]: n for key, n in told.items() if key[0] == 1} == by_send
    assert by_send == {
        (1, 7, 1, "meta", ""): 1,
        (1, 11, 1, "meta", "130429"): 1,
        (2, 22, 1, "meta", "131049"): 1,
    }


def test_a_failure_that_moves_to_another_provider_leaves_nothing_behind() -> None:
    """Both images say which provider they mean: no cell goes to +1 and another to -1."""
    failed = image("UNDELIVERED", accept_time_us=T0, undeliver_time_us=T0, failure_code="1")
    who = registration("P1")
    steps = [Step(failed, who, provider="meta"), Step(failed, who, provider="twilio")]

    tables = Folded().add(changes_of(b"1" * 16, steps)).tables()

    assert {key[5]: row["message_count"] for key, row in tables["failures"].items()} == {
        "twilio": 1
    }


def test_a_reply_that_moves_to_another_campaign_leaves_exactly_nothing_behind() -> None:
    """A later send told late takes the reply along: as if the first campaign never had it."""
    reply = act("REPLIED", T0 + 5 * MINUTE, "r1", is_tap=True)
    accepted = image("ACCEPTED", accept_time_us=T0)
    answered = image(
        "DELIVERED",
        accept_time_us=T0,
        deliver_time_us=T0 + 5 * MINUTE,
        evidence_time_us=T0 + 5 * MINUTE,
        reply_count=1,
        reply_time_us=T0 + 5 * MINUTE,
        tap_count=1,
        tap_time_us=T0 + 5 * MINUTE,
    )
    first, second = registration("P1"), registration("P1", campaign_id="autumn")
    lost = [Step(accepted, first), Step(answered, first, [reply]), Step(accepted, first)]
    gained = [Step(accepted, second), Step(answered, second, [reply])]
    moved, come = changes_of(b"1" * 16, lost), changes_of(b"2" * 16, gained)

    tables = Folded().add([*come[1:], *moved[::-1], *come[:1]]).tables()

    assert tables == recount([(b"1" * 16, lost), (b"2" * 16, gained)])
    total = tables["totals"]["autumn", 1]
    assert [total[name] for name in ("replied", "replies", "quick_reply_taps")] == [1, 1, 1]


def test_an_act_that_comes_as_another_leaves_counts_at_its_own_time() -> None:
    """As many acts as before, and yet others: the minutes must follow."""
    who = registration("P1")
    gone, come = act("CLICKED", T0, "c1", link="x"), act("CLICKED", T0 + HOUR, "c2", link="y")
    clicked = {"state": "DELIVERED", "deliver_time_us": T0, "click_count": 1, "click_time_us": T0}
    steps = [Step(image(**clicked), who, [gone]), Step(image(**clicked), who, [come])]

    tables = Folded().add(changes_of(b"1" * 16, steps)).tables()

    at = {key[1]: row["clicks"] for key, row in tables["minutes"].items()}
    assert (at[T0 // MINUTE * MINUTE], at[T0 + HOUR]) == (0, 1)
    (link,) = tables["links"]
    assert link[-1] == T0 + HOUR


def test_a_message_without_campaign_counts_nowhere() -> None:
    """Campaign numbers are about campaigns; the message itself stays visible in status."""
    step = Step(fixture_a.FINALS["P2"].image, registration("P2", campaign_id=""))

    assert Folded().add(changes_of(b"1" * 16, [step])).cells() == {}


def test_cells_that_come_out_zero_are_not_written() -> None:
    """A change there and back costs nothing in the database."""
    step = fixture_a.FINALS["P8"]
    there = change_pb2.MessageChanged(new_image=step.image, version=1)
    back = change_pb2.MessageChanged(old_image=step.image, version=2)

    assert Folded().add([there, back]).cells() == {}


def test_an_unknown_state_or_cause_is_a_number_like_any_other() -> None:
    """A newer status may say more than this release knows; its order of states still holds."""
    step = fixture_a.FINALS["P2"]
    change = change_pb2.MessageChanged(new_image=step.image, version=1)
    change.new_image.state, change.cause = 99, 77  # type: ignore[assignment]

    (cells,) = Folded().add([change]).cells().values()

    assert cells.causes[77][INDEX["read"]] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(stories(), min_size=1, max_size=3))
def test_sums_that_wait_come_back_as_they_were(messages: list) -> None:
    """Sums of a locked campaign lie in a table until the lock is gone."""
    changes = [c for at, steps in enumerate(messages) for c in a_message(at, steps)]

    for cells in Folded().add(changes).cells().values():
        assert Cells.unpacked(cells.packed()) == cells
