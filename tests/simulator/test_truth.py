"""The simulator's truth keeps the invariants that every report must keep."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.embedded.demo_accounts import signing_secret
from libs.simulator.chaos import LEVELS, disturb, told_facts
from libs.simulator.facts import Channel, Fact, FactKind, Outcome, Scenario, SimulatedMessage
from libs.simulator.meta import MetaProvider
from libs.simulator.plan import TellCallback, TellEngagements, TellRecords, plan_telling
from libs.simulator.provider import Subscription
from libs.simulator.registry import PROVIDERS
from libs.simulator.scenario import ATTEMPTS_MAX, SPAN_S, build_scenario
from libs.simulator.shares import Carrier, Shares
from libs.simulator.truth import Truth, count_truth

START_S = 1_785_900_000
SEEDS = range(1000)

# Everything that is rare in a real campaign is frequent in this one.
STORMY = Shares(
    two_numbers=0.2,
    queued=0.1,
    dropped=0.15,
    told_before=0.2,
    strangers=0.1,
    pending=0.1,
    undelivered=0.2,
    recovered=0.2,
    clicked=0.4,
    replied=0.3,
    tapped=0.3,
    reacted=0.2,
    stopped=0.2,
    retried=0.7,
    parted=0.4,
)


def a_scenario(
    seed: int,
    message_count: int = 60,
    shares: Shares = STORMY,
    carrier: Carrier | None = None,
    fallback: Carrier | None = None,
) -> Scenario:
    return build_scenario(
        campaign_id="spring",
        seed=seed,
        message_count=message_count,
        start_time_s=START_S,
        carrier=carrier or MetaProvider(Subscription()).carrier,
        fallback=fallback,
        shares=shares,
    )


def a_message(
    name: str, outcome: Outcome = Outcome.ACCEPTED, contact_id: str = "", drop_reason: str = ""
) -> SimulatedMessage:
    return SimulatedMessage(
        message_ref=name,
        campaign_id="spring",
        contact_id=contact_id or name,
        address="+4915100000000",
        profile_name="Zoë",
        outcome=outcome,
        outcome_time_s=START_S,
        provider_message_id=f"wamid.{name}" if outcome is Outcome.ACCEPTED else "",
        drop_reason=drop_reason,
    )


def some_facts(message: SimulatedMessage, *kinds: FactKind, code: str = "") -> list[Fact]:
    return [
        Fact(
            fact_id=f"{message.message_ref}#{index}",
            kind=kind,
            message=message,
            occur_time_s=START_S + index,
            code=code if kind is FactKind.FAILED else "",
            link_id="shop" if kind is FactKind.CLICK else "",
        )
        for index, kind in enumerate(kinds)
    ]


def sms(name: str) -> Carrier:
    return PROVIDERS[name](Subscription(secret=signing_secret(name), channel=Channel.SMS)).carrier


def assert_invariants(truth: Truth) -> None:
    count = truth.counters
    assert count["sent"] <= count["attempts"]
    assert count["targeted"] == count["dropped"] + count["sent"] + count["queued"]
    assert count["sent"] == count["delivered"] + count["undelivered"] + count["pending"]
    assert count["failed"] == count["dropped"] + count["undelivered"]
    assert count["read"] <= count["read_inferred"] <= count["delivered"] <= count["sent"]
    assert count["people_reached"] <= count["people_targeted"] <= count["targeted"]
    assert count["clicked"] <= count["clicks"]
    assert count["repliers"] <= count["replied"] <= count["replies"]
    for stage, counter in (("DROPPED/", "dropped"), ("UNDELIVERED/", "undelivered")):
        reasons = [one for name, one in truth.reasons.items() if name.startswith(stage)]
        assert sum(reasons) == count[counter]


def test_counters_keep_the_invariants_for_a_thousand_seeds() -> None:
    """A simulator whose own truth does not add up proves nothing about a report."""
    for seed in SEEDS:
        scenario = a_scenario(seed, message_count=20, fallback=sms("generic"))

        truth = count_truth(scenario.messages, scenario.facts)

        assert truth.counters["targeted"] == 20
        assert_invariants(truth)


def test_a_stormy_campaign_has_retries_fallbacks_parts_and_machines() -> None:
    """What is never told of is never compared either."""
    sent = a_scenario(1, message_count=400, fallback=sms("generic"))
    mail = a_scenario(1, message_count=100, carrier=mail_carrier())
    again = [one for one in sent.messages if one.attempt]
    counters = count_truth(mail.messages, mail.facts).counters

    assert {one.is_fallback for one in again} == {False, True}
    assert max(one.attempt for one in again) == ATTEMPTS_MAX - 1
    assert {one.channel for one in sent.messages} == {Channel.WHATSAPP, Channel.SMS}
    assert any(fact.part for fact in sent.facts)
    assert {one.message_ref for one in again} <= {
        one.message_ref for one in sent.messages if not one.attempt
    }
    assert counters["machine_reads"] and counters["human_read"] < counters["read"]


def mail_carrier() -> Carrier:
    return PROVIDERS["sendgrid"](
        Subscription(secret=signing_secret("sendgrid"), channel=Channel.EMAIL)
    ).carrier


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), level=st.sampled_from(sorted(LEVELS)))
def test_chaos_changes_the_order_and_the_number_of_tellings_but_not_the_facts(
    seed: int, level: str
) -> None:
    """Only loss may change the truth, and what is lost is known."""
    scenario = a_scenario(seed)

    emissions = disturb(scenario.facts, LEVELS[level], random.Random(seed))

    told = told_facts(emissions)
    assert {one.fact_id for one in told} <= {one.fact_id for one in scenario.facts}
    assert len(told) >= len(scenario.facts) * 0.85
    assert count_truth(scenario.messages, told) == count_truth(
        reversed(scenario.messages), [one.fact for one in reversed(emissions)]
    )
    if LEVELS[level].lost_share == 0:
        assert told == list(scenario.facts)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), level=st.sampled_from(sorted(LEVELS)))
def test_a_plan_tells_every_record_and_exactly_the_told_facts(seed: int, level: str) -> None:
    """What the truth counts is what the wire carries, whatever the chaos."""
    scenario = a_scenario(seed, fallback=sms("generic"))

    plan = plan_telling(scenario, LEVELS[level], random.Random(seed))

    recorded = {(one.message_ref, one.attempt) for one in scenario.messages if one.is_recorded}
    told_records: set[tuple[str, int]] = set()
    told: set[str] = set()
    for step in plan.steps:
        if isinstance(step, TellRecords):
            told_records |= {(one.message_ref, one.attempt) for one in step.messages}
        else:
            told |= {one.fact.fact_id for one in step.emissions}
            size_max = 1000 if isinstance(step, TellCallback) else 200
            assert 1 <= len(step.emissions) <= size_max
            assert isinstance(step, TellCallback | TellEngagements)
        if isinstance(step, TellCallback):
            # One callback is one provider's, and of a part it is one report.
            assert {one.fact.message.is_fallback for one in step.emissions} == {step.is_fallback}
            assert len(step.emissions) == 1 or not any(one.fact.part for one in step.emissions)
    assert told_records == recorded
    assert told == {one.fact_id for one in plan.told}
    assert len(scenario.facts) == len(plan.told) + plan.lost_count


def test_the_same_seed_tells_the_same_campaign_and_another_campaign_has_other_ids() -> None:
    """A difference found once must be found again; two campaigns must never share a message."""
    assert a_scenario(7) == a_scenario(7)
    other = build_scenario(
        campaign_id="autumn",
        seed=7,
        message_count=60,
        start_time_s=START_S,
        carrier=MetaProvider(Subscription()).carrier,
    )
    ids = {one.provider_message_id for one in other.messages} - {""}
    assert not ids & {one.provider_message_id for one in a_scenario(7).messages}


def test_nothing_happens_outside_the_span_of_the_campaign() -> None:
    """Receivers refuse times in the future: a campaign started a span ago must have none."""
    scenario = a_scenario(3, message_count=2000, fallback=sms("generic"))

    times = [fact.occur_time_s for fact in scenario.facts]

    assert min(times) >= START_S and max(times) <= START_S + SPAN_S


def test_a_reaction_that_was_taken_back_counts_nowhere() -> None:
    """Whichever of the two is heard of first."""
    kept, removed = a_message("m1"), a_message("m2")
    facts = [
        *some_facts(kept, FactKind.DELIVERED, FactKind.REACTION),
        *some_facts(removed, FactKind.DELIVERED, FactKind.REACTION, FactKind.REACTION_REMOVED),
    ]

    for told in (facts, facts[::-1]):
        counters = count_truth([kept, removed], told).counters
        found = {name: counters[name] for name in ("delivered", "replied", "replies")}
        assert found == {"delivered": 2, "replied": 1, "replies": 1}


def test_a_small_campaign_is_counted_as_by_hand() -> None:
    """The recount is the judge of everything else; here a person can follow every number."""
    two_numbers = [a_message("m1", contact_id="p1"), a_message("m2", contact_id="p1")]
    failed, silent, recovered, clicker = (a_message(name) for name in ("m3", "m4", "m5", "m6"))
    bad = a_message("m7", Outcome.DROPPED, drop_reason="INVALID_PHONE_NUMBERS")
    waiting = a_message("m8", Outcome.QUEUED)
    facts = [
        *some_facts(two_numbers[0], FactKind.SENT, FactKind.DELIVERED, FactKind.READ),
        *some_facts(two_numbers[1], FactKind.READ, FactKind.TAP, FactKind.REPLY),
        *some_facts(failed, FactKind.FAILED, code="131050"),
        *some_facts(recovered, FactKind.FAILED, FactKind.DELIVERED, code="131026"),
        *some_facts(clicker, FactKind.CLICK, FactKind.CLICK),
    ]

    truth = count_truth([*two_numbers, failed, silent, recovered, clicker, bad, waiting], facts)

    assert truth.reasons == {
        "DROPPED/INVALID_PHONE_NUMBERS": 1,
        "UNDELIVERED/RECIPIENT_RELATED_ERRORS": 1,
    }
    assert {name: count for name, count in truth.counters.items() if count} == {
        "targeted": 8,
        "queued": 1,
        "dropped": 1,
        "sent": 6,
        "delivered": 4,
        "undelivered": 1,
        "pending": 1,
        "failed": 2,
        "read": 2,
        "read_inferred": 3,
        "human_read": 2,
        "attempts": 6,
        "clicked": 1,
        "clicks": 2,
        "unique_link_clicks": 1,
        "replied": 1,
        "replies": 2,
        "repliers": 1,
        "quick_reply_taps": 1,
        "interacted": 2,
        "opted_out_before": 1,
        "recovered": 1,
        "addressable": 7,
        "failed_addressable": 1,
        "people_targeted": 7,
        "people_reached": 3,
        "people_clicked": 1,
    }


def test_a_reference_is_counted_by_the_attempt_that_got_furthest() -> None:
    """Both were paid for, one arrived; of two that got equally far the first one stands."""
    failed = a_message("m1")
    arrived = replace(failed, attempt=1, channel=Channel.SMS, outcome_time_s=START_S + 60)
    lost = a_message("m2")
    silent = replace(lost, attempt=1, outcome_time_s=START_S + 60)
    facts = [
        *some_facts(failed, FactKind.FAILED, code="131026"),
        *some_facts(arrived, FactKind.DELIVERED, FactKind.CLICK),
        *some_facts(lost, FactKind.FAILED, code="131049"),
        *some_facts(silent, FactKind.SENT),
    ]

    for messages in ([failed, arrived, lost, silent], [silent, lost, arrived, failed]):
        truth = count_truth(messages, facts)
        counters = {name: count for name, count in truth.counters.items() if count}

        assert truth.reasons == {"UNDELIVERED/META_RECIPIENT_LIMIT": 1}
        assert counters["targeted"] == counters["sent"] == 2
        assert counters["attempts"] == 4
        assert (counters["delivered"], counters["undelivered"]) == (1, 1)
        # An SMS tells no read, although somebody clicked in it.
        assert "recovered" not in counters and "read_inferred" not in counters


def test_a_message_in_parts_arrived_when_all_of_them_did() -> None:
    """Of the parts that are heard of, one that was lost loses all."""
    whole, broken, under_way = (
        replace(a_message(name), channel=Channel.SMS, part_count=2) for name in ("m1", "m2", "m3")
    )
    facts = [
        *parts_of(whole, FactKind.DELIVERED, FactKind.DELIVERED),
        *parts_of(broken, FactKind.DELIVERED, FactKind.FAILED),
        *parts_of(under_way, FactKind.SENT, FactKind.DELIVERED),
    ]

    counters = count_truth([whole, broken, under_way], facts).counters

    names = ("delivered", "undelivered", "pending", "recovered")
    assert [counters[name] for name in names] == [1, 1, 1, 0]


def parts_of(message: SimulatedMessage, *kinds: FactKind) -> list[Fact]:
    return [
        replace(fact, part=number, fact_id=f"{fact.fact_id}.{number}")
        for number, fact in enumerate(some_facts(message, *kinds), 1)
    ]


def test_opens_by_machines_are_counted_beside_those_of_people() -> None:
    """They raise the count of reads, and the report has to say so."""
    one, other = (replace(a_message(name), channel=Channel.EMAIL) for name in ("m1", "m2"))
    by_machine = some_facts(one, FactKind.DELIVERED, FactKind.MACHINE_READ, FactKind.MACHINE_READ)
    by_both = some_facts(other, FactKind.DELIVERED, FactKind.MACHINE_READ, FactKind.READ)

    truth = count_truth([one, other], [*by_machine, *by_both])
    without = count_truth([one, other], [by_machine[0], *by_both])

    found = {name: truth.counters[name] for name in ("read", "human_read", "machine_reads")}
    assert found == {"read": 2, "human_read": 1, "machine_reads": 3}
    assert truth.counters["read_inferred"] == 1
    assert truth.caveats["read"] == "EMAIL_OPENS_UPPER_BOUND"
    assert without.caveats["read"] == "EMAIL_OPENS_LOWER_AND_UPPER_BOUND"


def test_facts_of_a_message_that_nobody_records_count_nowhere() -> None:
    """Other apps send from the same number; their statuses are not this campaign's."""
    scenario = a_scenario(5)
    strangers = [one for one in scenario.messages if not one.is_recorded]
    of_strangers = [one for one in scenario.facts if not one.message.is_recorded]

    truth = count_truth(strangers, of_strangers)

    assert strangers and of_strangers
    assert set(truth.counters.values()) == {0}
