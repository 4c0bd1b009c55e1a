import pytest

from services.analytics.domain.counters import CATALOGUE, DISTINCT_NAMES, UNRECORDED
from services.analytics.domain.rates import RATES, rate
from services.analytics.domain.report import (
    OPENS_LOWER_AND_UPPER_BOUND,
    OPENS_LOWER_BOUND,
    OPENS_UPPER_BOUND,
    ChannelSums,
    Health,
    Summed,
    health,
    report,
)
from services.analytics.domain.wilson import wilson
from tests.analytics import fixture_a


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (81, 263, 0.255289, 0.366210),
        (15, 148, 0.062386, 0.160487),
        (0, 20, 0.0, 0.161125),
        (1, 29, 0.006113, 0.171755),
        (7, 50, 0.069508, 0.261862),
        (0, 1, 0.0, 0.793451),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(
    hits: int, trials: int, low: float, high: float
) -> None:
    """Newcombe 1998 and others; a wrong interval makes small campaigns look certain."""
    assert wilson(hits, trials) == pytest.approx((low, high), abs=1e-6)


def test_no_trials_give_no_interval() -> None:
    """No rate exists, which is not a rate of 0."""
    assert wilson(0, 0) is None


def _fixture_report():
    distinct = {name: fixture_a.EXPECTED.get(name, 0) for name in DISTINCT_NAMES}
    return report(_summed({1: fixture_a.EXPECTED}, distinct))


def _summed(channels: dict[int, dict[str, int]], distinct: dict[str, int] | None = None) -> Summed:
    return Summed({channel: ChannelSums(sums) for channel, sums in channels.items()}, distinct)


@pytest.mark.parametrize(
    ("name", "value", "low", "high"),
    [
        ("delivered_per_sent", 0.7, 0.3968, 0.8922),
        ("read_per_delivered", 4 / 7, 0.2505, 0.8418),
        ("repliers_per_delivered", 2 / 7, 0.0822, 0.6411),
        ("unsubscribed_per_delivered", 1 / 7, 0.0257, 0.5131),
        ("read_per_sent", 0.4, None, None),
        ("sent_per_targeted", 10 / 12, None, None),
        ("sent_per_addressable", 10 / 11, None, None),
        ("failed_addressable_per_addressable", 2 / 11, None, None),
        ("delivered_per_targeted", 7 / 12, None, None),
        ("failed_per_targeted", 0.25, None, None),
        ("pending_per_targeted", 2 / 12, None, None),
        ("clicks_per_delivered", 5 / 7, None, None),
        ("clicked_per_delivered", 3 / 7, None, None),
        ("interactions_per_delivered", 4 / 7, None, None),
        ("replies_per_delivered", 3 / 7, None, None),
        ("quick_reply_taps_per_delivered", 1 / 7, None, None),
    ],
)
def test_rates_of_the_hand_counted_campaign(
    name: str, value: float, low: float | None, high: float | None
) -> None:
    """Every name says numerator and denominator, and holds them."""
    got = _fixture_report().rates[name]

    assert got.value == pytest.approx(value)
    if low is not None:
        assert got.interval == pytest.approx((low, high), abs=5e-5)


def test_rates_of_events_have_no_interval() -> None:
    """Clicks repeat; an interval for a share would be false precision."""
    rates = _fixture_report().rates

    without = {name for name, one in rates.items() if one.interval is None}
    assert without == {
        "clicks_per_delivered", "human_clicks_per_delivered", "replies_per_delivered",
        "quick_reply_taps_per_delivered",
    }  # fmt: skip


def test_rates_without_denominator_have_no_value() -> None:
    """Before the send there is no rate, not a rate of 0."""
    empty = report(_summed({}, dict.fromkeys(DISTINCT_NAMES, 0)))

    assert set(empty.counters.values()) == {0}
    assert all(one.value is None and one.interval is None for one in empty.rates.values())
    assert set(empty.unavailable) == {*UNRECORDED, "converted_per_delivered"}


def test_a_part_of_a_campaign_may_exceed_one_and_then_has_no_interval() -> None:
    """An hour may hold the reads of yesterday's deliveries."""
    got = rate(RATES["read_per_delivered"], 5, 2)

    assert (got.value, got.interval) == (2.5, None)


@pytest.mark.parametrize(
    ("delivered", "failed", "verdict"),
    [(96, 0, Health.HEALTHY), (95, 5, Health.NONE), (90, 6, Health.INVESTIGATE)],
)
def test_health_has_thresholds_that_are_not_reached_by_equality(
    delivered: int, failed: int, verdict: Health
) -> None:
    """Exactly 95 % and exactly 5 % are neither healthy nor alarming."""
    counts = {"targeted": 100, "sent": 100, "delivered": delivered, "failed": failed}

    assert health(counts) is verdict


