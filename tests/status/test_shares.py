"""Rates of distinct things are shares, whatever happened to the messages of a campaign."""

from collections import Counter

import pytest
from bluetick.v1 import common_pb2 as words

from libs.testkit import builders
from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.people import SETS, sets_of
from services.analytics.domain.rates import RATES
from services.analytics.domain.report import ChannelSums, Report, Summed, report
from services.analytics.domain.shape import counts_of, shape_of
from services.status.domain.image import image
from tests.status.merged import merged
from tests.status.random_journeys import PEOPLE, Campaign, random_campaign

T = builders.TIME_US
CAMPAIGNS = 60
CAMPAIGNS_LONG = 1_000


def reported(campaign: Campaign) -> Report:
    """The report of a campaign, with its counts of people."""
    channels: dict[int, Counter[str]] = {}
    people: dict[str, set[str]] = {name: set() for name in SETS}
    for person, seen in campaign.images:
        shape = shape_of(seen)
        if shape is None:
            continue
        sums = channels.setdefault(seen.scope.channel, Counter())
        for index, count in counts_of(shape):
            sums[STORED_NAMES[index]] += count
        for name, is_in in zip(SETS, sets_of(shape), strict=True):
            people[name] |= {person} if is_in else set()
    distinct = {name: len(found) for name, found in people.items()}
    return report(
        Summed(
            {name: ChannelSums(one) for name, one in channels.items()},
            {**distinct, "unique_link_clicks": 0},
        )
    )


def check_shares(seeds: range) -> None:
    """Every rate of distinct things is a share, and every message is in one place only."""
    for seed in seeds:
        campaign = random_campaign(seed)
        found = reported(campaign)
        for name, rate in found.rates.items():
            if RATES[name].is_distinct:
                assert 0 <= rate.numerator <= rate.denominator, (seed, name)
                assert rate.value is None or 0 <= rate.value <= 1, (seed, name)
        counters = found.counters
        assert counters["targeted"] == campaign.references, seed
        assert counters["attempts"] == campaign.hand_overs, seed
        ends = ("queued", "dropped", "pending", "undelivered", "delivered")
        assert sum(counters[name] for name in ends) == counters["targeted"], seed
        assert counters["people_targeted"] <= PEOPLE, seed


def test_every_share_of_a_campaign_lies_between_none_and_all() -> None:
    """Consent told by failures, machines, retries, fallbacks and parts raise no numerator alone."""
    check_shares(range(CAMPAIGNS))


@pytest.mark.long
def test_every_share_of_a_thousand_campaigns_lies_between_none_and_all() -> None:
    """The same, until chance has tried what nobody thought of."""
    check_shares(range(CAMPAIGNS, CAMPAIGNS + CAMPAIGNS_LONG))


def test_random_campaigns_hold_all_that_they_are_made_to_hold() -> None:
    """What never happens proves nothing."""
    happened = Counter[str]()
    for seed in range(CAMPAIGNS):
        happened.update(reported(random_campaign(seed)).counters)

    names = ("opted_out_before", "complained_before", "machine_reads", "machine_clicks",
             "recovered", "unsubscribed", "complained", "repliers", "human_read", "pending",
             "dropped_unaddressable", "queued")  # fmt: skip
    assert all(happened[name] > 5 for name in names), happened
    assert happened["attempts"] > happened["sent"]


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
