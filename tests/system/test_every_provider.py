"""One campaign through every provider's door, in its own format and with its own signature."""

import asyncio
import random
from collections.abc import Iterable

import pytest
from bluetick.v1 import analytics_service_pb2 as analytics
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from libs.embedded.demo_accounts import ACCOUNT, demo_accounts, signing_secret
from libs.simulator.chaos import Emission
from libs.simulator.door import Door
from libs.simulator.facts import Channel, FactKind
from libs.simulator.provider import Subscription
from libs.simulator.records import engagement_record, message_record
from libs.simulator.registry import PROVIDERS, every_channel
from tests.system.fixture_a_facts import DELIVERY, READS, REPLIES, FixtureAFacts
from tests.system.outside import Outside

PAIRS = every_channel()


def fixture_of(outside: Outside, name: str, channel: Channel) -> FixtureAFacts:
    """Return the campaign as `name` tells it."""
    url = f"{outside.machine['ingest']}/callbacks/{name}/{ACCOUNT}"
    given = Subscription(url=url, secret=signing_secret(name), channel=channel)
    return FixtureAFacts(f"fixture-a-{name}-{channel.value}", PROVIDERS[name](given))


async def report_of(
    outside: Outside, fixture: FixtureAFacts
) -> analytics.GetCampaignReportResponse:
    """Tell everything twice in a wild order, callbacks before and after records; then ask."""
    chance = random.Random(fixture.campaign_id)
    told = fixture.emissions(by_provider=True) * 2
    chance.shuffle(told)
    half = len(told) // 2
    await call_back(fixture, batches(told[:half], fixture, chance), chance)
    await record(outside, fixture)
    await call_back(fixture, batches(told[half:], fixture, chance), chance)
    return await outside.complete_report(fixture.campaign_id)


def batches(
    told: list[Emission], fixture: FixtureAFacts, chance: random.Random
) -> Iterable[list[Emission]]:
    """Cut into callbacks as large as the provider makes them, but never all in one."""
    start = 0
    while start < len(told):
        size = chance.randint(1, min(5, fixture.provider.updates_max))
        yield told[start : start + size]
        start += size


async def call_back(
    fixture: FixtureAFacts, cut: Iterable[list[Emission]], chance: random.Random
) -> None:
    """Send callbacks through the real door; raises if it does not take one."""
    door = Door(fixture.provider.url)
    try:
        for part in cut:
            await door.deliver(fixture.provider.render(part, chance), retry_s=5)
    finally:
        await door.close()


async def record(outside: Outside, fixture: FixtureAFacts) -> None:
    """Tell what the sender's own systems know."""
    name = fixture.provider.name
    records = [message_record(one, provider=name, account=ACCOUNT) for one in fixture.messages]
    request = ingest.RecordMessagesRequest(messages=records)
    answer = await outside.call(outside.ingest.RecordMessages, request, "sender")
    assert answer.recorded_count == len(records), answer
    acts = [engagement_record(one, provider=name) for one in fixture.emissions(by_provider=False)]
    engagements = ingest.RecordEngagementsRequest(engagements=acts)
    answer = await outside.call(outside.ingest.RecordEngagements, engagements, "sender")
    assert answer.recorded_count == len(acts), answer


def test_every_provider_with_a_demo_account_is_simulated() -> None:
    """A provider that nobody can try out without a contract is a provider that nobody tested."""
    accounts = {one["provider"] for one in demo_accounts()["accounts"]}

    assert set(PROVIDERS) == accounts


@pytest.mark.parametrize(("name", "channel"), PAIRS, ids=[f"{a}-{b.value}" for a, b in PAIRS])
async def test_the_same_campaign_has_the_same_numbers_through_every_door(
    outside: Outside, name: str, channel: Channel
) -> None:
    """Numbers of two providers are compared; a dialect must not move one."""
    fixture = fixture_of(outside, name, channel)
    kinds = fixture.provider.kinds

    report = await report_of(outside, fixture)

    expected = dict(DELIVERY)
    if FactKind.READ in kinds:
        expected |= READS
        # One of the readers-off people clicked, the other one answered.
        expected["read_inferred"] = 5
    if FactKind.REPLY in kinds:
        expected |= REPLIES
        expected["quick_reply_taps"] = int(FactKind.TAP in kinds)
    found = {counter: report.counters.get(counter) for counter in expected}
    assert found == expected

    missing = {one.metric: one.reason for one in report.unavailable}
    if channel is Channel.SMS:
        # An SMS has no receipt: the number does not exist, and 0 would be a lie.
        assert missing["read"] == "SMS_NO_RECEIPTS"
        assert missing["read_per_delivered"] == "SMS_NO_RECEIPTS"
        assert "read" not in report.counters
        assert "read_per_delivered" not in report.rates
    else:
        assert "read" not in missing

    caveats = {one.metric: one.reason for one in report.caveats}
    if channel is Channel.EMAIL:
        assert caveats["read"] == "EMAIL_OPENS_LOWER_BOUND"
        assert caveats["read_per_delivered"] == "EMAIL_OPENS_LOWER_BOUND"
    else:
        assert caveats == {}


async def test_failures_of_every_provider_have_a_reason(outside: Outside) -> None:
    """Why a message failed must be told in one language, whatever the provider's code."""
    found = await asyncio.gather(*(reasons_of(outside, *pair) for pair in PAIRS))

    for (name, channel), reason in zip(PAIRS, found, strict=True):
        expected = fixture_of(outside, name, channel).provider.failures[0].reason
        assert reason == f"FAILURE_REASON_{expected}", (name, channel)


async def reasons_of(outside: Outside, name: str, channel: Channel) -> str:
    """Return the reason of the one undelivered message."""
    fixture = fixture_of(outside, name, channel)
    await report_of(outside, fixture)
    request = analytics.GetFailureReasonsRequest(
        campaign_id=fixture.campaign_id, stage=pb.FAILURE_STAGE_UNDELIVERED
    )
    answer = await outside.call(outside.analytics.GetFailureReasons, request, "reader")
    (row,) = answer.reasons
    return pb.FailureReason.Name(row.reason)
