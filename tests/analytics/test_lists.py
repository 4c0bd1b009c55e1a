import asyncio
from typing import Any

import pytest
from bluetick.v1 import analytics_service_pb2, common_pb2, message_service_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.analytics.adapters.list_store import ListStore
from services.analytics.domain.counters import CATALOGUE, STORED_NAMES
from services.analytics.domain.families.people import SETS, sets_of
from services.analytics.domain.lists.marks import METRICS, STATES, AllOf, AnyOf, Formula, marks_of
from services.analytics.domain.lists.selection import NotKept, selection_of
from services.analytics.domain.question import Problem
from services.analytics.domain.shape import Shape, counts_of
from services.analytics.find_messages import Question
from tests.analytics.building import (
    CAMPAIGN,
    TENANT,
    Step,
    act,
    batches_of,
    changes_of,
    image,
    registration,
)
from tests.analytics.conftest import Cells
from tests.analytics.scan import matches
from tests.analytics.stories import a_message, key_of, stories

_shapes = st.builds(
    Shape,
    state=st.sampled_from([0, *STATES]),
    is_recovered=st.booleans(),
    is_seen=st.booleans(),
    click_count=st.integers(0, 2),
    reply_count=st.integers(0, 2),
    tap_count=st.integers(0, 2),
    is_unsubscribed=st.booleans(),
    is_complained=st.booleans(),
    is_unaddressable=st.just(False),
    machine_click_count=st.integers(0, 2),
    is_converted=st.booleans(),
    machine_read_count=st.integers(0, 2),
    is_read_by_machines_only=st.booleans(),
    was_opted_out=st.booleans(),
    had_complained=st.booleans(),
    attempt_count=st.integers(0, 7),
)


def _holds(formula: Formula, terms: frozenset[int]) -> bool:
    if isinstance(formula, int):
        return formula in terms
    if isinstance(formula, AllOf):
        return all(_holds(one, terms) for one in formula.formulas)
    if isinstance(formula, AnyOf):
        return any(_holds(one, terms) for one in formula.formulas)
    return not _holds(formula.formula, terms)


@settings(max_examples=400, deadline=None)
@given(_shapes)
def test_marks_find_what_the_counters_count(shape: Shape) -> None:
    """A list behind a counter has the messages that add to it, whatever shape a message has."""
    shape = shape._replace(
        is_unaddressable=shape.state == common_pb2.MESSAGE_STATE_DROPPED and shape.is_seen,
        machine_click_count=min(shape.machine_click_count, shape.click_count),
        is_read_by_machines_only=shape.is_read_by_machines_only and shape.machine_read_count > 0,
    )
    counts = {STORED_NAMES[index]: n for index, n in counts_of(shape)}
    for name, counter in CATALOGUE.items():
        if counter.formula:
            counts[name] = sum(sign * counts.get(part, 0) for sign, part in counter.formula)
    counts |= dict(zip(SETS, sets_of(shape), strict=True))
    # Links of clicks are told by acts, and conversions by nobody yet.
    counts["unique_link_clicks"] = counts.get("clicks", 0)

    terms = marks_of(shape)

    for name in CATALOGUE:
        assert _holds(METRICS[name], terms) == (counts.get(name, 0) > 0), name
    state = shape.state or common_pb2.MESSAGE_STATE_QUEUED
    assert [one for one in STATES if _holds(STATES[one], terms)] == [state]


_texts = st.sampled_from(["a", "b"])
_some = st.one_of(st.just(""), _texts)


@st.composite
def filters(draw: st.DrawFn) -> message_service_pb2.MessageFilter:
    """Return a filter of one to four conditions, of every kind that there is."""
    told: dict[str, Any] = {}
    kinds = st.sampled_from([
        "states", "metric", "reasons", "provider_code", "link_id", "button_id", "card_index",
        "variant", "step_id", "segment", "attribute", "country", "contact_id", "channels",
        "provider", "attempt_count_min", "dimensions",
    ])  # fmt: skip
    for kind in draw(st.lists(kinds, min_size=1, max_size=4, unique=True)):
        told[kind] = {
            "states": st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=3),
            "metric": st.sampled_from(sorted(METRICS)).map(str.upper),
            "reasons": st.lists(st.sampled_from([7, 11, 22]), min_size=1, max_size=2),
            "provider_code": st.sampled_from(["131049", "131026", "nobody told it"]),
            "link_id": st.sampled_from("xyz"),
            "button_id": st.sampled_from(["tap-x", "tap-y"]),
            "card_index": st.integers(1, 2),
            "attribute": st.builds(
                message_service_pb2.AttributeFilter,
                name=st.just("city"),
                value=st.sampled_from(["x", "y", ""]),
            ),
            "contact_id": st.sampled_from(["P1", "P2", "P4"]),
            "channels": st.lists(st.sampled_from([1, 2]), min_size=1, max_size=2),
            "provider": st.sampled_from(["meta", "twilio"]),
            "attempt_count_min": st.integers(1, 4),
            "dimensions": st.lists(
                st.builds(
                    analytics_service_pb2.DimensionFilter,
                    dimension=st.sampled_from(["template", "language", "market"]),
                    values=st.lists(_some, min_size=1, max_size=2),
                ),
                min_size=1,
                max_size=2,
                unique_by=lambda one: one.dimension,
            ),
        }.get(kind, _texts)
        told[kind] = draw(told[kind])
    return message_service_pb2.MessageFilter(**told)


