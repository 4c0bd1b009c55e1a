import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.accounts import Account
from libs.runtime.keys import message_key
from services.ingest.domain.reading import Reading
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.provider import CREDENTIAL, UNPROVEN, Authentic, Callback, Refused
from tests.ingest.security_suite import NOW_S, NOW_US, SignedProviderSuite

URL = "https://hooks.example.com/v1/callbacks/messagebird/acct_1"
KEYS = ["a-signing-key-of-messagebird-32-characters", "an-older-signing-key-32-characters!"]
ACCOUNT = Account(
    provider="messagebird",
    account="acct_1",
    tenant="demo",
    secrets={"signing_key": KEYS},
    options={"unsigned": "accept"},
)
ID = "aa11bb22cc33dd44"
PHONE = "31612300000"
AT = "2026-08-05T03:19:00+00:00"
AT_US = (NOW_S - 60) * 1_000_000


def token(
    url: str, body: bytes, key: str = KEYS[0], at_s: int = NOW_S, **claims: Any
) -> dict[str, str]:
    """The header as MessageBird makes it; a claim that is None is left out."""
    given = {
        "iss": "MessageBird",
        "nbf": at_s,
        "exp": at_s + 60,
        "jti": "1",
        "url_hash": sha256(url.encode()).hexdigest(),
        "payload_hash": sha256(body).hexdigest() if body else None,
        **claims,
    }
    kept = {name: value for name, value in given.items() if value is not None}
    return {"messagebird-signature-jwt": jwt.encode(kept, key, "HS256")}


def report(word: str = "delivered", **fields: str) -> dict[str, str]:
    given = {"id": ID, "reference": "ref-1", "recipient": PHONE, "status": word}
    return {**given, "statusDatetime": AT, **fields}


def get(fields: dict[str, str] | str, **given: Any) -> Callback:
    """A signed report."""
    query = fields if isinstance(fields, str) else urlencode(fields)
    url = f"{URL}?{query}"
    values = {
        "method": "GET",
        "query": query,
        "headers": token(url, b""),
        "body": b"",
        "external_url": url,
        "receive_time_us": NOW_US,
        **given,
    }
    return Callback(**values)