def test_a_stretch_of_time_without_sends_has_no_verdict() -> None:
    """Yesterday's messages that arrive today say nothing about today's."""
    assert health({"targeted": 0, "sent": 0, "delivered": 7, "failed": 0}) is Health.NONE
    assert health({"targeted": 0, "sent": 0, "delivered": 0, "failed": 3}) is Health.NONE
    assert health({"targeted": 1, "sent": 1, "delivered": 100, "failed": 0}) is Health.NONE
    assert health({"targeted": 9, "sent": 0, "delivered": 0, "failed": 9}) is Health.INVESTIGATE


def test_sms_has_no_reads_and_says_why() -> None:
    """No receipts exist for SMS: a 0 there would be read as nobody reading."""
    sms = report(_summed({2: {"targeted": 1, "sent": 1}}))

    assert "read" not in sms.counters
    assert "read_per_delivered" not in sms.rates
    reasons = {"read", "read_inferred", "read_per_sent", "read_inferred_per_delivered"}
    assert {sms.unavailable[name] for name in reasons} == {"SMS_NO_RECEIPTS"}


def test_mixed_channels_keep_their_reads() -> None:
    """WhatsApp's reads are true, whatever else the campaign sends."""
    mixed = report(_summed({1: {"read": 3, "sent": 4}, 2: {"sent": 5}}))

    assert mixed.counters["read"] == 3
    assert mixed.counters["sent"] == 9


def test_a_click_in_an_sms_is_no_read_of_the_campaign() -> None:
    """Whoever clicked has read it, and who only read it nobody knows: half a number is none."""
    mixed = report(_summed({1: {"read_inferred": 3, "clicked": 1},
                            2: {"read_inferred": 4, "clicked": 4}}))  # fmt: skip

    assert mixed.counters["read_inferred"] == 3
    assert mixed.counters["clicked"] == 5
    assert mixed.caveats["read_inferred"] == "WITHOUT_SMS"


def test_both_sides_of_a_rate_count_the_same_channels() -> None:
    """An SMS cannot be read, so that it must not stand below the line either; and that is said."""
    mixed = report(_summed({1: {"read": 3, "sent": 4}, 2: {"sent": 5, "delivered": 5}}))

    rate = mixed.rates["read_per_sent"]
    assert (rate.numerator, rate.denominator, rate.value) == (3, 4, 0.75)
    assert mixed.rates["delivered_per_sent"].denominator == 9
    assert mixed.caveats == {
        name: "WITHOUT_SMS"
        for name in (*mixed.counters, *mixed.rates)
        if name.startswith(("read", "people_read", "human_read", "machine_reads"))
    }


def test_opens_of_emails_are_marked_as_a_lower_bound() -> None:
    """An open is the fetch of a picture, which many people forbid: more have read it."""
    email = report(_summed({3: {"targeted": 2, "sent": 2, "read": 1}}))

    assert email.counters["read"] == 1
    assert {name for name, why in email.caveats.items() if why == OPENS_LOWER_BOUND} == {
        "read",
        "human_read",
        *(name for name in email.rates if name.startswith(("read_per_", "human_read_per_"))),
    }


@pytest.mark.parametrize(
    ("counts", "bound"),
    [
        ({"delivered": 3, "read": 1, "human_read": 1}, OPENS_LOWER_BOUND),
        ({"delivered": 3, "read": 3, "human_read": 1, "machine_reads": 2}, OPENS_UPPER_BOUND),
        (
            {"delivered": 4, "read": 3, "human_read": 1, "machine_reads": 2},
            OPENS_LOWER_AND_UPPER_BOUND,
        ),
    ],
)
def test_the_caveat_of_reads_points_the_way_in_which_they_are_off(
    counts: dict[str, int], bound: str
) -> None:
    """Machines raise the number of opens, blocked pictures lower it."""
    email = report(_summed({3: counts}))

    assert (email.caveats["read"], email.caveats["human_read"]) == (bound, OPENS_LOWER_BOUND)


def test_reads_of_whatsapp_need_no_caveat_unless_emails_are_among_them() -> None:
    """A warning on every page is read on none; but a sum is no better than its weakest part."""
    whatsapp = report(_summed({1: {"read": 3}}))
    mixed = report(_summed({1: {"read": 3}, 3: {"sent": 1}}))

    assert whatsapp.caveats == {}
    assert "read" in mixed.caveats


def test_people_do_not_exist_for_a_part_of_a_campaign() -> None:
    """The same person may be in two parts; a sum of parts would count them twice."""
    part = report(_summed({1: {}}))

    assert part.unavailable["people_reached"] == "NOT_ADDITIVE"
    assert part.unavailable["repliers_per_delivered"] == "NOT_ADDITIVE"


def test_every_rate_is_made_of_counters() -> None:
    """A typing error in a name would show only in production."""
    known = {*CATALOGUE, *UNRECORDED}

    assert {r.numerator for r in RATES.values()} | {r.denominator for r in RATES.values()} <= known
