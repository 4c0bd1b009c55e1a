"""Brevo's dialect."""

from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.brevo import KIND_BY_EVENT, Brevo
from tests.ingest.provider_readings import AT, AT_US, Reader, is_refused

OPEN = Reader(Brevo())
LOCKED = Reader(Brevo(), secrets={"basic_user": ["hook"], "basic_pass": ["s3cret"]})
ID = "202608050319.1@smtp-relay.mailin.fr"


def told(word: str, **fields: Any) -> dict[str, Any]:
    """One event of a transactional email."""
    return {
        "event": word,
        "email": "kim@mail.example",
        "id": 26224,
        "date": "2026-08-05 05:19:00",
        "ts": AT + 7_200,
        "message-id": f"<{ID}>",
        "ts_event": AT + 7_200,
        "ts_epoch": AT * 1_000,
        "X-Mailin-custom": '{"message_ref": "ref-1"}',
        "sending_ip": "203.0.113.9",
        **fields,
    }


@pytest.mark.parametrize(("word", "kind"), KIND_BY_EVENT.items())
def test_each_word_has_its_kind(word: str, kind: int) -> None:
    """Only one of its times is in UTC."""
    event = OPEN.event(told(word))

    assert (event.kind, event.provider_word) == (kind, word)
    assert (event.provider_message_id, event.address) == (ID, "kim@mail.example")
    assert (event.message_ref, event.occur_time_us) == ("ref-1", AT_US)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("hardBounce", pb.EVENT_KIND_UNDELIVERED), ("uniqueOpened", pb.EVENT_KIND_READ),
     ("unsubscribed", pb.EVENT_KIND_UNSUBSCRIBED), ("levitated", pb.EVENT_KIND_UNKNOWN)],
)  # fmt: skip
def test_the_words_of_its_other_interfaces_are_read(word: str, kind: int) -> None:
    """And none is guessed."""
    assert OPEN.event(told(word)).kind == kind


@pytest.mark.parametrize(
    ("word", "reason", "code"),
    [
        ("soft_bounce", "550 5.1.1 no such user", "5.1.1"),
        ("soft_bounce", "mailbox full", "event:soft_bounce"),
        ("hard_bounce", "", "event:hard_bounce"),
        ("blocked", "blocked : due to blacklist user", "event:blocked"),
    ],
)
def test_a_failure_has_the_servers_code_or_the_events_own(
    word: str, reason: str, code: str
) -> None:
    """A soft label does not outrank a final code."""
    event = OPEN.event(told(word, reason=reason))

    assert (event.provider_code, event.detail) == (code, reason)
    assert event.reason != pb.FAILURE_REASON_UNMAPPED


def test_a_proxys_open_is_a_machines() -> None:
    """Flagged, never dropped."""
    assert OPEN.event(told("proxy_open")).engagement.is_machine
    assert not OPEN.event(told("opened")).HasField("engagement")


def test_a_click_told_twice_is_one() -> None:
    """Brevo gives its events no id."""
    first, again = (OPEN.event(told("click", link="https://x.test")) for _ in range(2))

    assert first.engagement.act_id == again.engagement.act_id != ""


def test_a_batch_is_read_item_by_item() -> None:
    """One that cannot be read is no matter to its neighbour."""
    reading = OPEN.reading([told("delivered"), {"email": "x"}])

    assert [event.kind for event in reading.batch.events] == [pb.EVENT_KIND_DELIVERED]
    assert [part.reason for part in reading.batch.quarantined] == ["EVENT_MISSING"]


def test_an_event_with_items_is_an_event() -> None:
    """What it is about (an order's goods) must not hide it."""
    event = OPEN.event(told("delivered") | {"items": []})

    assert event.kind == pb.EVENT_KIND_DELIVERED


def test_an_inbound_email_answers_the_message_of_its_header() -> None:
    """Its text may be a choice, above what it quotes."""
    item = {
        "Uuid": ["u-1"], "MessageId": "<in-1@mail.example>", "InReplyTo": f"<{ID}>",
        "From": {"Name": "Kim", "Address": "kim@mail.example"},
        "To": [{"Address": "desk@reply.example"}], "Subject": "Re: Sale",
        "SentAtDate": "Wed, 05 Aug 2026 03:19:00 +0000",
        "RawTextBody": "Stop\n\nOn Tue, Shop wrote:\n> Sale!", "Headers": {"X": ["1", "2"]},
    }  # fmt: skip

    reply, left = OPEN.events({"items": [item]})

    assert (reply.kind, left.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert reply.message_key == OPEN.event(told("delivered")).message_key
    assert reply.occur_time_us == AT_US


def test_what_nothing_proves_is_refused() -> None:
    """Nothing is signed, so the address must bring a credential."""
    body = told("delivered")

    assert is_refused(LOCKED.outcome(body), 401)
    assert is_refused(Reader(Brevo(), secrets={}).outcome(body), 401)
    assert LOCKED.event(body, headers={"authorization": "Basic aG9vazpzM2NyZXQ="}).kind
