"""Simulated callbacks look, and are signed, as the provider's own."""

import hashlib
import hmac
import json
import random
from typing import Any

import pytest
from bluetick.v1 import ingest_service_pb2

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import ENGAGEMENT_KINDS, FactKind
from libs.simulator.meta import MetaProvider
from libs.simulator.provider import Subscription
from libs.simulator.records import earlier_record, engagement_record, message_record
from libs.simulator.scenario import build_scenario
from libs.simulator.shares import Shares

SECRET = "an app secret"
PROVIDER = MetaProvider(Subscription(secret=SECRET))
SCENARIO = build_scenario(
    campaign_id="spring",
    seed=11,
    message_count=400,
    start_time_s=1_785_900_000,
    carrier=PROVIDER.carrier,
    shares=Shares(stopped=0.2, reacted=0.2, undelivered=0.2, dropped=0.1, told_before=0.1),
)


def emissions_of(*kinds: FactKind) -> list[Emission]:
    return [Emission(one, 0.0, one.occur_time_s) for one in SCENARIO.facts if one.kind in kinds]


def values_of(callback: Callback) -> list[dict[str, Any]]:
    envelope = json.loads(callback.body)
    return [change["value"] for entry in envelope["entry"] for change in entry["changes"]]


def test_the_signature_is_over_the_bytes_as_sent() -> None:
    """A door that dumps the JSON again before it checks must fail on these bodies."""
    told = emissions_of(FactKind.SENT, FactKind.FAILED, FactKind.REPLY)
    dumped_alike = 0
    for seed in range(20):
        callback = PROVIDER.render(told[seed : seed + 20], random.Random(seed))

        expected = hmac.new(SECRET.encode(), callback.body, hashlib.sha256).hexdigest()
        assert dict(callback.headers)["X-Hub-Signature-256"] == f"sha256={expected}"
        again = json.dumps(json.loads(callback.body), ensure_ascii=False, separators=(",", ":"))
        dumped_alike += again.encode() == callback.body
    assert 0 < dumped_alike < 20


def test_one_callback_tells_every_update_given_to_it() -> None:
    """The truth counts updates; a renderer that drops or doubles one would break it silently."""
    told = [one for one in emissions_of(*FactKind) if one.fact.kind not in ENGAGEMENT_KINDS][:900]

    callback = PROVIDER.render(told, random.Random(1))

    statuses = [one for value in values_of(callback) for one in value.get("statuses", ())]
    inbound = [one for value in values_of(callback) for one in value.get("messages", ())]
    assert len(statuses) + len(inbound) == len(told) == callback.update_count
    assert all(one["timestamp"].isdecimal() for one in statuses + inbound)


def test_both_generations_of_the_webhook_are_written() -> None:
    """From version 24 on there is no conversation; receivers must take either."""
    told = emissions_of(FactKind.SENT)[:1]

    shapes = {
        "conversation" in values_of(PROVIDER.render(told, random.Random(seed)))[0]["statuses"][0]
        for seed in range(20)
    }

    assert shapes == {True, False}


def test_a_repeated_inbound_message_keeps_its_id() -> None:
    """Repeats are counted once by the id of the inbound message."""
    reply = emissions_of(FactKind.REPLY)[:1]

    ids = {
        values_of(PROVIDER.render(reply, random.Random(seed)))[0]["messages"][0]["id"]
        for seed in range(5)
    }

    assert len(ids) == 1


@pytest.mark.parametrize(
    "kind", [FactKind.REPLY, FactKind.TAP, FactKind.STOP_TAP, FactKind.REACTION]
)
def test_every_inbound_message_points_at_ours(kind: FactKind) -> None:
    """Without the pointer a reply belongs to no message and the truth would be wrong."""
    (emission, *_) = emissions_of(kind)

    (value,) = values_of(PROVIDER.render([emission], random.Random(0)))

    (inbound,) = value["messages"]
    pointer = inbound.get("context", {}).get("id") or inbound["reaction"]["message_id"]
    assert pointer == emission.fact.message.provider_message_id


def test_records_say_what_became_of_the_hand_over() -> None:
    """A dropped message has no provider id, an accepted one must have it."""
    for message in SCENARIO.messages:
        record = message_record(message, provider="meta", account="acct_1")

        outcome = record.WhichOneof("outcome")
        assert outcome == {"queued": None}.get(message.outcome, message.outcome.value)
        assert bool(record.provider_message_id) == (outcome == "accepted")


def test_an_earlier_record_has_the_same_reference_and_no_provider_id() -> None:
    """A sender may say "queued" or "refused" first and "accepted" later, of one message."""
    told_before = [one for one in SCENARIO.messages if one.earlier_outcome is not None]

    assert told_before
    for message in told_before:
        earlier = earlier_record(message)
        assert earlier is not None
        assert earlier.message_ref == message.message_ref
        assert earlier.provider_message_id == ""
        assert earlier_record(earlier) is None


def test_engagements_name_their_message_in_either_way() -> None:
    """By reference or by the provider's id: both are in the contract, so both are used."""
    records = [engagement_record(one, provider="meta") for one in emissions_of(*ENGAGEMENT_KINDS)]

    by_ref = [one for one in records if one.message_ref and not one.provider_message_id]
    by_id = [one for one in records if one.provider_message_id and not one.message_ref]
    assert by_ref and by_id and len(by_ref) + len(by_id) == len(records)
    kinds = {one.kind for one in records}
    assert kinds == {
        ingest_service_pb2.ENGAGEMENT_KIND_CLICK,
        ingest_service_pb2.ENGAGEMENT_KIND_UNSUBSCRIBE,
    }
