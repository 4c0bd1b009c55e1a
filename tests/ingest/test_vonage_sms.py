"""Vonage's older SMS API, on the same address as the Messages API."""

import hmac
import json
from hashlib import md5
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.keys import message_key
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import CREDENTIAL, UNPROVEN, Authentic, Callback, Refused
from services.ingest.providers.vonage import Vonage
from tests.ingest.security_suite import AGE_S_MAX, NOW_S, NOW_US
from tests.ingest.test_vonage import ACCOUNT, SECRETS, URL, UUID

ID = "0B00000000ABCDEF"


def receipt(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    given = {
        "msisdn": "447700900123",
        "to": "Shop",
        "messageId": ID,
        "status": word,
        "err-code": "0",
        "message-timestamp": "2026-08-05 03:19:00",
        "scts": "2608050318",
    }
    return {**given, **fields}


def sent_as(form: str, fields: dict[str, Any]) -> Callback:
    query = urlencode(fields) if form == "query" else ""
    body = {"form": urlencode(fields), "json": json.dumps(fields), "query": ""}[form]
    return Callback(
        method="GET" if form == "query" else "POST",
        query=query,
        headers={},
        body=body.encode(),
        external_url=f"{URL}?{query}" if query else URL,
        receive_time_us=NOW_US,
    )


def read(fields: dict[str, Any], form: str = "form") -> Any:
    reading = Vonage().parse(sent_as(form, fields), ACCOUNT)
    assert isinstance(reading, Reading)
    return list(reading.batch.events)


@pytest.mark.parametrize("form", ["form", "json", "query"])
@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("accepted", pb.EVENT_KIND_SENT), ("buffered", pb.EVENT_KIND_SENT),
        ("delivered", pb.EVENT_KIND_DELIVERED), ("expired", pb.EVENT_KIND_UNDELIVERED),
        ("failed", pb.EVENT_KIND_UNDELIVERED), ("rejected", pb.EVENT_KIND_UNDELIVERED),
        ("unknown", pb.EVENT_KIND_INFO), ("lost", pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_becomes_its_kind_in_every_form(form: str, word: str, kind: int) -> None:
    """By GET or POST, as form or JSON: the operator chose once and forgot."""
    callback = sent_as(form, receipt(word, **{"client-ref": "ref-1"}))

    assert Vonage().authenticate(callback, ACCOUNT) == UNPROVEN
    (event,) = read(receipt(word, **{"client-ref": "ref-1"}), form)

    assert event.kind == kind
    assert event.message_key == message_key("demo", "vonage", ID)
    # `to` is the sender's id here.
    assert event.address == "+447700900123"
    assert event.message_ref == "ref-1"
    assert event.occur_time_us == (NOW_S - 60) * 1_000_000


@pytest.mark.parametrize(
    "fields",
    [
        {"messageId": ID, "status": "delivered"},
        {"messageId": ID, "status": "delivered", "to": "Shop"},
        {"messageId": ID, "status": "delivered", "msisdn": "447700900123"},
    ],
)
def test_an_id_and_a_status_are_enough(fields: dict[str, str]) -> None:
    """Some receipts have little more."""
    for form in ("form", "json", "query"):
        assert Vonage().authenticate(sent_as(form, fields), ACCOUNT) == UNPROVEN
        (event,) = read(fields, form)
        assert event.kind == pb.EVENT_KIND_DELIVERED


def test_a_failure_has_the_code_of_the_receipt() -> None:
    """The receipts' codes are a vocabulary of their own."""
    (event,) = read(receipt("failed", **{"err-code": "2"}))

    assert event.provider_code == "2"
    assert event.reason not in (0, pb.FAILURE_REASON_UNMAPPED)


def test_the_carriers_minute_stands_in_for_a_missing_time() -> None:
    """``scts`` is in UTC, without seconds."""
    fields = receipt()
    del fields["message-timestamp"]

    (event,) = read(fields)

    assert event.occur_time_us == (NOW_S - 120) * 1_000_000
    assert not event.is_time_clamped


def test_an_inbound_sms_is_a_reply_and_stop_an_opt_out() -> None:
    """It names no message; the address must tell which one it answers."""
    fields = {"msisdn": "447700900123", "to": "447700900100", "messageId": ID, "text": "Stop"}

    reply, opt_out = read({**fields, "type": "text", "message-timestamp": "2026-08-05 03:19:00"})

    assert (reply.kind, opt_out.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert not reply.message_key
    assert reply.engagement.act_id == ID


def _signed(fields: dict[str, Any], method: str, secret: str) -> dict[str, Any]:
    text = "".join(
        f"&{name}={str(value).replace('&', '_').replace('=', '_')}"
        for name, value in sorted(fields.items())
    )
    if method == "md5hash":
        signature = md5((text + secret).encode(), usedforsecurity=False).hexdigest()
    else:
        signature = hmac.digest(secret.encode(), text.encode(), method).hex().upper()
    return {**fields, "sig": signature}


@pytest.mark.parametrize("method", ["md5hash", "md5", "sha1", "sha256", "sha512"])
def test_a_signed_receipt_is_checked_by_any_live_secret(method: str) -> None:
    """All methods that Vonage offers; once there is a signature, it must be right."""
    fields = receipt(timestamp=str(NOW_S), **{"client-ref": "a=b&c"})
    for secret in SECRETS:
        good = sent_as("form", _signed(fields, method, secret))
        assert Vonage().authenticate(good, ACCOUNT) == Authentic()
    tampered = sent_as("form", {**_signed(fields, method, SECRETS[0]), "status": "failed"})
    assert Vonage().authenticate(tampered, ACCOUNT) == Refused("SIGNATURE_WRONG")


def test_a_pinned_method_is_the_only_one() -> None:
    """An operator who chose SHA-256 need not trust MD5."""
    pinned = msgspec.structs.replace(
        ACCOUNT, options={"sms_signature_method": "sha256", "unsigned": "accept"}
    )

    for method, verdict in (("sha256", Authentic()), ("md5hash", Refused("SIGNATURE_WRONG"))):
        callback = sent_as("form", _signed(receipt(), method, SECRETS[0]))
        assert Vonage().authenticate(callback, pinned) == verdict


def test_an_old_signed_receipt_is_refused_if_an_age_is_set() -> None:
    """The time is among what is signed."""
    for age_s, verdict in ((AGE_S_MAX + 1, Refused("SIGNATURE_OLD")), (0, Authentic())):
        fields = _signed(receipt(timestamp=str(NOW_S - age_s)), "sha256", SECRETS[0])
        callback = msgspec.structs.replace(sent_as("form", fields), signature_age_s_max=AGE_S_MAX)
        assert Vonage().authenticate(callback, ACCOUNT) == verdict


def test_an_unsigned_receipt_cannot_speak_for_the_messages_api() -> None:
    """Otherwise the unsigned side would open what the tokens guard."""
    for form in ("form", "json", "query"):
        verdict = Vonage().authenticate(sent_as(form, receipt(messageId=UUID)), ACCOUNT)
        assert verdict == Refused("SIGNATURE_MISSING")


def test_the_unsigned_side_is_open_to_who_says_so_or_brings_a_credential() -> None:
    """An account with a secret believes nothing unproven by itself."""
    callback = sent_as("form", receipt())
    shut = msgspec.structs.replace(ACCOUNT, options={})
    asking = msgspec.structs.replace(ACCOUNT, secrets={**ACCOUNT.secrets, "query_token": ["t1"]})

    assert Vonage().authenticate(callback, shut) == Refused("INTERFACE_UNSIGNED")
    assert isinstance(Vonage().authenticate(callback, asking), Refused)
    with_token = sent_as("query", receipt(token="t1"))
    assert Vonage().authenticate(with_token, asking) == CREDENTIAL


def test_noise_without_any_proof_is_no_callback() -> None:
    """Quarantine is for what a provider sent; anybody could fill it otherwise."""
    fields = receipt(messageId="")

    assert Vonage().parse(sent_as("form", fields), ACCOUNT) == Refused("BODY_NOT_OF_THE_FORM", 400)
