import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from bluetick.v1 import change_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.cells import Cells
from services.analytics.domain.contribution import contribution
from services.analytics.domain.counters import DISTINCT_NAMES, INDEX, PEOPLE, STORED_NAMES
from services.analytics.domain.deltas import Folder
from services.analytics.domain.report import Summed, report
from tests.analytics import fixture_a
from tests.analytics.building import (
    CAMPAIGN,
    HOUR,
    MINUTE,
    T0,
    TENANT,
    Step,
    changes_of,
    fact,
    image,
    recount,
    registration,
)
from tests.analytics.stories import a_message, stories


def summed(cells: Cells, campaign_id: str = CAMPAIGN) -> Summed:
    stored = Counter[str]()
    for (_, campaign, _), row in cells.totals.items():
        if campaign == campaign_id:
            stored.update(dict(zip(STORED_NAMES, row, strict=True)))
    distinct = dict.fromkeys(DISTINCT_NAMES, 0)
    for (_, campaign, _), row in cells.people.items():
        if campaign == campaign_id:
            for counter, n in zip(PEOPLE, row, strict=True):
                distinct[counter.name] += n > 0
    links = [n for (_, campaign, _), n in cells.links.items() if campaign == campaign_id]
    distinct["unique_link_clicks"] = sum(n > 0 for n in links)
    channels = {key[2] for key, row in cells.totals.items() if row[0] and key[1] == campaign_id}
    return Summed(stored, distinct, frozenset(channels))


def folded(changes: list[change_pb2.MessageChanged]) -> Cells:
    folder = Folder()
    for change in changes:
        folder.add(TENANT, change)
    return folder.cells()


def test_the_hand_counted_campaign_gives_its_hand_counted_numbers() -> None:
    """If these are off by one, everything built on them is."""
    cells = folded(fixture_a.changes())

    counters = report(summed(cells)).counters

    assert counters == fixture_a.EXPECTED


def test_contribution_alone_gives_the_same_numbers_as_the_deltas() -> None:
    """A rebuild uses contribution, the stream uses deltas: they are one function."""
    sums = Counter[str]()
    for step in fixture_a.FINALS.values():
        assert step.registration is not None
        added = contribution(step.image, step.registration, step.facts)
        assert added is not None
        for (index, _), n in added.points.items():
            sums[STORED_NAMES[index]] += n

    assert {name: sums[name] for name in STORED_NAMES} == {
        name: fixture_a.EXPECTED[name] for name in STORED_NAMES
    }


def test_failures_are_kept_by_stage_reason_and_code() -> None:
    """Reasons partition their parent: their sum is the counter."""
    cells = folded(fixture_a.changes())

    assert {key[2:]: n for key, n in cells.failures.items()} == {
        (1, 7, "meta", ""): 1,
        (1, 11, "meta", "130429"): 1,
        (2, 22, "meta", "131049"): 1,
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_order_of_changes_sums_to_a_recount_of_the_final_messages(data: st.DataObject) -> None:
    """Law: incremental equals recomputed, whatever order the broker delivers changes in."""
    messages = data.draw(st.lists(stories(), min_size=1, max_size=6))
    changes = [change for at, steps in enumerate(messages) for change in a_message(at, steps)]
    shuffled = data.draw(st.permutations(changes))

    cells = folded(shuffled)

    expected = recount(steps[-1] for steps in messages)
    for campaign_id in ("spring", "autumn"):
        got = summed(cells, campaign_id)
        counted = dict(got.stored) | dict(got.distinct or {})
        assert {k: n for k, n in counted.items() if n} == {
            k: n for k, n in expected.get(campaign_id, Counter()).items() if n
        }


def _images(accept_us: int, report_us: int) -> Iterator[change_pb2.MessageImage | None]:
    """Return one image of each shape, and a message never seen."""
    yield None
    states = ("QUEUED", "DROPPED", "ACCEPTED", "SENT", "UNDELIVERED", "DELIVERED", "READ")
    flags = itertools.product(states, *[(False, True)] * 3, (0, 1, 2))
    for state, is_counted, is_recovered, is_unsubscribed, click_count in flags:
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
            click_count=click_count,
            click_time_us=report_us if click_count else 0,
            evidence_time_us=report_us if click_count else 0,
        )


@pytest.mark.parametrize("later", [0, MINUTE, HOUR])
def test_every_move_adds_exactly_new_minus_old(later: int) -> None:
    """Examples teach, exhaustion proves: all pairs of shapes, times standing still or moving."""
    who = registration("P1")
    was = [(one, _points(one)) for one in _images(T0 + later, T0 + HOUR + later)]
    now = [(one, _points(one)) for one in _images(T0, T0 + HOUR)]
    for (old, old_points), (new, new_points) in itertools.product(was, now):
        change = change_pb2.MessageChanged(
            message_key=b"1" * 16, provider="meta", old_image=old, new_image=new, registration=who
        )
        folder = Folder()
        folder.add(TENANT, change)
        got = Counter[tuple[int, int]]()
        for (_, _, minute_us), row in folder.cells().minutes.items():
            counts = {(index, minute_us): n for index, n in enumerate(row) if n}
            got.update({key: n for key, n in counts.items() if key[0] != INDEX["clicks"]})
        expected = Counter(new_points)
        expected.subtract(old_points)
        assert got == Counter({key: n for key, n in expected.items() if n}), change


