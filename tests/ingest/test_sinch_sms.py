"""Sinch's SMS API, on the same address as the Conversation API."""

from typing import Any

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.message_ids import names_of
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import CREDENTIAL, UNPROVEN, Refused
from services.ingest.providers.sinch import Sinch
from tests.ingest.security_suite import NOW_US
from tests.ingest.test_sinch import ACCOUNT, AT, AT_US, PHONE, callback, events, report

BATCH = "01BATCH"


def recipient_report(word: str, code: int = 0, **fields: Any) -> dict[str, Any]:
    given = {"type": "recipient_delivery_report_sms", "batch_id": BATCH, "recipient": f"+{PHONE}"}
    return {**given, "status": word, "code": code, "at": AT, "client_reference": "ref-1", **fields}


def batch_report(*statuses: dict[str, Any]) -> dict[str, Any]:
    given = {"type": "delivery_report_sms", "batch_id": BATCH, "total_message_count": 3}
    return {**given, "statuses": list(statuses), "client_reference": "campaign"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Queued", pb.EVENT_KIND_QUEUED), ("Dispatched", pb.EVENT_KIND_SENT),
        ("Delivered", pb.EVENT_KIND_DELIVERED), ("Aborted", pb.EVENT_KIND_DROPPED),
        ("Cancelled", pb.EVENT_KIND_CANCELED), ("Failed", pb.EVENT_KIND_UNDELIVERED),
        ("Rejected", pb.EVENT_KIND_UNDELIVERED), ("Expired", pb.EVENT_KIND_UNDELIVERED),
        ("Deleted", pb.EVENT_KIND_UNDELIVERED), ("Unknown", pb.EVENT_KIND_INFO),
        ("Lost", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_becomes_its_kind(word: str, kind: int) -> None:
    """One batch covers several recipients, so both together name the message."""
    (event,) = events(recipient_report(word))

    assert (event.kind, event.provider_word) == (kind, word)
    assert event.provider_message_id == f"{BATCH}/+{PHONE}"
    assert event.address == f"+{PHONE}"
    assert event.message_ref == "ref-1"
    assert event.occur_time_us == AT_US


@pytest.mark.parametrize("recipient", [PHONE, f"+{PHONE}"])
def test_a_recipient_is_the_same_with_and_without_plus(recipient: str) -> None:
    """Sinch writes it now so and now so; one message must not become two."""
    (event,) = events(recipient_report("Delivered", recipient=recipient))

    assert event.message_key == names_of("demo", "sinch", "", f"{BATCH}/00{PHONE}").key


@pytest.mark.parametrize(
    ("word", "code", "reason"),
    [
        ("Failed", 402, pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ("Rejected", 408, pb.FAILURE_REASON_META_ERRORS),
        ("Aborted", 412, pb.FAILURE_REASON_COUNTRY_CODE_DROPS),
        ("Failed", 999, pb.FAILURE_REASON_UNMAPPED),
    ],
)
def test_a_failure_has_the_reason_of_its_code(word: str, code: int, reason: int) -> None:
    """Codes on other statuses ("Dispatched" is 401) are no failures."""
    (event,) = events(recipient_report(word, code))
    (sent,) = events(recipient_report("Dispatched", 401))

    assert (event.provider_code, event.reason) == (str(code), reason)
    assert not sent.provider_code


def test_a_batch_report_is_a_report_for_each_recipient() -> None:
    """It has no time, and one reference for all: neither tells about one message."""
    found = events(
        batch_report(
            {"code": 0, "status": "Delivered", "count": 2, "recipients": ["461", "462"]},
            {"code": 402, "status": "Aborted", "count": 1, "recipients": ["463"]},
        )
    )

    assert [(event.kind, event.provider_message_id) for event in found] == [
        (pb.EVENT_KIND_DELIVERED, f"{BATCH}/461"),
        (pb.EVENT_KIND_DELIVERED, f"{BATCH}/462"),
        (pb.EVENT_KIND_DROPPED, f"{BATCH}/463"),
    ]
    assert {event.occur_time_us for event in found} == {NOW_US}
    assert not any(event.is_time_clamped or event.message_ref for event in found)


def test_one_bad_recipient_does_not_cost_its_neighbours() -> None:
    """A batch has up to a thousand; very many bad ones are kept as one body."""
    bad = ["4" * 600, "46\x001"]
    status = {"code": 0, "status": "Delivered", "recipients": ["461", *bad, None, "462"]}
    reading = Sinch().parse(callback(batch_report(status)), ACCOUNT)
    hopeless = Sinch().parse(
        callback(batch_report({**status, "recipients": ["461", *bad * 99]})), ACCOUNT
    )

    assert isinstance(reading, Reading)
    assert [event.address for event in reading.batch.events] == ["461", "462"]
    assert [part.is_part for part in reading.batch.quarantined] == [True, True]
    assert isinstance(hopeless, Reading)
    assert not hopeless.batch.events
    assert [part.reason for part in hopeless.batch.quarantined] == ["PARTS_TOO_MANY"]


def test_a_summary_moves_no_message() -> None:
    """It counts recipients and names none."""
    (event,) = events(batch_report({"code": 0, "status": "Delivered", "count": 3}))

    assert event.kind == pb.EVENT_KIND_INFO
    assert not event.message_key
    assert "3" in event.detail


def test_an_inbound_sms_is_a_reply_and_stop_an_opt_out() -> None:
    """It names no message; the address must tell which one it answers."""
    body = {"type": "mo_text", "id": "01IN", "from": PHONE, "to": "12345", "body": "STOP"}

    reply, opt_out = events({**body, "received_at": AT})

    assert (reply.kind, opt_out.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert reply.address == f"+{PHONE}"
    assert reply.engagement.act_id == "01IN"
    assert reply.occur_time_us == AT_US


def test_reports_come_unsigned_and_conversations_do_not() -> None:
    """Only the SMS API signs nothing, and its ids are none of a conversation's."""
    bare = callback(recipient_report("Delivered"), headers={})

    assert Sinch().authenticate(bare, ACCOUNT) == UNPROVEN
    conversation = callback(report("READ"), headers={})
    assert Sinch().authenticate(conversation, ACCOUNT) == Refused("SIGNATURE_MISSING")


def test_the_unsigned_side_is_open_to_who_says_so_or_brings_a_credential() -> None:
    """Sinch can be given a user and a password in the address."""
    bare = callback(recipient_report("Delivered"), headers={})
    shut = msgspec.structs.replace(ACCOUNT, options={})
    asking = msgspec.structs.replace(
        ACCOUNT, secrets={**ACCOUNT.secrets, "basic_user": ["u"], "basic_pass": ["p"]}
    )

    assert Sinch().authenticate(bare, shut) == Refused("INTERFACE_UNSIGNED")
    assert Sinch().authenticate(bare, asking) == Refused("CREDENTIAL_MISSING")
    proven = msgspec.structs.replace(bare, headers={"authorization": "Basic dTpw"})
    assert Sinch().authenticate(proven, asking) == CREDENTIAL


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (recipient_report("Delivered", batch_id=""), "STATUS_WITHOUT_ID"),
        (recipient_report("Delivered", recipient=None), "STATUS_WITHOUT_RECIPIENT"),
        (recipient_report("Delivered", recipient="4" * 600), "ID_TOO_LONG"),
        (batch_report(), "STATUS_MISSING"),
        ({**batch_report(), "statuses": {"a": 1}}, "STATUS_MISSING"),
        ({"type": "mo_text", "from": PHONE}, "MESSAGE_WITHOUT_ID"),
    ],
)
def test_what_cannot_be_read_is_kept_if_signed_and_refused_if_nothing_proves_it(
    body: dict[str, Any], reason: str
) -> None:
    """Quarantine is for what a provider sent; anybody could fill it otherwise."""
    signed = Sinch().parse(callback(body), ACCOUNT)
    bare = Sinch().parse(callback(body, headers={}), ACCOUNT)

    assert isinstance(signed, Reading)
    assert [part.reason for part in signed.batch.quarantined] == [reason]
    assert bare == Refused("BODY_NOT_OF_THE_FORM", 400)
