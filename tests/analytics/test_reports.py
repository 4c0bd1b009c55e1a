from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1 import campaign_service_pb2, common_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from tests.analytics import fixture_a
from tests.analytics.building import (
    CAMPAIGN,
    HOUR,
    T0,
    Step,
    batches_of,
    changes_of,
    image,
    registration,
)
from tests.analytics.calling import Caller, running
from tests.analytics.conftest import Cells


@pytest_asyncio.fixture(loop_scope="session")
async def call(
    broker_settings: RuntimeSettings, database_url: str, clock: ManualClock
) -> AsyncIterator[Caller]:
    async with running(broker_settings, database_url, clock) as caller:
        yield caller


def at(time_us: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(time_us)
    return stamp


async def ask(call: Caller, **fields: object) -> pb.GetCampaignReportResponse:
    request = pb.GetCampaignReportRequest(**({"campaign_id": CAMPAIGN} | fields))  # type: ignore[arg-type]
    return await call(call.analytics.GetCampaignReport, request)


async def test_the_report_of_the_hand_counted_campaign(
    call: Caller, cells: Cells, clock: ManualClock
) -> None:
    """The number that a person counted on paper is the number that the API answers."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    report = await ask(call)

    assert dict(report.counters) == fixture_a.EXPECTED
    rate = report.rates["delivered_per_sent"]
    assert (rate.numerator, rate.denominator, rate.value) == (7, 10, 0.7)
    assert (rate.numerator_name, rate.denominator_name) == ("delivered", "sent")
    assert (rate.low, rate.high) == pytest.approx((0.3968, 0.8922), abs=5e-5)
    assert not report.rates["clicks_per_delivered"].HasField("low")
    assert report.health.verdict == pb.HEALTH_VERDICT_INVESTIGATE
    assert {one.metric: one.reason for one in report.unavailable} == dict.fromkeys(
        ("converted", "conversions", "people_converted", "converted_per_delivered"),
        "NO_CONVERSIONS_RECORDED",
    )
    assert report.as_of_time.ToMicroseconds() == clock.now_us()
    assert report.definition_version == "1"
    assert not report.HasField("complete_until_time")
    assert not report.money


async def test_a_campaign_without_messages_has_zeros_and_no_rates(call: Caller) -> None:
    """Before the send nothing happened; that is known, not unavailable."""
    created = campaign_service_pb2.Campaign(campaign_id=CAMPAIGN)
    request = campaign_service_pb2.CreateCampaignRequest(campaign=created)
    await call(call.campaigns.CreateCampaign, request)

    report = await ask(call)

    assert set(report.counters.values()) == {0}
    assert not any(rate.HasField("value") for rate in report.rates.values())


async def test_a_campaign_that_nobody_knows_is_not_found(call: Caller) -> None:
    """A typing error in an id must not look like a campaign without success."""
    refusal = await call.refusal(
        call.analytics.GetCampaignReport, pb.GetCampaignReportRequest(campaign_id="sprnig")
    )
    assert refusal == ("NOT_FOUND", "CAMPAIGN_NOT_FOUND", [])


async def test_hours_add_up_to_the_whole_on_both_clocks(call: Caller, cells: Cells) -> None:
    """Cutting time into parts may not lose or repeat anything that adds up."""
    await cells.fold(batches_of(fixture_a.changes(), 5))
    whole = await ask(call)

    for clock in (pb.CLOCK_EVENT_TIME, pb.CLOCK_SEND_COHORT):
        early = common_pb2.TimeRange(end_time=at(T0 + HOUR))
        late = common_pb2.TimeRange(start_time=at(T0 + HOUR))
        parts = [await ask(call, time_range=part, clock=clock) for part in (early, late)]

        for name, count in parts[0].counters.items():
            assert count + parts[1].counters[name] == whole.counters[name], name
        sent_at_once = clock == pb.CLOCK_SEND_COHORT
        assert parts[0].counters["read"] == (4 if sent_at_once else 0)
        assert parts[1].counters["read"] == (0 if sent_at_once else 4)


async def test_people_are_unavailable_for_a_part(call: Caller, cells: Cells) -> None:
    """The same person may be in two parts."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    part = await ask(call, time_range=common_pb2.TimeRange(start_time=at(T0)))

    reasons = {one.metric: one.reason for one in part.unavailable}
    assert reasons["people_reached"] == reasons["repliers_per_delivered"] == "NOT_ADDITIVE"
    assert "people_reached" not in part.counters


async def test_filters_narrow_the_report(call: Caller, cells: Cells) -> None:
    """Values of one dimension are alternatives; dimensions must all hold."""
    changes = []
    for number, (language, variant) in enumerate(
        [("en", "A"), ("en", "B"), ("de", "A"), ("fr", "A")]
    ):
        who = registration(f"P{number}", language=language, variant=variant)
        step = Step(image("ACCEPTED", accept_time_us=T0), who)
        changes += changes_of(bytes([number]) * 16, [step])
    await cells.fold(batches_of(changes, 2))

    def only(dimension: str, *values: str) -> pb.DimensionFilter:
        return pb.DimensionFilter(dimension=dimension, values=values)

    async def sent(*filters: pb.DimensionFilter) -> int:
        return (await ask(call, filter=filters)).counters["sent"]

    assert await sent(only("language", "en", "de")) == 3
    assert await sent(only("language", "en", "de"), only("variant", "A")) == 2
    assert await sent(only("channel", "whatsapp")) == 4
    assert await sent(only("channel", "CHANNEL_SMS")) == 0
    assert await sent(only("provider", "' OR 1=1")) == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"campaign_id": ""}, "campaign_id"),
        ({"clock": 9}, "clock"),
        ({"time_range": common_pb2.TimeRange(start_time=at(T0 + 1))}, "time_range.start_time"),
        (
            {"time_range": common_pb2.TimeRange(end_time=Timestamp(seconds=2**62))},
            "time_range.end_time",
        ),
        ({"time_range": common_pb2.TimeRange(start_time=at(T0), end_time=at(T0))}, "time_range"),
        ({"filter": [pb.DimensionFilter(dimension="x", values=["1"])]}, "filter[0].dimension"),
        ({"filter": [pb.DimensionFilter(dimension="sender")]}, "filter[0].values"),
        ({"filter": [pb.DimensionFilter(dimension="channel", values=["fax"])]}, "filter[0].values"),
    ],
)
async def test_a_question_without_an_answer_names_its_fault(
    call: Caller, fields: dict, field: str
) -> None:
    """A guessed answer would be believed."""
    request = pb.GetCampaignReportRequest(**({"campaign_id": CAMPAIGN} | fields))

    refusal = await call.refusal(call.analytics.GetCampaignReport, request)

    assert refusal == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", [field])