def _points(one: change_pb2.MessageImage | None) -> dict[tuple[int, int], int]:
    added = contribution(one, registration("P1"), ()) if one is not None else None
    points = added.points if added is not None else {}
    # When clicks happened is told by facts, of which there are none here.
    return {point: n for point, n in points.items() if point[0] != INDEX["clicks"]}


@settings(max_examples=60, deadline=None)
@given(stories())
def test_points_in_time_end_where_contribution_puts_them(steps: list) -> None:
    """Not only the totals: each minute holds what the final message alone would put there."""
    cells = folded(a_message(0, steps))

    last = steps[-1]
    added = contribution(last.image, last.registration, last.facts) if last.registration else None
    expected = Counter[tuple[int, int]]()
    for (index, time_us), n in (added.points if added else {}).items():
        expected[time_us // MINUTE * MINUTE, index] += n
    got = {
        (minute_us, index): n
        for (_, _, minute_us), row in cells.minutes.items()
        for index, n in enumerate(row)
        if n
    }
    assert got == dict(expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(stories(), min_size=1, max_size=5))
def test_totals_are_the_sum_of_hours_on_both_clocks_and_of_minutes(messages: list) -> None:
    """One number may not depend on which table answered."""
    cells = folded([c for at, steps in enumerate(messages) for c in a_message(at, steps)])

    def sums(rows: dict, keep=lambda key: True) -> dict:
        by_campaign: dict[str, list[int]] = {}
        for key, row in rows.items():
            if keep(key):
                total = by_campaign.setdefault(key[1], [0] * len(row))
                by_campaign[key[1]] = [a + b for a, b in zip(total, row, strict=True)]
        return {campaign: row for campaign, row in by_campaign.items() if any(row)}

    assert sums(cells.totals) == sums(cells.minutes)
    assert sums(cells.totals) == sums(cells.hours, lambda key: key[2] == 1)
    assert sums(cells.totals) == sums(cells.hours, lambda key: key[2] == 2)


@pytest.mark.parametrize("told", [0, 1])
def test_acts_that_no_fact_tells_still_count_once(told: int) -> None:
    """Images decide how many there are; facts only when. Neither may add to the other."""
    step = fixture_a.FINALS["P2"]
    change = change_pb2.MessageChanged(new_image=step.image, registration=step.registration)
    change.facts.extend(step.facts[:told])

    cells = folded([change])

    assert next(iter(cells.totals.values()))[INDEX["clicks"]] == 3


def test_a_reply_that_moves_to_another_campaign_leaves_exactly_nothing_behind() -> None:
    """A later send told late takes the reply along: as if the first campaign never had it."""
    reply = fact("REPLIED", T0 + 5 * MINUTE, "r1", is_tap=True)
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
    before = changes_of(b"1" * 16, [Step(accepted, first)])
    moved = changes_of(
        b"1" * 16, [Step(accepted, first), Step(answered, first, [reply]), Step(accepted, first)]
    )
    gained = changes_of(b"2" * 16, [Step(accepted, second), Step(answered, second, [reply])])

    cells = folded([*gained[1:], *moved[::-1], *gained[:1]])

    alone = folded(before)
    assert {key: row for key, row in cells.minutes.items() if key[1] == CAMPAIGN} == alone.minutes
    assert {key: row for key, row in cells.people.items() if key[1] == CAMPAIGN} == alone.people
    (total,) = (row for key, row in cells.totals.items() if key[1] == "autumn")
    assert [total[INDEX[name]] for name in ("replied", "replies", "quick_reply_taps")] == [1, 1, 1]


def test_an_act_that_comes_as_another_leaves_counts_at_its_own_time() -> None:
    """As many acts as before, and yet others: the minutes must follow."""
    who = registration("P1")
    gone, come = fact("CLICKED", T0, "c1", link="x"), fact("CLICKED", T0 + HOUR, "c2", link="y")
    clicked = {"state": "DELIVERED", "deliver_time_us": T0, "click_count": 1, "click_time_us": T0}
    steps = [Step(image(**clicked), who, [gone]), Step(image(**clicked), who, [come])]

    cells = folded(changes_of(b"1" * 16, steps))

    at = {key[2]: row[INDEX["clicks"]] for key, row in cells.minutes.items()}
    assert (at[T0 // MINUTE * MINUTE], at[T0 + HOUR]) == (0, 1)
    assert len(cells.links) == 1


def test_a_message_without_campaign_counts_nowhere() -> None:
    """Campaign numbers are about campaigns; the message itself stays visible in status."""
    step = fixture_a.FINALS["P2"]
    change = change_pb2.MessageChanged(new_image=step.image)
    change.registration.contact_id = "P2"

    cells = folded([change])

    assert not cells.campaigns


def test_cells_that_come_out_zero_are_not_written() -> None:
    """A change there and back costs nothing in the database."""
    step = fixture_a.FINALS["P8"]
    there = change_pb2.MessageChanged(new_image=step.image, registration=step.registration)
    back = change_pb2.MessageChanged(old_image=step.image, registration=step.registration)

    cells = folded([there, back])

    assert (cells.totals, cells.hours, cells.minutes, cells.people) == ({}, {}, {}, {})
    assert T0 > 0