async def _find(
    cells: Cells, where: message_service_pb2.MessageFilter, limit: int = 3, campaign: str = CAMPAIGN
) -> tuple[list[bytes], int]:
    """Return all that a filter finds, page by page, and how many the first page said."""
    store, keys, after, total = ListStore(cells.database), list[bytes](), 0, 0
    while True:
        asked = Question(TENANT, campaign, selection_of(where), after, limit, not after)
        page = await store.find(asked)
        assert page is not None
        total = page.total_count if not after else total
        keys += [key for _, key in page.messages]
        if page.is_end:
            return keys, total
        assert len(page.messages) == limit
        after = page.messages[-1][0]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_lists_equal_a_scan_of_the_truth(cells: Cells, data: st.DataObject) -> None:
    """Any lives, told in any order, split and repetition, to two replicas; any filters."""
    await cells.clear()
    messages = data.draw(st.lists(stories(), min_size=1, max_size=8))
    changes = [change for at, steps in enumerate(messages) for change in a_message(at, steps)]
    batches = batches_of(data.draw(st.permutations(changes)), data.draw(st.integers(1, 5)))
    repeated = [*batches, *data.draw(st.lists(st.sampled_from(batches), max_size=3))]
    cut = data.draw(st.integers(0, len(repeated)))
    await asyncio.gather(cells.fold(repeated[:cut], 0), cells.fold(repeated[cut:], 1))

    for where in data.draw(st.lists(filters(), min_size=12, max_size=12)):
        for campaign in ("spring", "autumn"):
            wanted = {
                key_of(at)
                for at, steps in enumerate(messages)
                if matches(steps[-1], where, campaign)
            }
            try:
                found, total = await _find(cells, where, campaign=campaign)
            except AssertionError:
                assert not wanted, "the campaign is unknown"
                continue
            except NotKept:
                # No message of the campaign has told the attribute.
                assert where.HasField("attribute")
                assert not wanted or not where.attribute.value
                continue
            assert (set(found), len(found), total) == (wanted, len(wanted), len(wanted)), where


async def test_a_list_of_many_chunks_is_found_page_by_page(cells: Cells) -> None:
    """Rare messages far apart, on pages that end within and at the ends of chunks."""
    steps = [Step(image("ACCEPTED"), registration())]
    rare = [Step(image("READ"), registration(contact_id="P2"))]
    count = 10_000
    changes = [
        change
        for at in range(count)
        for change in changes_of(at.to_bytes(16, "big"), rare if at % 900 == 0 else steps)
    ]
    await cells.fold(batches_of(changes, 2_500))
    where = message_service_pb2.MessageFilter

    everything, total = await _find(cells, where(), limit=2_999)
    assert (len(set(everything)), len(everything), total) == (count, count, count)
    wanted = [at.to_bytes(16, "big") for at in range(0, count, 900)]
    for one in (where(metric="read"), where(contact_id="P2"), where(metric="READ", country="")):
        found, total = await _find(cells, one, limit=5)
        assert (sorted(found), total) == (wanted, len(wanted))
    assert await _find(cells, where(metric="replied")) == ([], 0)


async def test_what_the_campaign_has_no_room_for_is_refused_or_found_as_other(cells: Cells) -> None:
    """No filter answers with a part of what it should find."""
    steps = [Step(image("ACCEPTED"), registration(template=f"t{at:03}")) for at in range(203)]
    changes = [c for at, step in enumerate(steps) for c in changes_of(bytes([at]) * 16, [step])]
    await cells.fold(batches_of(changes[:200], 200))
    await cells.fold(batches_of(changes[200:], 3, prefix="later"))

    def by(value: str) -> message_service_pb2.MessageFilter:
        dimension = analytics_service_pb2.DimensionFilter(dimension="template", values=[value])
        return message_service_pb2.MessageFilter(dimensions=[dimension])

    assert await _find(cells, by("t007")) == ([bytes([7]) * 16], 1)
    assert sorted((await _find(cells, by("(other)")))[0]) == [
        bytes([at]) * 16 for at in (200, 201, 202)
    ]
    with pytest.raises(NotKept):
        await _find(cells, by("t201"))


async def test_an_act_taken_back_is_found_no_longer(cells: Cells) -> None:
    """A click that turns out to belong to another message leaves the list of its link."""
    click = act("CLICKED", 7, "one", link="L1", card_index=2)
    before = Step(image("DELIVERED", click_count=1), registration(), [click])
    after = Step(image("DELIVERED"), registration())
    first, second = changes_of(b"k" * 16, [before, after])
    where = message_service_pb2.MessageFilter

    await cells.fold(batches_of([first], 1))
    for one in (where(link_id="L1"), where(card_index=2), where(link_id="L1", card_index=2)):
        assert await _find(cells, one) == ([b"k" * 16], 1)
    assert await _find(cells, where(link_id="L1", card_index=1)) == ([], 0)

    await cells.fold(batches_of([second], 1, prefix="c"), replica=1)
    for one in (where(link_id="L1"), where(card_index=2), where(link_id="L1", card_index=2)):
        assert await _find(cells, one) == ([], 0)


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({"metric": "delivery"}, "where.metric"),
        ({"states": [0]}, "where.states"),
        ({"states": [6] * 11}, "where.states"),
        ({"attempt_count_min": 6}, "where.attempt_count_min"),
        ({"card_index": 201}, "where.card_index"),
        ({"link_id": "x" * 401}, "where.link_id"),
        ({"attribute": {"value": "x"}}, "where.attribute.name"),
        (
            {"dimensions": [{"dimension": "colour", "values": ["x"]}]},
            "where.dimensions[0].dimension",
        ),
        (
            {"dimensions": [{"dimension": "channel", "values": ["FAX"]}]},
            "where.dimensions[0].values",
        ),
    ],
)
def test_a_filter_that_cannot_hold_is_refused_by_name(where: dict[str, Any], field: str) -> None:
    """Field, limit and cure; never an empty list."""
    with pytest.raises(Problem) as refused:
        selection_of(message_service_pb2.MessageFilter(**where))
    assert refused.value.field == field
