import hmac
from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.accounts import Account
from libs.runtime.keys import message_key
from services.ingest.domain.reading import Reading
from services.ingest.providers.decoding import form_object
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.twilio import KIND_BY_STATUS, Twilio, form_fields
from tests.ingest.security_suite import NOW_US, SignedProviderSuite

URL = "https://hooks.example.com/v1/callbacks/twilio/acct_1"
SID = "SM00112233445566778899aabbccddeeff"
INBOUND = "MM99887766554433221100ffeeddccbbaa"
TOKENS = ["0123456789abcdef0123456789abcdef", "an-older-token"]
ACCOUNT = Account(
    provider="twilio", account="acct_1", tenant="demo", secrets={"auth_token": TOKENS}
)


def sign(url: str, body: str, token: str = TOKENS[0]) -> dict[str, str]:
    """The header as Twilio computes it: address, then each name and value, sorted."""
    text = url + "".join(
        name + value for name, value in sorted(set(parse_qsl(body, keep_blank_values=True)))
    )
    mac = hmac.digest(token.encode(), text.encode(), "sha1")
    return {"x-twilio-signature": b64encode(mac).decode()}


def callback(fields: dict[str, str] | str, **given: Any) -> Callback:
    """A signed POST."""
    body = fields if isinstance(fields, str) else urlencode(fields)
    values = {
        "method": "POST",
        "query": "",
        "headers": sign(URL, body),
        "body": body.encode(),
        "external_url": URL,
        "receive_time_us": NOW_US,
        **given,
    }
    return Callback(**values)


def read(fields: dict[str, str] | str, **given: Any) -> Reading:
    reading = Twilio().parse(callback(fields, **given), ACCOUNT)
    assert isinstance(reading, Reading)
    return reading


def events(fields: dict[str, str], **given: Any) -> list[Event]:
    reading = read(fields, **given)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


def status(word: str, **fields: str) -> dict[str, str]:
    given = {"MessageSid": SID, "MessageStatus": word, "SmsSid": SID, "SmsStatus": word}
    return {**given, "To": "+14155550101", "From": "+14155550100", **fields}


def inbound(**fields: str) -> dict[str, str]:
    given = {"MessageSid": INBOUND, "SmsStatus": "received", "Body": "Hello", "NumMedia": "0"}
    return {**given, "From": "whatsapp:+14155550101", "To": "whatsapp:+14155550100", **fields}


class TestSignature(SignedProviderSuite):
    """Twilio signs what the form says, and the address."""

    provider = Twilio()
    signature_header = "x-twilio-signature"
    secret_name = "auth_token"
    is_encoding_signed = False
    is_address_signed = True

    def account(self) -> Account:
        return ACCOUNT

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        form = (body or urlencode(status("delivered")).encode()).decode()
        return callback(form, headers=sign(URL, form, TOKENS[secret_index]))

    def reencoded(self, callback: Callback) -> Callback:
        pairs = reversed(parse_qsl(callback.body.decode()))
        body = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs).encode()
        assert body != callback.body
        return msgspec.structs.replace(callback, body=body)


