"""Codes that nobody knows are counted and kept, so that somebody looks them up."""

from bluetick.v1 import common_pb2 as pb
from bluetick.v1.ingest_service_pb2 import Dropped, RecordMessagesRequest
from bluetick.v1.ingest_service_pb2 import TestCallbackRequest as Request

from libs.runtime import metrics
from libs.runtime.accounts import Accounts
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_callback import record_callback
from services.ingest.record_messages import record_messages
from services.ingest.try_callback import try_callback
from tests.ingest.meta_bodies import (
    ACCOUNT,
    callback,
    change,
    dump,
    envelope,
    signature,
    status,
)
from tests.ingest.record_builders import NOW_US, KeptEvents, a_dropped


def _count(provider: str) -> float:
    name = "bluetick_ingest_unmapped_codes_total"
    return metrics.REGISTRY.get_sample_value(name, {"provider": provider}) or 0


def _failures(*codes: int) -> bytes:
    failures = [status("failed", id=f"wamid.{c}", errors=[{"code": c}]) for c in codes]
    return dump(envelope(change(statuses=failures)))


async def test_a_callback_with_a_code_nobody_knows_is_counted_and_keeps_the_code() -> None:
    """A provider brings out new codes without asking."""
    events, before = KeptEvents(), _count("meta")

    await record_callback(callback(_failures(987654, 131049)), ACCOUNT, BY_NAME["meta"], events)

    assert _count("meta") == before + 1
    unknown, known = events.batch.events
    assert (unknown.reason, unknown.provider_code) == (pb.FAILURE_REASON_UNMAPPED, "987654")
    assert known.reason == pb.FAILURE_REASON_META_RECIPIENT_LIMIT


async def test_a_senders_drop_counts_under_a_bounded_name() -> None:
    """Whatever name a sender makes up must not become a time series."""
    before = _count("other"), _count("twilio"), _count("acme")
    records = [
        a_dropped(provider=provider, dropped=Dropped(provider_code="no-such-code"))
        for provider in ("acme", "twilio")
    ]
    silent = a_dropped(dropped=Dropped(detail="no code at all"))

    await record_messages(
        RecordMessagesRequest(messages=[*records, silent]),
        tenant_id="demo",
        now_us=NOW_US,
        events=KeptEvents(),
    )

    assert (_count("other"), _count("twilio"), _count("acme")) == (
        before[0] + 1,
        before[1] + 1,
        before[2],
    )


async def test_trying_a_callback_counts_nothing_and_tells_the_topic() -> None:
    """Numbers are of what happened; a topic says what to do about it."""
    body, before = _failures(987654, 131042, 131047), _count("meta")

    answer = try_callback(
        Request(
            provider="meta",
            account="acct_1",
            headers={"X-Hub-Signature-256": signature(body)["x-hub-signature-256"]},
            body=body,
        ),
        tenant_id="demo",
        accounts=Accounts([ACCOUNT]),
        now_us=NOW_US,
        public_url="https://hooks.example.com/",
        body_bytes_max=10_000,
        signature_age_s_max=0,
    )

    assert [event.topic for event in answer.events] == [
        pb.FAILURE_TOPIC_UNSPECIFIED,
        pb.FAILURE_TOPIC_PAYMENT,
        pb.FAILURE_TOPIC_WINDOW_CLOSED,
    ]
    assert _count("meta") == before
