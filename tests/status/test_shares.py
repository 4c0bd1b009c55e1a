"""Rates of distinct things are shares, whatever happened to the messages of a campaign."""

from collections import Counter

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.testkit import builders
from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.rates import RATES
from services.analytics.domain.report import ChannelSums, Summed, report
from services.analytics.domain.shape import counts_of, shape_of
from services.status.domain.image import image
from tests.status.merged import merged

T = builders.TIME_US
_CHANNELS = (words.CHANNEL_WHATSAPP, words.CHANNEL_SMS, words.CHANNEL_EMAIL)
_ACTS = (
    words.EVENT_KIND_READ,
    words.EVENT_KIND_CLICKED,
    words.EVENT_KIND_REPLIED,
    words.EVENT_KIND_UNSUBSCRIBED,
    words.EVENT_KIND_COMPLAINED,
)
_REPORTS = (words.EVENT_KIND_SENT, words.EVENT_KIND_DELIVERED, words.EVENT_KIND_UNDELIVERED)
_reports = st.builds(
    lambda kind, at: builders.an_event(kind, occur_time_us=T + at),
    st.sampled_from(_REPORTS),
    st.integers(1, 9),
)


@st.composite
def _acts(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(_ACTS))
    is_consent = kind in (words.EVENT_KIND_UNSUBSCRIBED, words.EVENT_KIND_COMPLAINED)
    engagement = builders.an_engagement(
        f"{kind}.{draw(st.integers(1, 3))}",
        is_machine=draw(st.booleans()),
        by_failure=is_consent and draw(st.booleans()),
    )
    return builders.an_event(kind, engagement=engagement, occur_time_us=T + draw(st.integers(1, 9)))


@st.composite
def _messages(draw: st.DrawFn) -> list[Event]:
    channel = draw(st.sampled_from(_CHANNELS))
    record = builders.a_registered(registration=builders.a_registration(channel=channel))
    return [record, *draw(st.lists(st.one_of(_reports, _acts()), max_size=7))]


@settings(max_examples=300, deadline=None)
@given(st.lists(_messages(), min_size=1, max_size=6))
def test_every_share_of_a_campaign_lies_between_none_and_all(campaign: list[list[Event]]) -> None:
    """Consent told by failures, machines and bounces after delivery raise no numerator alone."""
    sums: dict[int, Counter[str]] = {}
    for events in campaign:
        seen = image(merged(*events))
        shape = shape_of(seen)
        assert shape is not None
        for index, count in counts_of(shape):
            sums.setdefault(seen.scope.channel, Counter())[STORED_NAMES[index]] += count

    found = report(Summed({n: ChannelSums(one) for n, one in sums.items()}, None))

    for name, rate in found.rates.items():
        if RATES[name].is_distinct and rate.denominator:
            assert 0 <= rate.numerator <= rate.denominator, name


def test_consent_that_a_failure_tells_is_counted_apart() -> None:
    """Eight were refused because they had opted out before: no effect of this campaign."""
    events = [
        builders.a_registered(),
        builders.a_failure(),
        *(
            builders.an_event(
                kind,
                engagement=builders.an_engagement(str(kind), by_failure=True),
                occur_time_us=T + 5,
            )
            for kind in (words.EVENT_KIND_UNSUBSCRIBED, words.EVENT_KIND_COMPLAINED)
        ),
    ]

    seen = image(merged(*events))

    assert (seen.opted_out_before_time_us, seen.complained_before_time_us) == (T + 5, T + 5)
    assert (seen.unsubscribe_time_us, seen.complain_time_us) == (0, 0)
    assert seen.state == words.MESSAGE_STATE_UNDELIVERED


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (words.FAILURE_TOPIC_OPT_OUT, "opted_out_before_time_us"),
        (words.FAILURE_TOPIC_COMPLAINT, "complained_before_time_us"),
    ],
)
@pytest.mark.parametrize("kind", [words.EVENT_KIND_UNDELIVERED, words.EVENT_KIND_DROPPED])
def test_a_refusal_whose_code_tells_of_consent_counts_as_such(
    kind: int, topic: int, name: str
) -> None:
    """Most providers say it by the code alone; told in both ways, it is the same one no."""
    refusals = [
        builders.an_event(kind, provider_code="1", topic=topic, occur_time_us=T + at)
        for at in (7, 6)
    ]
    beside = builders.an_event(
        words.EVENT_KIND_UNSUBSCRIBED,
        engagement=builders.an_engagement("stop", by_failure=True),
        occur_time_us=T + 5,
    )

    alone = image(merged(builders.a_registered(), *refusals))
    both = image(merged(builders.a_registered(), *refusals, beside))
    others = {"opted_out_before_time_us", "complained_before_time_us"} - {name}

    assert getattr(alone, name) == T + 6
    assert [getattr(alone, other) for other in others] == [0]
    assert (alone.unsubscribe_time_us, alone.complain_time_us) == (0, 0)
    assert both.opted_out_before_time_us == T + 5


def test_opens_by_machines_are_counted_beside_those_of_people() -> None:
    """A proxy fetches pictures that nobody looks at; who reads is told apart, each open once."""
    opens = [
        builders.an_event(
            words.EVENT_KIND_READ,
            engagement=builders.an_engagement(f"open-{number}", is_machine=is_machine),
            occur_time_us=T + number,
        )
        for number, is_machine in ((1, True), (2, True), (3, False))
    ]

    by_machines = image(merged(*opens[:2], *opens[:2]))
    by_both = image(merged(*opens))

    assert (by_machines.machine_read_count, by_machines.human_read_time_us) == (2, 0)
    assert (by_machines.read_time_us, by_machines.evidence_time_us) == (T + 1, 0)
    assert (by_both.machine_read_count, by_both.human_read_time_us) == (2, T + 3)
    assert by_both.evidence_time_us == T + 3
