"""Mail: the server's word that it took a message is not the last one."""

import itertools

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.testkit import builders
from services.status.domain.image import image
from tests.status.merged import merged, merged_one_by_one

T = builders.TIME_US
HARD, SOFT = "5.1.1", "Transient/General"
_RANKS = ("accepted", "sent", "soft", "delivered", "hard", "opened")


def the(word: str, at: int) -> Event:
    if word == "record":
        registration = builders.a_registration(channel=words.CHANNEL_EMAIL)
        return _of_ses(builders.a_registered(registration=registration, occur_time_us=T))
    if word in ("hard", "soft"):
        code = HARD if word == "hard" else SOFT
        return _of_ses(builders.a_failure(code, occur_time_us=T + at))
    kinds = {
        "accepted": words.EVENT_KIND_ACCEPTED,
        "sent": words.EVENT_KIND_SENT,
        "delivered": words.EVENT_KIND_DELIVERED,
        "opened": words.EVENT_KIND_READ,
        "opened by a machine": words.EVENT_KIND_READ,
        "clicked": words.EVENT_KIND_CLICKED,
        "clicked by a machine": words.EVENT_KIND_CLICKED,
    }
    event = builders.an_event(kinds[word], occur_time_us=T + at)
    if "ed by" in word or word in ("clicked", "opened"):
        event.engagement.act_id = f"{word}.{at}"
        event.engagement.is_machine = word.endswith("machine")
    return _of_ses(event)


def _of_ses(event: Event) -> Event:
    event.provider = "ses"
    return event


def expected(told: list[tuple[str, int]]) -> tuple[str, bool]:
    """The plain rule: state and recovery of an email."""
    said = {word for word, _ in told}
    delivered = min((at for word, at in told if word == "delivered"), default=None)
    failed = min((at for word, at in told if word in ("hard", "soft")), default=None)
    by_people = said & {"opened", "clicked"}
    arrived = said & {"delivered", "opened by a machine", "clicked by a machine"}
    if "hard" in said and not by_people:
        return "UNDELIVERED", False
    if by_people or arrived:
        state = "READ" if said & {"opened", "opened by a machine"} else "DELIVERED"
        is_detail = delivered is not None and failed is not None and failed >= delivered
        return state, failed is not None and ("hard" in said or not is_detail)
    if "soft" in said:
        return "UNDELIVERED", False
    if "sent" in said:
        return "SENT", False
    return "ACCEPTED", False


_words = st.sampled_from(
    ["accepted", "sent", "delivered", "hard", "soft", "opened", "clicked", "opened by a machine",
     "clicked by a machine"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_order_any_repetition_and_any_place_of_the_record_give_the_state(
    data: st.DataObject,
) -> None:
    """The channel is told by the record, which may come after everything else."""
    told = data.draw(st.lists(st.tuples(_words, st.integers(1, 9)), max_size=5))
    everything = [("record", 0), *told]
    repeats = data.draw(st.lists(st.sampled_from(everything), max_size=3))
    order = data.draw(st.permutations(everything + repeats))

    straight = image(merged(*(the(*one) for one in everything)))
    crooked = image(merged_one_by_one(*(the(*one) for one in order)))

    assert crooked == straight
    state = words.MessageState.Name(straight.state).removeprefix("MESSAGE_STATE_")
    assert (state, straight.is_recovered) == expected(told)


def test_every_pair_of_an_emails_reports_ends_in_the_higher_one() -> None:
    """ACCEPTED < SENT < DELIVERED < UNDELIVERED < READ."""
    states = ("ACCEPTED", "SENT", "UNDELIVERED", "DELIVERED", "UNDELIVERED", "READ")
    for (one, low), (other, high) in itertools.product(zip(_RANKS, states, strict=True), repeat=2):
        seen = image(merged(the("record", 0), the(one, 1), the(other, 2)))

        highest = max((one, low), (other, high), key=lambda pair: _RANKS.index(pair[0]))[1]
        assert words.MessageState.Name(seen.state) == f"MESSAGE_STATE_{highest}"


@pytest.mark.parametrize(
    ("later", "state", "is_recovered"),
    [
        ("hard", words.MESSAGE_STATE_UNDELIVERED, False),
        ("soft", words.MESSAGE_STATE_DELIVERED, False),
    ],
)
def test_a_bounce_after_the_delivery(
    later: str, state: words.MessageState.ValueType, is_recovered: bool
) -> None:
    """For good: it never arrived. Passing: somebody is out of office."""
    seen = image(merged(the("record", 0), the("delivered", 5), the(later, 600)))

    assert (seen.state, seen.is_recovered) == (state, is_recovered)


def test_on_other_channels_a_late_failure_changes_nothing() -> None:
    """An SMS that arrived has arrived."""
    record = builders.a_registered(registration=builders.a_registration(channel=words.CHANNEL_SMS))
    seen = image(merged(record, builders.an_event(), builders.a_failure(HARD, occur_time_us=T + 9)))

    assert (seen.state, seen.is_recovered) == (words.MESSAGE_STATE_DELIVERED, True)
