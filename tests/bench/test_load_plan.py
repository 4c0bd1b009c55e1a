"""The bench's own truth: what it sends is what it counts, and nothing is sent twice."""

import hashlib
import hmac
import json
import random
from collections import defaultdict
from itertools import pairwise

import pytest

from libs.bench.load_plan import LoadPlan, TruthOfPlan
from libs.bench.meta_bodies import MetaBodies, Told
from libs.simulator.chaos import Emission
from libs.simulator.facts import Channel, Fact, FactKind, Outcome, SimulatedMessage
from libs.simulator.meta import MetaProvider
from libs.simulator.provider import Subscription
from libs.simulator.truth import count_truth

START_S = 1_785_900_000
PLAN = LoadPlan(name="bench-test", campaigns=3, start_time_s=START_S, spread=200)
MESSAGES = 2_000
SECRET = "a secret"


def simulated(message: int) -> SimulatedMessage:
    record = PLAN.record(message)
    return SimulatedMessage(
        message_ref=record.message_ref,
        campaign_id=record.campaign_id,
        contact_id=record.contact_id,
        address=record.address,
        profile_name="Ada",
        outcome=Outcome.ACCEPTED,
        outcome_time_s=record.accepted.accept_time.seconds,
        provider_message_id=record.provider_message_id,
        channel=Channel.WHATSAPP,
    )


def test_the_truth_is_what_another_count_of_the_same_things_says() -> None:
    """A wrong truth would call a right report wrong, or, worse, the other way round."""
    truth = TruthOfPlan(PLAN)
    messages, facts = defaultdict(list), defaultdict(list)
    for message in range(MESSAGES):
        things = PLAN.things(message)
        truth.add(message, things)
        whole = simulated(message)
        messages[whole.campaign_id].append(whole)
        facts[whole.campaign_id] += [
            Fact(
                fact_id=f"{message}-{told.kind}",
                kind=told.kind,
                message=whole,
                occur_time_s=told.occur_time_s,
                code=told.code,
            )
            for told in things
        ]

    assert set(messages) == set(PLAN.campaign_ids())
    for campaign_id in PLAN.campaign_ids():
        counted = count_truth(messages[campaign_id], facts[campaign_id])
        assert truth.truth(campaign_id).counters == counted.counters
        assert truth.truth(campaign_id).reasons == counted.reasons
        assert counted.counters["undelivered"] > 0
        assert counted.counters["people_reached"] < counted.counters["delivered"]


def test_everything_that_happens_is_told_once_and_mixed() -> None:
    """Requests that come round again would be repeats, which cost a third."""
    told = [(one.message, one.told.kind) for one in PLAN.in_order(range(MESSAGES))]

    happened = {
        (message, thing.kind) for message in range(MESSAGES) for thing in PLAN.things(message)
    }
    assert len(told) == len(set(told))
    assert set(told) == happened
    out_of_turn = sum(one > other for (one, _), (other, _) in pairwise(told))
    assert out_of_turn > len(told) // 10


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FactKind.SENT, ""),
        (FactKind.DELIVERED, ""),
        (FactKind.READ, ""),
        (FactKind.FAILED, "131049"),
        (FactKind.FAILED, "130472"),
    ],
)
def test_a_body_is_to_the_byte_what_the_simulated_provider_writes(
    kind: FactKind, code: str
) -> None:
    """A load of bodies that Meta would not send measures another door."""
    message = simulated(7)
    told = Told(kind, message.provider_message_id, message.address, START_S + 9, code)
    fact = Fact(fact_id="7", kind=kind, message=message, occur_time_s=START_S + 9, code=code)
    provider = MetaProvider(Subscription(secret=SECRET))
    emission = Emission(fact, 0.0, START_S + 9)

    forms = {provider.render([emission], random.Random(seed)).body for seed in range(50)}
    bodies = MetaBodies(SECRET, "/callbacks/meta/a")
    ours = {bodies.request([told], form).partition(b"\r\n\r\n")[2] for form in range(8)}

    assert ours == forms


def test_requests_are_signed_over_all_statuses_that_they_hold() -> None:
    """A door that checks signatures must have something to check."""
    told = [one.told for one in PLAN.in_order(range(40)) if one.told.kind is not FactKind.REPLY]

    request = MetaBodies(SECRET, "/callbacks/meta/a").request(told, 1)

    head, _, body = request.partition(b"\r\n\r\n")
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert f"X-Hub-Signature-256: sha256={signature}".encode() in head
    assert f"Content-Length: {len(body)}".encode() in head
    statuses = json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"]
    assert [(one["id"], one["status"]) for one in statuses] == [
        (one.provider_message_id, one.kind.value) for one in told
    ]