async def test_sms_reads_are_unavailable_over_the_api(call: Caller, cells: Cells) -> None:
    """0 % read would be a lie about SMS."""
    who = registration("P1", channel=common_pb2.CHANNEL_SMS)
    step = Step(image("DELIVERED", accept_time_us=T0, deliver_time_us=T0), who)
    await cells.fold(batches_of(changes_of(b"1" * 16, [step]), 1))

    report = await ask(call)

    reasons = {one.metric: one.reason for one in report.unavailable}
    assert reasons["read"] == reasons["read_per_delivered"] == "SMS_NO_RECEIPTS"
    assert report.counters["delivered"] == 1


async def test_failures_come_with_reason_share_and_cure(call: Caller, cells: Cells) -> None:
    """A count without what to do about it is half an answer."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    request = pb.GetFailureReasonsRequest(campaign_id=CAMPAIGN)
    answer = await call(call.analytics.GetFailureReasons, request)

    assert [(one.stage, one.reason, one.count, one.share) for one in answer.reasons] == [
        (1, common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS, 1, 0.5),
        (1, common_pb2.FAILURE_REASON_RATE_LIMITS, 1, 0.5),
        (2, common_pb2.FAILURE_REASON_META_RECIPIENT_LIMIT, 1, 1.0),
    ]
    assert (answer.dropped_count, answer.undelivered_count) == (2, 1)
    assert all(one.remedy and one.remedy_key for one in answer.reasons)
    rate_limit = answer.reasons[1]
    assert rate_limit.transience == common_pb2.FAILURE_TRANSIENCE_TRANSIENT
    assert (rate_limit.codes[0].provider, rate_limit.codes[0].provider_code) == ("meta", "130429")
    assert rate_limit.codes[0].title
    # A code that may mean something else says so.
    (other,) = rate_limit.codes[0].alternatives
    assert (other.reason, bool(other.when)) == (common_pb2.FAILURE_REASON_TIER_LIMITATION, True)
    assert rate_limit.codes[0].topic == common_pb2.FAILURE_TOPIC_UNSPECIFIED


async def test_failures_of_one_stage_only(call: Caller, cells: Cells) -> None:
    """The two sides of the hand-over have different cures."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    request = pb.GetFailureReasonsRequest(
        campaign_id=CAMPAIGN, stage=common_pb2.FAILURE_STAGE_UNDELIVERED
    )
    answer = await call(call.analytics.GetFailureReasons, request)

    assert [one.count for one in answer.reasons] == [1]
    unknown = pb.GetFailureReasonsRequest(campaign_id="nobody")
    refusal = await call.refusal(call.analytics.GetFailureReasons, unknown)
    assert refusal[1] == "CAMPAIGN_NOT_FOUND"


async def test_readers_may_ask_and_strangers_may_not(call: Caller, cells: Cells) -> None:
    """Numbers of one tenant are nobody else's."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    assert (await ask(call.as_("READER"))).counters["sent"] == 10
    other = call.as_("READER", tenant="other")
    request = pb.GetCampaignReportRequest(campaign_id=CAMPAIGN)
    assert (await other.refusal(other.analytics.GetCampaignReport, request))[0] == "NOT_FOUND"
    later = pb.QueryMetricsRequest(campaign_id=CAMPAIGN)
    assert (await call.refusal(call.analytics.QueryMetrics, later))[0] == "UNIMPLEMENTED"
