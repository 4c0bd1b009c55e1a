"""A message in parts arrived when all of them did."""

import itertools

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.testkit import builders
from services.status.domain.image import image
from services.status.domain.parts import PARTS_MAX, parts_of
from tests.status.merged import merged, merged_one_by_one

T = builders.TIME_US
KINDS = {
    "sent": words.EVENT_KIND_SENT,
    "delivered": words.EVENT_KIND_DELIVERED,
    "lost": words.EVENT_KIND_UNDELIVERED,
    "read": words.EVENT_KIND_READ,
}


def the(part: str, word: str, at: int) -> Event:
    fields = {"provider_code": "200"} if word == "lost" else {}
    return builders.an_event(
        KINDS[word], part_id=part, part_count=2, occur_time_us=T + at, **fields
    )


def state_by_hand(told: list[tuple[str, str]]) -> str:
    """The plain rule, over what was told of each part; "" is told without a part."""
    if any(word == "read" for _, word in told):
        return "READ"
    ends = {part: {w for p, w in told if p == part} for part, _ in told}
    finals = [
        "delivered" if "delivered" in said else "lost" if "lost" in said else "sent"
        for part, said in ends.items()
        if part
    ]
    whole = ends.get("", set())
    if "lost" in finals or "lost" in whole:
        return "UNDELIVERED"
    return "SENT" if "sent" in finals else "DELIVERED"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_order_and_repetition_give_the_state_of_the_rule(data: st.DataObject) -> None:
    """Law 1 for parts, also where one report names no part."""
    some = st.tuples(
        st.sampled_from(["p1", "p2", "p3", ""]), st.sampled_from(sorted(KINDS)), st.integers(1, 5)
    )
    told = [("p1", "sent", 1), *data.draw(st.lists(some, max_size=6))]
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=3))
    order = data.draw(st.permutations(told + repeats))

    straight = image(merged(*(the(*one) for one in told)))
    crooked = image(merged_one_by_one(*(the(*one) for one in order)))

    assert crooked == straight
    state = words.MessageState.Name(straight.state).removeprefix("MESSAGE_STATE_")
    assert state == state_by_hand([(part, word) for part, word, _ in told])


def test_a_lost_part_is_a_lost_message() -> None:
    """Part 1 delivered, part 2 lost: the person never got the whole text, whoever came first."""
    told = [the("p1", "sent", 1), the("p2", "sent", 1), the("p1", "delivered", 2),
            the("p2", "lost", 3)]  # fmt: skip
    for order in itertools.permutations(told):
        seen = image(merged_one_by_one(*order))

        assert seen.state == words.MESSAGE_STATE_UNDELIVERED
        assert (seen.undeliver_time_us, seen.failure_code) == (T + 3, "200")
        assert (seen.deliver_time_us, seen.is_recovered) == (0, False)


def test_the_last_part_delivers_the_message() -> None:
    """One of two is half a text."""
    half = image(merged(the("p1", "delivered", 2), the("p2", "sent", 1)))
    whole = image(merged(the("p1", "delivered", 2), the("p2", "delivered", 4)))

    assert (half.state, half.deliver_time_us) == (words.MESSAGE_STATE_SENT, 0)
    assert (whole.state, whole.deliver_time_us) == (words.MESSAGE_STATE_DELIVERED, T + 4)
    assert not whole.is_deliver_inferred


@pytest.mark.parametrize("is_backward", [False, True])
def test_the_list_of_parts_is_bounded_and_still_order_free(is_backward: bool) -> None:
    """A provider gone mad must not grow a row without end."""
    events = [the(f"p{n:03}", "delivered", n + 1) for n in range(PARTS_MAX + 20)]

    message = merged_one_by_one(*(events[::-1] if is_backward else events))

    assert [part.part_id for part in parts_of(message)] == [f"p{n:03}" for n in range(PARTS_MAX)]


def test_a_part_that_is_never_told_of_is_told_by_the_clock_and_lifted_by_its_report() -> None:
    """Silence about one part is silence about the message."""
    silence = builders.an_event(
        words.EVENT_KIND_UNDELIVERED,
        reason=words.FAILURE_REASON_DELIVERY_REPORT_MISSING,
        occur_time_us=T + 9,
    )
    told = [the("p1", "delivered", 2), the("p2", "sent", 1), silence]

    assert image(merged(*told)).state == words.MESSAGE_STATE_UNDELIVERED
    late = image(merged(*told, the("p2", "delivered", 10)))
    assert (late.state, late.deliver_time_us) == (words.MESSAGE_STATE_DELIVERED, T + 10)
