"""The acceptance campaign gives exactly its numbers, through the public surface."""

import asyncio
import random

import grpc
import pytest
from bluetick.v1 import analytics_service_pb2 as analytics
from bluetick.v1 import campaign_service_pb2 as campaigns
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1 import message_service_pb2 as messages

from tests.system.fixture_a import COUNTERS, RATES, FixtureA
from tests.system.outside import Outside


async def play(fixture: FixtureA, outside: Outside, seed: int) -> None:
    """Send everything twice, in an order of the seed's, callbacks before and after records."""
    chance = random.Random(seed)
    steps = [("callback", body) for body in fixture.callbacks * 2]
    steps += [("record", record) for record in fixture.records * 2]
    steps += [("engagement", record) for record in fixture.engagements * 2]
    chance.shuffle(steps)

    async def take(kind: str, what: object) -> None:
        if kind == "callback":
            assert await outside.callback(what) == 200
        elif kind == "record":
            answer = await outside.call(
                outside.ingest.RecordMessages,
                ingest.RecordMessagesRequest(messages=[what]),
                "sender",
            )
            assert answer.recorded_count == 1, answer
        else:
            answer = await outside.call(
                outside.ingest.RecordEngagements,
                ingest.RecordEngagementsRequest(engagements=[what]),
                "sender",
            )
            assert answer.recorded_count == 1, answer

    for start in range(0, len(steps), 8):
        await asyncio.gather(*(take(*step) for step in steps[start : start + 8]))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_order_and_repetition_gives_exactly_the_counters_and_rates(
    outside: Outside, seed: int
) -> None:
    """Providers reorder and repeat; a marketer's numbers must not move for it."""
    fixture = FixtureA(f"fixture-a-{seed}")

    await play(fixture, outside, seed)
    report = await outside.complete_report(fixture.campaign_id)

    assert {name: report.counters.get(name) for name in COUNTERS} == COUNTERS
    for name, (numerator, denominator) in RATES.items():
        rate = report.rates[name]
        assert (rate.numerator, rate.denominator) == (numerator, denominator), name
        assert rate.value == pytest.approx(numerator / denominator)
    read = report.rates["read_per_delivered"]
    assert (round(read.low, 4), round(read.high, 4)) == (0.2505, 0.8418)
    assert not report.rates["clicks_per_delivered"].HasField("low")


async def test_failures_are_itemised_by_stage_with_reason_and_transience(outside: Outside) -> None:
    """Dropped explains targeted minus sent; undelivered explains sent minus delivered."""
    fixture = FixtureA("fixture-a-reasons")
    await play(fixture, outside, 4)
    await outside.complete_report(fixture.campaign_id)

    answer = await outside.call(
        outside.analytics.GetFailureReasons,
        analytics.GetFailureReasonsRequest(campaign_id=fixture.campaign_id),
        "reader",
    )

    found = {
        (row.stage, row.reason): (row.count, row.share, row.transience) for row in answer.reasons
    }
    assert found == {
        (pb.FAILURE_STAGE_DROPPED, pb.FAILURE_REASON_INVALID_PHONE_NUMBERS): (
            1,
            0.5,
            pb.FAILURE_TRANSIENCE_PERMANENT,
        ),
        (pb.FAILURE_STAGE_DROPPED, pb.FAILURE_REASON_RATE_LIMITS): (
            1,
            0.5,
            pb.FAILURE_TRANSIENCE_TRANSIENT,
        ),
        (pb.FAILURE_STAGE_UNDELIVERED, pb.FAILURE_REASON_META_RECIPIENT_LIMIT): (
            1,
            1.0,
            pb.FAILURE_TRANSIENCE_TRANSIENT,
        ),
    }
    assert all(row.remedy for row in answer.reasons)
    assert (answer.dropped_count, answer.undelivered_count) == (2, 1)


async def test_each_message_tells_its_state_failure_and_history(outside: Outside) -> None:
    """A number must lead to the messages behind it."""
    fixture = FixtureA("fixture-a-messages")
    await play(fixture, outside, 5)
    await outside.complete_report(fixture.campaign_id)

    async def get(**which: str) -> messages.Message:
        request = messages.GetMessageRequest(**which)
        return (await outside.call(outside.messages.GetMessage, request, "reader")).message

    failed = await get(provider="meta", provider_message_id=fixture.wamid("P7"))
    refused = await get(message_ref=fixture.ref("P10"))
    malformed = await get(message_ref=fixture.ref("P11"))
    read = await get(message_ref=fixture.ref("P4"))

    assert failed.state == pb.MESSAGE_STATE_UNDELIVERED
    assert failed.failure.provider_code == "131049"
    assert [entry.kind for entry in failed.history] == [
        pb.EVENT_KIND_ACCEPTED,
        pb.EVENT_KIND_SENT,
        pb.EVENT_KIND_UNDELIVERED,
    ]
    assert refused.state == malformed.state == pb.MESSAGE_STATE_DROPPED
    assert refused.failure.reason == pb.FAILURE_REASON_RATE_LIMITS
    assert malformed.failure.reason == pb.FAILURE_REASON_INVALID_PHONE_NUMBERS
    assert read.state == pb.MESSAGE_STATE_READ
    assert (read.reply_count, read.tap_count) == (2, 1)
    assert "+49" not in read.address


async def test_a_failure_followed_by_a_delivery_keeps_both_acts(outside: Outside) -> None:
    """A failed report does not prove that nobody saw the message."""
    fixture = FixtureA("fixture-a-recovered")
    fixture.callbacks.append(
        fixture.callbacks[10].replace(fixture.wamid("P1a").encode(), fixture.wamid("P7").encode())
    )
    await play(fixture, outside, 6)

    report = await outside.complete_report(fixture.campaign_id)
    request = messages.GetMessageRequest(provider="meta", provider_message_id=fixture.wamid("P7"))
    found = (await outside.call(outside.messages.GetMessage, request)).message

    assert found.state == pb.MESSAGE_STATE_DELIVERED
    assert found.is_recovered
    assert found.failure.provider_code == "131049"
    assert (report.counters["delivered"], report.counters["undelivered"]) == (8, 0)


async def test_before_the_send_counters_are_zero_and_rates_do_not_exist(outside: Outside) -> None:
    """Zero of nothing is not zero per cent."""
    create = campaigns.CreateCampaignRequest(
        campaign=campaigns.Campaign(campaign_id="not-sent-yet", name="Soon")
    )
    await outside.call(outside.campaigns.CreateCampaign, create, "sender")

    report = await outside.report("not-sent-yet")

    assert report.counters["targeted"] == 0
    assert set(report.counters.values()) == {0}
    assert not any(rate.HasField("value") for rate in report.rates.values())


async def test_a_later_report_has_a_later_stamp(outside: Outside) -> None:
    """Whoever reads a number must know how old it is."""
    fixture = FixtureA("fixture-a-stamp")
    await play(fixture, outside, 7)
    first = await outside.complete_report(fixture.campaign_id)

    later = await outside.callback(fixture.callbacks[0])
    second = await outside.complete_report(fixture.campaign_id)

    assert later == 200
    assert second.as_of_time.ToNanoseconds() > first.as_of_time.ToNanoseconds()
    assert second.complete_until_time.ToNanoseconds() > first.complete_until_time.ToNanoseconds()


async def test_an_unknown_campaign_is_not_found(outside: Outside) -> None:
    """A typing error must not look like a campaign without messages."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await outside.report("nobody-made-this")

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
