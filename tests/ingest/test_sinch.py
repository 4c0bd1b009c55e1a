import hmac
import json
from base64 import b64encode
from typing import Any

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
from services.ingest.providers.sinch import Sinch
from tests.ingest.security_suite import NOW_S, NOW_US, SignedProviderSuite

URL = "https://hooks.example.com/v1/callbacks/sinch/acct_1"
SECRETS = ["a-webhook-secret", "an-older-secret"]
ACCOUNT = Account(
    provider="sinch",
    account="acct_1",
    tenant="demo",
    secrets={"secret": SECRETS},
    options={"unsigned": "accept"},
)
ID = "01MESSAGE"
PHONE = "46700000001"
AT = "2026-08-05T03:19:00.250Z"
AT_US = (NOW_S - 60) * 1_000_000 + 250_000
HEADER = "x-sinch-webhook-signature"


def sign(
    body: bytes, secret: str = SECRETS[0], at_s: int = NOW_S, algorithm: str = "HmacSHA256"
) -> dict[str, str]:
    """The headers as Sinch makes them."""
    digest = algorithm.lower().removeprefix("hmac")
    mac = hmac.digest(secret.encode(), body + f".nonce-1.{at_s}".encode(), digest)
    return {
        HEADER: b64encode(mac).decode(),
        f"{HEADER}-timestamp": str(at_s),
        f"{HEADER}-nonce": "nonce-1",
        f"{HEADER}-algorithm": algorithm,
    }


def callback(fields: Any, **given: Any) -> Callback:
    """A signed POST."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    values = {
        "method": "POST",
        "query": "",
        "headers": sign(body),
        "body": body,
        "external_url": URL,
        "receive_time_us": NOW_US,
        **given,
    }
    return Callback(**values)


def events(fields: Any) -> list[Event]:
    reading = Sinch().parse(callback(fields), ACCOUNT)
    assert isinstance(reading, Reading)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


def envelope(**parts: Any) -> dict[str, Any]:
    given = {"app_id": "app", "project_id": "p", "accepted_time": "2026-08-05T03:19:30Z"}
    return {**given, "event_time": AT, "correlation_id": "ref-1", **parts}


def identity(channel: str = "WHATSAPP", who: str = PHONE) -> dict[str, str]:
    return {"channel": channel, "identity": who, "app_id": "app"}


def report(word: str, code: str = "", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"message_id": ID, "status": word, "channel_identity": identity()}
    if code:
        body["reason"] = {"code": code, "description": "why", "sub_code": "UNSPECIFIED_SUB_CODE"}
    return envelope(message_delivery_report={**body, **fields})


def inbound(content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    message = {"id": "01IN", "direction": "TO_APP", "channel_identity": identity()}
    return envelope(message={**message, "contact_message": content, **fields})


class TestSignature(SignedProviderSuite):
    """Body, nonce and time are signed together."""

    provider = Sinch()
    signature_header = HEADER
    secret_name = "secret"
    is_time_signed = True

    def account(self) -> Account:
        return ACCOUNT

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        raw = body or json.dumps(report("DELIVERED")).encode()
        return callback(raw, headers=sign(raw, SECRETS[secret_index], at_us // 1_000_000))


def test_the_header_chooses_among_our_algorithms_and_brings_none() -> None:
    """Otherwise whoever calls could choose one that anybody can make."""
    for algorithm, verdict in (
        ("HmacSHA256", Authentic()),
        ("HmacSHA512", Authentic()),
        ("HmacMD5", Refused("SIGNATURE_ALGORITHM_UNKNOWN")),
        ("HmacSHA1", Refused("SIGNATURE_ALGORITHM_UNKNOWN")),
    ):
        given_one = callback(b"{}", headers=sign(b"{}", algorithm=algorithm))
        assert Sinch().authenticate(given_one, ACCOUNT) == verdict
    named_none = callback(b"{}", headers={**sign(b"{}"), f"{HEADER}-algorithm": "none"})
    assert isinstance(Sinch().authenticate(named_none, ACCOUNT), Refused)


@pytest.mark.parametrize("part", ["timestamp", "nonce"])
def test_time_and_nonce_are_signed_too(part: str) -> None:
    """An old signature must not carry a new time."""
    headers = {**sign(b"{}"), f"{HEADER}-{part}": "1785900001"}

    verdict = Sinch().authenticate(callback(b"{}", headers=headers), ACCOUNT)

    assert verdict == Refused("SIGNATURE_WRONG")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("QUEUED_ON_CHANNEL", pb.EVENT_KIND_SENT), ("DELIVERED", pb.EVENT_KIND_DELIVERED),
        ("READ", pb.EVENT_KIND_READ), ("SWITCHING_CHANNEL", pb.EVENT_KIND_DEFERRED),
        ("BEAMED_UP", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_becomes_its_kind(word: str, kind: int) -> None:
    """Switching the channel is not the end: the same message goes on."""
    (event,) = events(report(word))

    assert (event.kind, event.provider_word) == (kind, word)
    assert event.message_key == message_key("demo", "sinch", ID)
    assert event.address == f"+{PHONE}"
    assert event.message_ref == "ref-1"
    assert event.occur_time_us == AT_US


@pytest.mark.parametrize(
    "code",
    [
        "BAD_REQUEST", "CHANNEL_BAD_CONFIGURATION", "CHANNEL_CONFIGURATION_MISSING",
        "TEMPLATE_NOT_FOUND", "TEMPLATE_INSUFFICIENT_PARAMETERS", "OUTSIDE_ALLOWED_SENDING_WINDOW",
        "RECIPIENT_NOT_OPTED_IN", "MEDIA_TOO_LARGE", "MEDIA_TYPE_UNSUPPORTED", "RATE_LIMITED",
        "INTERNAL_ERROR", "UNKNOWN_APP", "NO_CHANNEL_IDENTITY_FOR_CONTACT",
    ],
)  # fmt: skip
def test_a_failure_before_the_channel_is_a_drop(code: str) -> None:
    """It never left Sinch, however late Sinch tells."""
    (event,) = events(report("FAILED", code))

    assert event.kind == pb.EVENT_KIND_DROPPED
    assert (event.provider_code, event.detail) == (code, "why")
    assert event.reason not in (0, pb.FAILURE_REASON_UNMAPPED)


@pytest.mark.parametrize(
    "code",
    [
        "RECIPIENT_NOT_REACHABLE", "RECIPIENT_INVALID_CHANNEL_IDENTITY", "CHANNEL_FAILURE",
        "DELIVERY_TIMED_OUT", "DELIVERY_REJECTED_DUE_TO_POLICY", "CHANNEL_REJECT",
        "NO_CHANNELS_LEFT", "A_CODE_OF_TOMORROW", "",
    ],
)  # fmt: skip
def test_a_failure_on_the_channel_or_an_unknown_one_is_undelivered(code: str) -> None:
    """An unknown code comes with an id, and the id proves that Sinch had accepted the message."""
    (event,) = events(report("FAILED", code))

    assert event.kind == pb.EVENT_KIND_UNDELIVERED
    is_known = bool(code) and code != "A_CODE_OF_TOMORROW"
    assert (event.reason != pb.FAILURE_REASON_UNMAPPED) == is_known


def test_a_sub_code_is_the_more_exact_reason() -> None:
    """BAD_REQUEST says little, ATTACHMENT_REJECTED says what to repair."""
    reason = {"code": "CHANNEL_FAILURE", "sub_code": "ATTACHMENT_REJECTED", "description": "x"}

    (event,) = events(report("FAILED", reason=reason))

    assert event.provider_code == "CHANNEL_FAILURE"
    assert event.reason == pb.FAILURE_REASON_MEDIA_ERRORS


@pytest.mark.parametrize(
    ("channel", "who", "address"),
    [
        ("WHATSAPP", PHONE, f"+{PHONE}"), ("SMS", f"+{PHONE}", f"+{PHONE}"),
        ("WHATSAPP", "US.13491208655302741918", "US.13491208655302741918"),
        ("MESSENGER", "123456789", "123456789"),
    ],
)  # fmt: skip
def test_an_identity_is_a_phone_where_the_channel_has_phones(
    channel: str, who: str, address: str
) -> None:
    """A Messenger account of nine digits is nobody's number."""
    (event,) = events(report("DELIVERED", channel_identity=identity(channel, who)))

    assert event.address == address


