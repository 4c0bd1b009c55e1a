"""Every simulated provider says what it is given, in the truth's own terms."""

import random

import pytest
from bluetick.v1 import common_pb2

from libs.catalogue.failures import lookup, reason_after_hand_over
from libs.embedded.demo_accounts import signing_secret
from libs.simulator.callback import Callback
from libs.simulator.chaos import LEVELS, Emission
from libs.simulator.facts import ENGAGEMENT_KINDS, Channel, FactKind, Outcome
from libs.simulator.plan import TellCallback, plan_telling
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.registry import PROVIDERS, channels_of, every_channel
from libs.simulator.simulation import Simulation, provider_of, scenario_of
from libs.simulator.truth import count_truth

PAIRS = every_channel()
IDS = [f"{name}-{channel.value}" for name, channel in PAIRS]
every_pair = pytest.mark.parametrize(("name", "channel"), PAIRS, ids=IDS)


def a_simulation(name: str, channel: Channel, campaign_id: str = "spring") -> Simulation:
    return Simulation(
        gateway="",
        ingest_url="http://127.0.0.1:1",
        api_key="",
        secret=signing_secret(name),
        campaign_id=campaign_id,
        message_count=1200,
        seed=5,
        provider=name,
        channel=channel,
        chaos="wild",
    )


def told_by(provider: SimulatedProvider, simulation: Simulation) -> list[Emission]:
    scenario = scenario_of(simulation, provider, start_time_s=1_785_900_000)
    facts = [fact for fact in scenario.facts if fact.kind in provider.kinds]
    return [Emission(fact, 0.0, fact.occur_time_s) for fact in facts]


def content_of(callback: Callback) -> bytes:
    return callback.body + callback.query.encode()


@every_pair
def test_every_kind_that_a_provider_claims_to_tell_is_rendered(name: str, channel: Channel) -> None:
    """A kind that is claimed and not told would be missing from the report, and blamed on it."""
    simulation = a_simulation(name, channel)
    provider = provider_of(simulation)
    told = told_by(provider, simulation)

    few = [
        emission
        for kind in provider.kinds
        for emission in [one for one in told if one.fact.kind is kind][:10]
    ]
    callbacks = [provider.render([emission], random.Random(1)) for emission in few]

    assert {emission.fact.kind for emission in told} == provider.kinds
    assert all(callback.update_count == 1 for callback in callbacks)
    assert all(content_of(callback) for callback in callbacks)


@every_pair
def test_a_callback_never_tells_more_than_the_provider_puts_into_one(
    name: str, channel: Channel
) -> None:
    """Twilio sends no lists: a simulator that does would test a door that nobody knocks at."""
    simulation = a_simulation(name, channel)
    provider = provider_of(simulation)
    scenario = scenario_of(simulation, provider, start_time_s=1_785_900_000)

    plan = plan_telling(
        scenario,
        LEVELS["wild"],
        random.Random(1),
        by_sender=ENGAGEMENT_KINDS - provider.kinds,
        updates_max=provider.updates_max,
    )

    callbacks = [step.emissions for step in plan.steps if isinstance(step, TellCallback)]
    assert max(map(len, callbacks)) <= provider.updates_max
    assert {one.fact.kind for part in callbacks for one in part} <= provider.kinds
    chance = random.Random(1)
    assert all(provider.render(part, chance).update_count == len(part) for part in callbacks[:50])


@every_pair
def test_ids_are_new_for_each_message_and_campaign(name: str, channel: Channel) -> None:
    """Two messages with one id are one message to everybody else."""
    provider = provider_of(a_simulation(name, channel))
    campaigns = [
        scenario_of(a_simulation(name, channel, campaign), provider, start_time_s=1_785_900_000)
        for campaign in ("spring", "autumn")
    ]

    ids = [
        message.provider_message_id
        for scenario in campaigns
        for message in scenario.messages
        if message.outcome is Outcome.ACCEPTED
    ]

    assert len(ids) > 2000
    assert len(set(ids)) == len(ids)


@every_pair
def test_the_reasons_of_simulated_codes_are_those_of_the_catalogue(
    name: str, channel: Channel
) -> None:
    """The simulator's own tables are written by hand; a change of the catalogue shows here."""
    for failure in provider_of(a_simulation(name, channel)).failures:
        found = lookup(name, failure.code, common_pb2.FAILURE_STAGE_UNDELIVERED)
        told = found.reason if found else common_pb2.FAILURE_REASON_UNMAPPED
        reason = reason_after_hand_over(name, failure.code, told)

        assert common_pb2.FailureReason.Name(reason) == f"FAILURE_REASON_{failure.reason}", failure


def test_no_sms_is_ever_read_and_the_truth_says_that_the_number_does_not_exist() -> None:
    """0 of 1,200 read would be a lie about people; the channel cannot tell."""
    for name, channel in PAIRS:
        if channel is not Channel.SMS:
            continue
        simulation = a_simulation(name, channel)
        provider = provider_of(simulation)
        scenario = scenario_of(simulation, provider, start_time_s=1_785_900_000)

        truth = count_truth(scenario.messages, scenario.facts)

        assert FactKind.READ not in provider.kinds
        assert "read" not in truth.counters
        assert truth.unavailable["read"] == "SMS_NO_RECEIPTS"


def test_opened_emails_are_off_either_way_in_the_truth() -> None:
    """Who blocks pictures reads all the same, and machines fetch pictures that nobody sees."""
    simulation = a_simulation("postmark", Channel.EMAIL)
    scenario = scenario_of(simulation, provider_of(simulation), start_time_s=1_785_900_000)

    truth = count_truth(scenario.messages, scenario.facts)

    assert truth.caveats == {
        "read": "EMAIL_OPENS_LOWER_AND_UPPER_BOUND",
        "human_read": "EMAIL_OPENS_LOWER_BOUND",
    }
    assert truth.counters["read"] > 0


def test_keys_of_the_wrong_kind_are_refused_at_once() -> None:
    """A signature that nobody can check would look like a fault of the door."""
    swapped = {"sendgrid": signing_secret("ses"), "ses": signing_secret("sendgrid")}

    for name, secret in swapped.items():
        given = Subscription(secret=secret, channel=channels_of(name)[0])
        with pytest.raises(ValueError, match="signs with"):
            PROVIDERS[name](given)
