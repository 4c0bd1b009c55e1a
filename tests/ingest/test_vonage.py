import json
from hashlib import sha256
from typing import Any

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
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.vonage import Vonage
from tests.ingest.security_suite import NOW_S, NOW_US, SignedProviderSuite

URL = "https://hooks.example.com/v1/callbacks/vonage/acct_1"
UUID = "11111111-2222-4333-8444-555555555555"
INBOUND = "99999999-2222-4333-8444-555555555555"
SECRETS = ["a-secret-of-vonage-with-32-characters", "an-older-secret-with-32-characters!!"]
ACCOUNT = Account(
    provider="vonage",
    account="acct_1",
    tenant="demo",
    secrets={"signature_secret": SECRETS},
    options={"unsigned": "accept"},
)
AT = "2026-08-05T03:19:00.250Z"
AT_US = (NOW_S - 60) * 1_000_000 + 250_000


def bearer(body: bytes, secret: str = SECRETS[0], at_s: int = NOW_S, **claims: Any) -> str:
    """The header's value as Vonage makes it."""
    given = {"iat": at_s, "jti": "1", "iss": "Vonage", "payload_hash": sha256(body).hexdigest()}
    return "Bearer " + jwt.encode({**given, **claims}, secret, algorithm="HS256")


def callback(fields: Any, **given: Any) -> Callback:
    """A signed POST."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    values = {
        "method": "POST",
        "query": "",
        "headers": {"authorization": bearer(body)},
        "body": body,
        "external_url": URL,
        "receive_time_us": NOW_US,
        **given,
    }
    return Callback(**values)


def events(fields: Any) -> list[Event]:
    reading = Vonage().parse(callback(fields), ACCOUNT)
    assert isinstance(reading, Reading)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


def status(word: str, **fields: Any) -> dict[str, Any]:
    given = {"message_uuid": UUID, "status": word, "timestamp": AT, "channel": "whatsapp"}
    return {**given, "to": "447700900123", "from": "447700900100", **fields}


def inbound(word: str = "text", **fields: Any) -> dict[str, Any]:
    given = {"message_uuid": INBOUND, "message_type": word, "timestamp": AT}
    return {**given, "from": "447700900123", "to": "447700900100", **fields}


class TestSignature(SignedProviderSuite):
    """A token with the hash of the body in it."""

    provider = Vonage()
    signature_header = "authorization"
    secret_name = "signature_secret"
    is_time_signed = True

    def account(self) -> Account:
        return ACCOUNT

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        raw = body or json.dumps(status("delivered")).encode()
        token = bearer(raw, SECRETS[secret_index], at_us // 1_000_000)
        return callback(raw, headers={"authorization": token})


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode({"payload_hash": "x"}, "", algorithm="none"),
        jwt.encode({"payload_hash": sha256(b"{}").hexdigest()}, SECRETS[0] * 2, "HS512"),
        jwt.encode({"iat": NOW_S}, SECRETS[0], "HS256"),
        jwt.encode({"payload_hash": 7}, SECRETS[0], "HS256"),
        "e30.e30.e30",
    ],
)
def test_the_algorithm_is_ours_and_the_body_must_be_signed(token: str) -> None:
    """A token that names its own algorithm, or signs no body, would open the door."""
    given = callback(b"{}", headers={"authorization": f"Bearer {token}"})

    assert Vonage().authenticate(given, ACCOUNT) == Refused("SIGNATURE_WRONG")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("submitted", pb.EVENT_KIND_SENT), ("delivered", pb.EVENT_KIND_DELIVERED),
        ("read", pb.EVENT_KIND_READ), ("rejected", pb.EVENT_KIND_DROPPED),
        ("undeliverable", pb.EVENT_KIND_DROPPED), ("teleported", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_becomes_its_kind(word: str, kind: int) -> None:
    """ "undeliverable" is the channel that Vonage could not reach, not the handset."""
    (event,) = events(status(word, client_ref="ref-1"))

    assert event.kind == kind
    assert event.provider_word == word
    assert event.message_key == message_key("demo", "vonage", UUID)
    assert event.occur_time_us == AT_US
    assert event.address == "+447700900123"
    assert event.message_ref == "ref-1"


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        ({"title": 1340, "detail": "Outside window"}, "1340", "Outside window"),
        ({"title": "1000", "detail": "Throttled"}, "1000", "Throttled"),
        ({"title": "Throttled", "type": "https://x.example/e#1000"}, "1000", "Throttled"),
        ({"title": "Odd"}, "Odd", "Odd"),
        ({}, "", ""),
    ],
)
def test_the_code_is_found_in_a_title_of_any_type(
    error: dict[str, Any], code: str, detail: str
) -> None:
    """Vonage writes it as a number, as a text, and as a link."""
    (event,) = events(status("rejected", error=error))

    assert (event.provider_code, event.detail) == (code, detail)
    known = {"1340": pb.FAILURE_REASON_TEMPLATE_FAILURES, "1000": pb.FAILURE_REASON_RATE_LIMITS}
    assert event.reason == known.get(code, pb.FAILURE_REASON_UNMAPPED)


def test_a_price_is_exact_and_zero_before_the_end_is_none() -> None:
    """The amount is a text; the first price that a message has stays its price."""
    (delivered,) = events(status("delivered", usage={"currency": "EUR", "price": "1.0333"}))
    (submitted,) = events(status("submitted", usage={"currency": "EUR", "price": "0"}))
    (odd,) = events(status("delivered", usage={"currency": "EUR", "price": "about 1"}))

    price = delivered.pricing.price
    assert (price.currency_code, price.units, price.nanos) == ("EUR", 1, 33_300_000)
    assert not submitted.HasField("pricing")
    assert not odd.HasField("pricing")


def test_a_whatsapp_user_without_a_phone_is_known_by_the_user_id() -> None:
    """Since 2026 there may be nothing else."""
    recipient = {"user_id": "US.13491208655302741918", "parent_user_id": "US.ENT.1"}

    (event,) = events(status("read", to=None, whatsapp={"recipient": recipient}))

    assert event.address == "US.13491208655302741918"


def test_each_item_of_a_failover_workflow_is_a_message_of_its_own() -> None:
    """Counts are texts there, and are no matter."""
    workflow = {"id": "w", "item_number": "2", "total_items": "3"}

    (event,) = events(status("delivered", workflow=workflow, sms={"count_total": "3"}))

    assert event.kind == pb.EVENT_KIND_DELIVERED


@pytest.mark.parametrize("context_status", ["available", "unavailable", "none", None])
def test_a_reply_is_of_the_message_in_its_context_whatever_the_context_status(
    context_status: str | None,
) -> None:
    """Vonage sends a context beside the word "unavailable"."""
    context = {"message_uuid": UUID, "message_from": "447700900100"}

    (event,) = events(inbound(text="Hi", context=context, context_status=context_status))

    assert event.kind == pb.EVENT_KIND_REPLIED
    assert event.message_key == message_key("demo", "vonage", UUID)
    assert event.engagement.act_id == INBOUND
    assert event.address == "+447700900123"


def test_an_answer_to_a_message_of_ones_own_answers_none_of_ours() -> None:
    """WhatsApp lets people quote themselves."""
    context = {"message_uuid": UUID, "message_from": "447700900123"}

    (event,) = events(inbound(text="Hi", context=context))

    assert not event.message_key


@pytest.mark.parametrize(
    ("fields", "button_id", "label"),
    [
        ({"button": {"payload": "YES", "text": "Yes"}}, "YES", "Yes"),
        ({"reply": {"id": "row1", "title": "9am", "description": "x"}}, "row1", "9am"),
    ],
)
def test_a_button_or_a_list_choice_is_a_tap(
    fields: dict[str, Any], button_id: str, label: str
) -> None:
    """Taps per button are what a marketer compares."""
    (event,) = events(inbound(next(iter(fields)), **fields))

    assert event.engagement.is_tap
    assert (event.engagement.button_id, event.engagement.button_title) == (button_id, label)


def test_a_reaction_that_is_taken_back_is_withdrawn() -> None:
    """It is history, and no reply."""
    (given_one,) = events(inbound("reaction", reaction={"action": "react", "emoji": "👍"}))
    (taken,) = events(inbound("reaction", reaction={"action": "unreact"}))

    assert not given_one.engagement.is_withdrawn
    assert taken.engagement.is_withdrawn


def test_what_whatsapp_cannot_show_is_no_answer() -> None:
    """A person sent something, but nobody knows what; no message moves."""
    (event,) = events(inbound("unsupported", context={"message_uuid": UUID}))

    assert event.kind == pb.EVENT_KIND_INFO
    assert not event.message_key
    assert not event.HasField("engagement")


def test_a_stop_word_is_a_reply_and_an_opt_out() -> None:
    """By text and by button."""
    for fields in ({"text": "STOP"}, {"button": {"payload": "x", "text": "Stop promotions"}}):
        reply, opt_out = events(inbound(**fields))
        assert reply.kind == pb.EVENT_KIND_REPLIED
        assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
        assert opt_out.engagement.act_id == f"{INBOUND}/stop"


def test_a_missing_or_wrong_time_is_the_time_of_receipt_and_marked() -> None:
    """A status without a time is still a status."""
    for time in (None, 7, "yesterday", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        (event,) = events(status("delivered", timestamp=time))
        assert event.occur_time_us == NOW_US
        assert event.is_time_clamped


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "BODY_NOT_JSON"),
        (b"[]", "BODY_NOT_AN_OBJECT"),
        (b"{}", "STATUS_MISSING"),
        (b'{"status":"read"}', "STATUS_WITHOUT_ID"),
        (b'{"message_type":"text"}', "MESSAGE_WITHOUT_ID"),
        (b'{"status":"read","message_uuid":"a\\u0000"}', "INVALID_TEXT"),
        (b'{"status":"read","message_uuid":"\\ud800"}', "INVALID_TEXT"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "STATUS_UNKNOWN"),
    ],
)
def test_what_is_signed_and_cannot_be_read_is_kept(body: bytes, reason: str) -> None:
    """Vonage would send it for a day, and it would be as unreadable."""
    reading = Vonage().parse(callback(body), ACCOUNT)

    assert isinstance(reading, Reading)
    if reason == "STATUS_UNKNOWN":
        assert [event.kind for event in reading.batch.events] == [pb.EVENT_KIND_UNKNOWN]
    else:
        assert [part.reason for part in reading.batch.quarantined] == [reason]
        assert not reading.batch.events


def test_a_messages_body_without_a_token_is_refused() -> None:
    """Only the SMS API's shape may come unsigned."""
    verdict = Vonage().authenticate(callback(status("read"), headers={}), ACCOUNT)

    assert verdict == Refused("SIGNATURE_MISSING")


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(
    st.sampled_from([status("rejected"), inbound("button")]),
    st.sampled_from(["status", "message_uuid", "timestamp", "error", "usage", "to", "context",
                     "button", "whatsapp", "from", "text", "client_ref"]),
    _ANY,
)  # fmt: skip
def test_whatever_stands_in_a_field_it_is_read_or_kept(
    body: dict[str, Any], name: str, value: Any
) -> None:
    """Types drift, and must cost one callback at most."""
    reading = Vonage().parse(callback({**body, name: value}), ACCOUNT)

    assert isinstance(reading, Reading)
    assert len(reading.batch.events) + len(reading.batch.quarantined) >= 1


@given(st.binary(max_size=100), st.text(max_size=100), st.sampled_from(["GET", "POST"]))
def test_no_body_breaks_the_reader(body: bytes, query: str, method: str) -> None:
    """Whoever finds one that does stops the door for everybody."""
    odd = msgspec.structs.replace(callback(b""), body=body, query=query, method=method)

    for given_one in (odd, msgspec.structs.replace(odd, headers={})):
        assert isinstance(Vonage().authenticate(given_one, ACCOUNT), Authentic | Refused)
        assert isinstance(Vonage().parse(given_one, ACCOUNT), Reading | Refused)