@given(
    st.lists(
        st.sampled_from(
            ["a", "=", "&", "+", "%", "%C3", "%BC", "%ED%A0%80", "%00", "ü", "b=c&", "%2B"]
        )
    ).map("".join)
)
def test_what_was_decoded_to_be_proven_reads_as_if_decoded_anew(form: str) -> None:
    """Odd bytes are signed as they are, and read as what can be stored."""
    body = form.encode()

    assert form_fields(body) == form_object(body.decode(errors="replace"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("accepted", pb.EVENT_KIND_ACCEPTED), ("scheduled", pb.EVENT_KIND_ACCEPTED),
        ("queued", pb.EVENT_KIND_QUEUED), ("sending", pb.EVENT_KIND_QUEUED),
        ("sent", pb.EVENT_KIND_SENT), ("delivered", pb.EVENT_KIND_DELIVERED),
        ("partially_delivered", pb.EVENT_KIND_DELIVERED), ("read", pb.EVENT_KIND_READ),
        ("undelivered", pb.EVENT_KIND_UNDELIVERED), ("failed", pb.EVENT_KIND_DROPPED),
        ("canceled", pb.EVENT_KIND_CANCELED), ("vanished", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_becomes_its_kind(word: str, kind: int) -> None:
    """The whole enum of Twilio's API, and a word of tomorrow."""
    (event,) = events(status(word))

    assert event.kind == kind
    assert event.provider_word == word
    assert event.provider_message_id == SID
    assert event.message_key == message_key("demo", "twilio", SID)
    assert event.address == "+14155550101"
    assert bool(event.raw) == (kind == pb.EVENT_KIND_UNKNOWN)
    assert {*KIND_BY_STATUS} >= {word} or kind == pb.EVENT_KIND_UNKNOWN


def test_the_time_of_receipt_is_the_time() -> None:
    """Twilio tells none; the carrier's clock has minutes and no zone, so it is not believed."""
    (event,) = events(status("delivered", RawDlrDoneDate="2603141206"))

    assert event.occur_time_us == NOW_US
    assert not event.is_time_clamped


def test_two_fields_are_enough() -> None:
    """Some callbacks have no more; everything else is optional."""
    (event,) = events({"MessageSid": SID, "MessageStatus": "delivered"})

    assert event.kind == pb.EVENT_KIND_DELIVERED
    assert not event.address


def test_a_read_receipt_is_one_by_either_word() -> None:
    """``EventType`` says READ, whatever the status beside it."""
    (event,) = events(status("delivered", EventType="READ", ChannelPrefix="whatsapp"))

    assert event.kind == pb.EVENT_KIND_READ


@pytest.mark.parametrize(
    ("word", "code", "reason"),
    [
        ("undelivered", "30003", pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ("undelivered", "30007", pb.FAILURE_REASON_INVALID_MESSAGES),
        ("undelivered", "63049", pb.FAILURE_REASON_META_RECIPIENT_LIMIT),
        ("failed", "63018", pb.FAILURE_REASON_RATE_LIMITS),
        ("failed", "99999", pb.FAILURE_REASON_UNMAPPED),
    ],
)
def test_a_failure_has_the_reason_of_its_code_and_stage(word: str, code: str, reason: int) -> None:
    """ "failed" never left Twilio, "undelivered" did: their remedies differ."""
    (event,) = events(status(word, ErrorCode=code, ChannelStatusMessage="not today"))

    assert (event.provider_code, event.reason, event.detail) == (code, reason, "not today")


def test_a_code_on_a_success_is_no_failure() -> None:
    """Nobody must see a reason on a delivered message."""
    (event,) = events(status("delivered", ErrorCode="0"))

    assert not event.provider_code
    assert not event.reason


def test_a_message_to_one_who_left_is_an_opt_out_too() -> None:
    """Code 21610: the person had answered STOP, which we may never have heard."""
    failure, opt_out = events(status("failed", ErrorCode="21610"))

    assert failure.kind == pb.EVENT_KIND_DROPPED
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
    assert opt_out.engagement.by_failure
    assert opt_out.engagement.act_id == f"{SID}/opt-out"
    assert opt_out.message_key == failure.message_key
    assert not opt_out.provider_code


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("whatsapp:+14155550101", "+14155550101"), ("whatsapp:US.1234", "US.1234"),
        ("rcs:+14155550101", "+14155550101"), ("+14155550101", "+14155550101"), ("", ""),
    ],
)  # fmt: skip
def test_an_address_is_known_without_its_channel(given: str, address: str) -> None:
    """The sender recorded a number; since 2026 there may be a WhatsApp user id only."""
    (sent,) = events(status("sent", To=given))
    (reply,) = events(inbound(From=given))

    assert sent.address == reply.address == address


def test_a_get_is_read_from_its_query_and_signed_by_the_address() -> None:
    """The method is the sender's choice."""
    query = urlencode(status("delivered"))
    url = f"{URL}?{query}"
    get = callback("", method="GET", query=query, external_url=url, headers=sign(url, ""))

    assert Twilio().authenticate(get, ACCOUNT) == Authentic()
    reading = Twilio().parse(get, ACCOUNT)
    assert isinstance(reading, Reading)
    assert reading.batch.events[0].kind == pb.EVENT_KIND_DELIVERED


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        ("https://h.example.com/a", "https://h.example.com:443/a"),
        ("https://h.example.com:443/a", "https://h.example.com/a"),
        ("http://h.example.com/a", "http://h.example.com:80/a"),
        ("https://h.example.com:8443/a?b=c", "https://h.example.com:8443/a?b=c"),
    ],
)
def test_the_default_port_makes_no_difference(configured: str, signed: str) -> None:
    """Twilio signs now with it and now without."""
    form = urlencode(status("sent"))
    given = callback(form, external_url=configured, headers=sign(signed, form))

    assert Twilio().authenticate(given, ACCOUNT) == Authentic()