@pytest.mark.parametrize(
    ("parts", "kind", "word"),
    [
        ({"channel_event_notification": {"channel_event": {"event_type": "X"}}},
         pb.EVENT_KIND_INFO, "channel_event_notification"),
        ({"event": {"id": "1", "contact_event": {"composing_event": {}}}},
         pb.EVENT_KIND_INFO, "composing_event"),
        ({"event_delivery_report": {"event_id": "1"}}, pb.EVENT_KIND_INFO,
         "event_delivery_report"),
        ({"message": {"id": "1", "app_message": {}, "direction": "TO_CONTACT"}},
         pb.EVENT_KIND_UNKNOWN, "TO_CONTACT"),
        ({"tomorrows_notification": {}}, pb.EVENT_KIND_UNKNOWN, "tomorrows_notification"),
    ],
)  # fmt: skip
def test_what_moves_no_message_is_kept_and_counted(
    parts: dict[str, Any], kind: int, word: str
) -> None:
    """Sinch has a score of triggers, and more to come."""
    (event,) = events(envelope(**parts))

    assert (event.kind, event.provider_word) == (kind, word)
    assert not event.message_key


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "BODY_NOT_JSON"),
        (b"[1]", "BODY_NOT_AN_OBJECT"),
        (b"{}", "CONTENT_MISSING"),
        (json.dumps(report("READ", message_id="")).encode(), "STATUS_WITHOUT_ID"),
        (json.dumps(inbound({"text_message": {}}, id=None)).encode(), "MESSAGE_WITHOUT_ID"),
        (json.dumps(report("READ", message_id="a\x00")).encode(), "INVALID_TEXT"),
    ],
)
def test_what_is_signed_and_cannot_be_read_is_kept(body: bytes, reason: str) -> None:
    """Sinch would send it for a day, and it would be as unreadable."""
    reading = Sinch().parse(callback(body), ACCOUNT)

    assert isinstance(reading, Reading)
    assert [part.reason for part in reading.batch.quarantined] == [reason]


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["message_delivery_report", "message", "event", "opt_out_notification",
                     "event_time", "type", "correlation_id"]),
    _ANY | st.builds(lambda value: {"message_id": value, "id": value, "status": value,
                                    "contact_message": value, "reason": value,
                                    "channel_identity": value}, _ANY),
)  # fmt: skip
def test_whatever_stands_in_a_part_it_is_read_or_kept(name: str, value: Any) -> None:
    """Types drift, and must cost one callback at most."""
    reading = Sinch().parse(callback(envelope(**{name: value})), ACCOUNT)

    assert isinstance(reading, Reading)
    assert len(reading.batch.events) + len(reading.batch.quarantined) >= 1


@given(st.binary(max_size=100))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    """Whoever finds one that does stops the door for everybody."""
    odd = msgspec.structs.replace(callback(b"{}"), body=body)

    for given_one in (odd, msgspec.structs.replace(odd, headers={})):
        assert isinstance(Sinch().authenticate(given_one, ACCOUNT), Authentic | Refused)
        assert isinstance(Sinch().parse(given_one, ACCOUNT), Reading | Refused)