def post(body: Any, **given: Any) -> Callback:
    """A signed event."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    values = {
        "method": "POST",
        "query": "",
        "headers": token(URL, raw),
        "body": raw,
        "external_url": URL,
        "receive_time_us": NOW_US,
        **given,
    }
    return Callback(**values)


def events(callback: Callback) -> list[Event]:
    reading = MessageBird().parse(callback, ACCOUNT)
    assert isinstance(reading, Reading)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


class TestSignatureOfReport(SignedProviderSuite):
    """In a GET the address is all there is, so it is signed whole."""

    provider = MessageBird()
    signature_header = "messagebird-signature-jwt"
    secret_name = "signing_key"
    is_time_signed = True
    is_address_signed = True

    def account(self) -> Account:
        return ACCOUNT

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        callback = get(report())
        headers = token(callback.external_url, b"", KEYS[secret_index], at_us // 1_000_000)
        return msgspec.structs.replace(callback, headers=headers)

    def reencoded(self, callback: Callback) -> Callback:
        query = "&".join(reversed(callback.query.split("&")))
        return msgspec.structs.replace(callback, query=query, external_url=f"{URL}?{query}")


class TestSignatureOfEvent(SignedProviderSuite):
    """In a POST address and body are signed, each by its hash."""

    provider = MessageBird()
    signature_header = "messagebird-signature-jwt"
    secret_name = "signing_key"
    is_time_signed = True
    is_address_signed = True

    def account(self) -> Account:
        return ACCOUNT

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        raw = body or b'{"type":"message.updated","message":{"id":"m1","status":"sent"}}'
        return post(raw, headers=token(URL, raw, KEYS[secret_index], at_us // 1_000_000))


@pytest.mark.parametrize(
    "callback",
    [
        post(b"{}", headers=token(URL, b"")),
        get(report(), headers=token(get(report()).external_url, b"x")),
        post(b"{}", headers=token(URL, b"{}", iss="Nobody")),
        post(b"{}", headers=token(URL, b"{}", url_hash=None)),
    ],
)
def test_each_claim_must_be_there_and_right(callback: Callback) -> None:
    """A token for an empty body must not carry a full one, nor the other way round."""
    assert isinstance(MessageBird().authenticate(callback, ACCOUNT), Refused)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("scheduled", pb.EVENT_KIND_ACCEPTED), ("accepted", pb.EVENT_KIND_ACCEPTED),
        ("pending", pb.EVENT_KIND_ACCEPTED), ("sent", pb.EVENT_KIND_SENT),
        ("buffered", pb.EVENT_KIND_SENT), ("delivered", pb.EVENT_KIND_DELIVERED),
        ("expired", pb.EVENT_KIND_UNDELIVERED), ("delivery_failed", pb.EVENT_KIND_UNDELIVERED),
        ("evaporated", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_of_a_report_becomes_its_kind(word: str, kind: int) -> None:
    """One id covers several recipients, so both together name the message."""
    (event,) = events(get(report(word)))

    assert event.kind == kind
    assert event.provider_message_id == f"{ID}/{PHONE}"
    assert event.message_key == message_key("demo", "messagebird", f"{ID}/+{PHONE}")
    assert event.address == f"+{PHONE}"
    assert event.message_ref == "ref-1"
    assert event.occur_time_us == AT_US


def test_a_plus_that_was_not_escaped_is_a_plus() -> None:
    """It decodes to a blank, and the time is lost if that is not known."""
    query = f"id={ID}&recipient={PHONE}&status=sent&statusDatetime={AT}"

    (event,) = events(get(query))

    assert event.occur_time_us == AT_US
    assert not event.is_time_clamped


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"statusErrorCode": "27"}, pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ({"statusErrorCode": "34"}, pb.FAILURE_REASON_META_ERRORS),
        ({"statusErrorCode": "9999"}, pb.FAILURE_REASON_UNMAPPED),
        ({}, pb.FAILURE_REASON_UNMAPPED),
        ({"status": "expired"}, pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
    ],
)
def test_a_failure_has_the_reason_of_its_code(fields: dict[str, str], reason: int) -> None:
    """An unknown code is counted as such; an expired message has none."""
    (event,) = events(get(report("delivery_failed", statusReason="no", **{**fields})
                          if "status" not in fields else report(**fields)))  # fmt: skip

    assert event.reason == reason
    assert event.provider_code == fields.get("statusErrorCode", "")


def test_a_message_to_one_who_left_is_an_opt_out_too() -> None:
    """Code 103: the person had answered STOP."""
    failure, opt_out = events(get(report("delivery_failed", statusErrorCode="103")))

    assert failure.kind == pb.EVENT_KIND_UNDELIVERED
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
    assert opt_out.engagement.by_failure
    assert opt_out.message_key == failure.message_key


def test_a_price_is_exact_and_zero_before_the_end_is_none() -> None:
    """The first price that a message has stays its price."""
    priced = {"price[amount]": "0.0605", "price[currency]": "EUR"}
    (delivered,) = events(get(report(**priced)))
    (sent,) = events(get(report("sent", **{**priced, "price[amount]": "0.000"})))

    assert delivered.pricing.price.nanos == 60_500_000
    assert not sent.HasField("pricing")


@pytest.mark.parametrize("name", ["CreatedDatetime", "createdDatetime"])
def test_an_inbound_sms_may_come_unsigned_and_its_stop_counts(name: str) -> None:
    """MessageBird signs reports and events; forwarded SMS come bare."""
    form = {"originator": PHONE, "recipient": "3197000", "body": "STOP", "id": "in-1", name: AT}
    callback = post(urlencode(form).encode(), headers={})

    assert MessageBird().authenticate(callback, ACCOUNT) == UNPROVEN
    reply, opt_out = events(callback)

    assert (reply.kind, opt_out.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert reply.address == opt_out.address == f"+{PHONE}"
    assert opt_out.engagement.act_id == "in-1/stop"
    assert reply.occur_time_us == AT_US


def test_the_unsigned_side_is_open_to_who_says_so_or_brings_a_credential() -> None:
    """MessageBird signs no forwarded SMS, but calls the address that it is given."""
    form = urlencode({"originator": PHONE, "body": "STOP", "id": "in-1"}).encode()
    shut = msgspec.structs.replace(ACCOUNT, options={})

    verdict = MessageBird().authenticate(post(form, headers={}), shut)
    asking = msgspec.structs.replace(shut, secrets={**shut.secrets, "query_token": ["t1"]})
    proven = msgspec.structs.replace(post(form, headers={}), query="token=t1")

    assert verdict == Refused("INTERFACE_UNSIGNED")
    assert isinstance(verdict, Refused)
    assert "query_token" in verdict.cure
    assert MessageBird().authenticate(proven, asking) == CREDENTIAL
    assert isinstance(MessageBird().authenticate(post(form, headers={}), asking), Refused)


def test_an_account_with_a_static_credential_and_no_key_asks_for_that() -> None:
    """Conversations can be given a user and a password instead."""
    account = msgspec.structs.replace(ACCOUNT, secrets={"header": ["X-Hook: s3"]})

    right = post({"type": "message.updated"}, headers={"x-hook": "s3"})
    wrong = post({"type": "message.updated"}, headers={"x-hook": "s4"})

    assert MessageBird().authenticate(right, account) == CREDENTIAL
    assert isinstance(MessageBird().authenticate(wrong, account), Refused)


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        (get({"status": "sent", "id": ID}), "STATUS_WITHOUT_RECIPIENT"),
        (get({"status": "sent", "recipient": PHONE}), "STATUS_WITHOUT_ID"),
        (get({"a": "b"}), "STATUS_MISSING"),
        (get(report("a\x00b")), "INVALID_TEXT"),
        (post(b"{"), "BODY_NOT_JSON"),
        (post(b"{}"), "MESSAGE_MISSING"),
        (post({"type": "message.updated", "message": {"status": "sent"}}), "STATUS_WITHOUT_ID"),
        (post({"message": {"direction": "received"}}), "MESSAGE_WITHOUT_ID"),
        (post(b""), "STATUS_MISSING"),
    ],
)
def test_what_is_signed_and_cannot_be_read_is_kept(callback: Callback, reason: str) -> None:
    """Sending it again would make it no better."""
    reading = MessageBird().parse(callback, ACCOUNT)

    assert isinstance(reading, Reading)
    assert [part.reason for part in reading.batch.quarantined] == [reason]
    assert not reading.batch.events


@given(st.binary(max_size=100), st.text(max_size=100), st.sampled_from(["GET", "POST"]))
def test_no_body_breaks_the_reader(body: bytes, query: str, method: str) -> None:
    """Whoever finds one that does stops the door for everybody."""
    odd = msgspec.structs.replace(post(b"{}"), body=body, query=query, method=method)

    for callback in (odd, msgspec.structs.replace(odd, headers={})):
        assert isinstance(MessageBird().authenticate(callback, ACCOUNT), Authentic | Refused)
        assert isinstance(MessageBird().parse(callback, ACCOUNT), Reading | Refused)