def test_repeated_fields_are_signed_once_and_odd_bytes_as_they_are() -> None:
    """Twilio's own rule; and a stranger's text may be no UTF-8."""
    body = "Body=%ff%fe&A=2&A=1&A=2&MessageSid=SM1&SmsStatus=received"
    raw = (URL + "A1A2").encode() + b"Body\xff\xfe" + b"MessageSidSM1SmsStatusreceived"
    mac = b64encode(hmac.digest(TOKENS[0].encode(), raw, "sha1")).decode()

    verdict = Twilio().authenticate(callback(body, headers={"x-twilio-signature": mac}), ACCOUNT)

    assert verdict == Authentic()


def test_a_body_that_is_no_form_is_signed_by_its_hash() -> None:
    """The hash stands in the address, and must be the body's."""
    body = b'{"some":"json"}'
    query = f"bodySHA256={sha256(body).hexdigest()}"
    url = f"{URL}?{query}"
    given = callback(body.decode(), query=query, external_url=url, headers=sign(url, ""), body=body)

    assert Twilio().authenticate(given, ACCOUNT) == Authentic()
    swapped = msgspec.structs.replace(given, body=b'{"other":"json"}')
    assert Twilio().authenticate(swapped, ACCOUNT) == Refused("SIGNATURE_WRONG")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("MessageStatus=delivered", "STATUS_WITHOUT_ID"),
        ("SmsStatus=received&Body=x", "MESSAGE_WITHOUT_ID"),
        ("", "STATUS_MISSING"),
        (f"MessageStatus=sent&MessageSid={'x' * 513}", "ID_TOO_LONG"),
        ("MessageStatus=sent&MessageSid=a%00b", "INVALID_TEXT"),
        ("&".join(["a=1"] * 1_001), "FIELDS_TOO_MANY"),
    ],
)
def test_what_cannot_be_read_is_kept(body: str, reason: str) -> None:
    """Twilio does not send it again."""
    reading = read(body)

    assert [part.reason for part in reading.batch.quarantined] == [reason]
    assert not reading.batch.events


def test_another_product_on_the_same_address_is_kept_and_counted() -> None:
    """An operator sees the word in the report of unknown ones."""
    (event,) = events({"EventType": "onMessageAdded", "ConversationSid": "CH1"})

    assert event.kind == pb.EVENT_KIND_UNKNOWN
    assert event.provider_word == "onMessageAdded"


@given(st.binary(max_size=200), st.text(max_size=200), st.sampled_from(["GET", "POST"]))
def test_no_body_breaks_the_reader(body: bytes, query: str, method: str) -> None:
    """Whoever finds one that does stops the door for everybody."""
    given = callback("", body=body, query=query, method=method)

    assert isinstance(Twilio().authenticate(given, ACCOUNT), Authentic | Refused)
    assert isinstance(Twilio().parse(given, ACCOUNT), Reading)
