"""What proves a callback, beyond each provider's own signature test."""

import hmac
import json
from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import (
    CALLBACK_PROOF_CREDENTIAL,
    CALLBACK_PROOF_NOTHING,
    CALLBACK_PROOF_SIGNATURE,
    EventBatch,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.runtime.accounts import Account, Accounts, AccountsProblem
from libs.runtime.clock import SystemClock
from libs.runtime.secret_keys import SecretKey
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.reading import Reading
from services.ingest.domain.used_tokens import UsedTokens
from services.ingest.providers.generic import Generic
from services.ingest.providers.mailgun import Mailgun
from services.ingest.providers.messagebird import MessageBird
from services.ingest.providers.provider import SIGNED, Authentic, Callback, Refused
from services.ingest.providers.registry import PROVIDERS, check_accounts
from services.ingest.providers.ses import Ses
from services.ingest.record_callback import read_callback
from services.ingest.report_doors import DoorReports
from tests.ingest.email_callbacks import account, post
from tests.ingest.provider_readings import NOW_S, NOW_US
from tests.ingest.test_mailgun import OWNER, data, dump, signature

ISO = "2026-08-05T03:19:00.000Z"
EVENT = {
    "eventType": "Delivery",
    "mail": {"messageId": "id-1", "timestamp": ISO, "destination": ["kim@mail.example"]},
    "delivery": {"timestamp": ISO, "recipients": ["kim@mail.example"]},
}


def owner(provider: str, secrets: dict[str, list[str]], **options: str) -> Account:
    return account(provider, secrets, **options)


def asked(provider: str, body: bytes, headers: dict[str, str], **fields: Any) -> Callback:
    return post(provider, body, headers=headers, **fields)


# ---- Telnyx, Plivo, Bird


def test_telnyx_signs_time_and_body_with_ed25519() -> None:
    """Any live key proves it, nothing else does."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = [
        b64encode(one.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        for one in (other, key)
    ]
    mine = owner("generic", {"public_key": keys}, preset="telnyx")
    body = json.dumps({"data": {"event_type": "x", "payload": {}}}).encode()
    at = str(NOW_S)
    made = b64encode(key.sign(f"{at}|".encode() + body)).decode()
    headers = {"telnyx-signature-ed25519": made, "telnyx-timestamp": at}
    right = asked("generic", body, headers)

    assert Generic().authenticate(right, mine) == SIGNED
    for changed in (
        msgspec.structs.replace(right, body=body + b" "),
        msgspec.structs.replace(right, headers={**headers, "telnyx-timestamp": str(NOW_S + 1)}),
        msgspec.structs.replace(right, headers={**headers, "telnyx-signature-ed25519": "AAAA"}),
        msgspec.structs.replace(right, headers={}),
    ):
        assert isinstance(Generic().authenticate(changed, mine), Refused)
    old = msgspec.structs.replace(
        right, receive_time_us=NOW_US + 1_000_000_000, signature_age_s_max=300
    )
    assert Generic().authenticate(old, mine) == Refused("SIGNATURE_OLD")


@pytest.mark.parametrize("query", ["", "b=2&a=1"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_plivo_signs_the_address_its_sorted_query_and_fields(method: str, query: str) -> None:
    """Written from Plivo's published scheme: address?query.fields.nonce."""
    url = "https://hooks.example.com/callbacks/generic/acct_1"
    fields = {"To": "4915", "MessageUUID": "p", "Status": "delivered"}
    if method == "GET":
        query, told, body = urlencode(fields), {}, b""
        signed = f"{url}?MessageUUID=p&Status=delivered&To=4915"
    else:
        told, body = fields, urlencode(fields).encode()
        signed = f"{url}?a=1&b=2." if query else f"{url}?"
        signed += "".join(name + told[name] for name in sorted(told))
    mac = hmac.digest(b"t0ken", f"{signed}.n0nce".encode(), "sha256")
    headers = {
        "x-plivo-signature-v3": f"AAAA, {b64encode(mac).decode()}",
        "x-plivo-signature-v3-nonce": "n0nce",
    }
    mine = owner("generic", {"auth_token": ["another", "t0ken"]})
    right = asked(
        "generic", body, headers, method=method, query=query,
        external_url=f"{url}?{query}" if query else url,
    )  # fmt: skip

    assert Generic().authenticate(right, mine) == SIGNED
    other = msgspec.structs.replace(right, external_url=f"{url}/x?{query}")
    nonce = {**headers, "x-plivo-signature-v3-nonce": "m"}
    assert isinstance(Generic().authenticate(other, mine), Refused)
    assert isinstance(
        Generic().authenticate(msgspec.structs.replace(right, headers=nonce), mine), Refused
    )
    assert isinstance(
        Generic().authenticate(msgspec.structs.replace(right, headers={}), mine), Refused
    )


def test_bird_signs_time_address_and_the_hash_of_the_body() -> None:
    """Its hash is 32 raw bytes, not their hexadecimal form."""
    mine = owner("messagebird", {"signing_key": ["k1", "k2"]})
    url = "https://hooks.example.com/callbacks/messagebird/acct_1"
    body = json.dumps({"service": "channels", "event": "sms.outbound", "payload": {
        "id": "m", "status": "delivered", "lastStatusAt": ISO}}).encode()  # fmt: skip
    signed = f"{NOW_S}\n{url}\n".encode() + sha256(body).digest()
    made = b64encode(hmac.digest(b"k2", signed, "sha256")).decode()
    headers = {"messagebird-signature": made, "messagebird-request-timestamp": str(NOW_S)}
    right = asked("messagebird", body, headers)

    reading = read_callback(right, mine, MessageBird())

    assert isinstance(reading, Reading)
    assert [event.kind for event in reading.batch.events] == [pb.EVENT_KIND_DELIVERED]
    assert reading.batch.events[0].proof == CALLBACK_PROOF_SIGNATURE
    tampered = msgspec.structs.replace(right, body=body.replace(b"delivered", b"read"))
    assert MessageBird().authenticate(tampered, mine) == Refused("SIGNATURE_WRONG")


# ---- the ways of SES


def firehose(*events: dict[str, Any]) -> bytes:
    records = [{"data": b64encode(json.dumps(event).encode()).decode()} for event in events]
    return json.dumps({"requestId": "r-1", "timestamp": 1, "records": records}).encode()


BRIDGE = json.dumps({"version": "0", "detail-type": "Email Delivered", "source": "aws.ses",
                     "time": ISO, "detail": EVENT}).encode()  # fmt: skip
RAW = json.dumps(EVENT).encode()
BASIC = {"basic_user": ["hook"], "basic_pass": ["s3cret"]}
AUTHORIZATION = {"authorization": "Basic aG9vazpzM2NyZXQ="}


@pytest.mark.parametrize(
    ("body", "headers", "secrets"),
    [
        (RAW, {"x-amz-sns-rawdelivery": "true", **AUTHORIZATION}, BASIC),
        (BRIDGE, AUTHORIZATION, BASIC),
        (firehose(EVENT), {"x-amz-firehose-access-key": "k"}, {"firehose_access_key": ["k"]}),
        (firehose(EVENT), {"x-amz-firehose-request-id": "r-1", **AUTHORIZATION}, BASIC),
    ],
)
def test_ses_is_read_by_every_way_that_is_proven(
    body: bytes, headers: dict[str, str], secrets: dict[str, list[str]]
) -> None:
    """The same event is the same message's, whichever way it came."""
    reading = read_callback(asked("ses", body, headers), owner("ses", secrets), Ses())

    assert isinstance(reading, Reading)
    (event,) = reading.batch.events
    assert (event.kind, event.provider_message_id) == (
        pb.EVENT_KIND_DELIVERED, "id-1/kim@mail.example",
    )  # fmt: skip
    assert event.proof == CALLBACK_PROOF_CREDENTIAL


@pytest.mark.parametrize(
    ("body", "reason"),
    [(RAW, "RAW_DELIVERY_UNSIGNED"), (BRIDGE, "EVENTBRIDGE_UNPROVEN"),
     (firehose(EVENT), "CREDENTIAL_MISSING")],
)  # fmt: skip
def test_what_amazon_does_not_sign_is_refused_with_the_cause_and_the_cure(
    body: bytes, reason: str
) -> None:
    """ "Compare the secret" helps nobody whose subscription has no signature."""
    verdict = Ses().authenticate(asked("ses", body, {}), owner("ses", {"certificate": ["x"]}))

    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.http_status) == (reason, 401)
    assert len(verdict.cure) > 40


def test_firehose_hears_its_request_id_as_json() -> None:
    """Else it delivers again for a day."""
    keys = {"firehose_access_key": ["k"]}
    callback = asked("ses", firehose(EVENT, EVENT), {"x-amz-firehose-access-key": "k"})

    reading = read_callback(callback, owner("ses", keys), Ses())

    assert isinstance(reading, Reading)
    assert len(reading.batch.events) == 2
    assert json.loads(reading.answer_body or b"") == {
        "requestId": "r-1", "timestamp": NOW_US // 1_000,
    }  # fmt: skip


# ---- tokens, names of secrets, own links, reports


def test_a_token_of_mailgun_signs_one_body() -> None:
    """Whoever saw a callback could else say anything with its signature; a repeat is no other."""
    token = signature(token="seen once")
    first = post("mailgun", dump(data(), signature=token))
    other = post("mailgun", dump(data("complained"), signature=token))
    trial = msgspec.structs.replace(
        post("mailgun", dump(data("opened"), signature=signature(token="tried"))), is_trial=True
    )
    real = post("mailgun", dump(data("clicked"), signature=signature(token="tried")))

    assert isinstance(read_callback(first, OWNER, Mailgun()), Reading)
    assert isinstance(read_callback(first, OWNER, Mailgun()), Reading)
    assert read_callback(other, OWNER, Mailgun()) == Refused("TOKEN_USED_BEFORE")
    assert isinstance(read_callback(trial, OWNER, Mailgun()), Reading)
    assert isinstance(read_callback(real, OWNER, Mailgun()), Reading)


def test_tokens_are_forgotten_when_they_are_old_or_too_many() -> None:
    """Memory is bounded, whoever sends what."""
    tokens = UsedTokens(tokens_max=2, valid_us=10)

    for number, token in enumerate(("a", "b", "c")):
        assert not tokens.is_used(token, b"1", number, is_kept=True)

    assert not tokens.is_used("a", b"2", 3, is_kept=False)
    assert tokens.is_used("c", b"2", 3, is_kept=False)
    assert not tokens.is_used("c", b"2", 13, is_kept=False)


@pytest.mark.parametrize(
    ("secrets", "options", "told"),
    [
        ({"app_secert": ["x"]}, {}, ["meta/acct_1", "'app_secert'", "'app_secret'"]),
        ({}, {"keyword": "x"}, ["option 'keyword'", "'keywords'"]),
        ({}, {"unproven": "accept"}, ["option 'unproven'", "known options: keywords"]),
    ],
)
def test_an_unknown_name_of_a_secret_or_option_stops_the_start(
    secrets: dict[str, list[str]], options: dict[str, str], told: list[str]
) -> None:
    """A secret under a wrong name proves nothing, silently. The message says which are known."""
    bad = Account(
        provider="meta", account="acct_1", tenant="demo", secrets=secrets, options=options
    )

    with pytest.raises(AccountsProblem) as problem:
        check_accounts(Accounts([bad]))

    assert all(word in str(problem.value) for word in told), problem.value


def test_every_provider_says_which_names_it_knows() -> None:
    """And each with what it is."""
    for provider in PROVIDERS:
        known = Account(
            provider=provider.name, account="a", tenant="t",
            secrets={name: ["x"] for name in provider.secrets},
            options=dict.fromkeys(provider.options, ""),
        )  # fmt: skip
        check_accounts(Accounts([known]))
        assert provider.secrets
        assert all({**provider.secrets, **provider.options}.values())


@pytest.mark.parametrize("host", ["https://hooks.example.com", "http://go.shop.example"])
def test_a_providers_click_on_our_own_link_is_left_to_the_links_door(host: str) -> None:
    """One tap, seen by both: the door's is the act."""
    keyring = LinkKeyring([SecretKey("a", b"0123456789abcdef")])
    token = keyring.sign(b"12345678", "ref-1")
    click = {**EVENT, "eventType": "Click", "click": {
        "timestamp": ISO, "link": f"{host}/l/{token}.", "userAgent": "Mozilla/5.0"}}  # fmt: skip
    other = {**click, "click": {**click["click"], "link": f"{host}/l/{token[:-2]}"}}  # type: ignore[dict-item]
    keys = {"firehose_access_key": ["k"]}
    callback = post("ses", firehose(click, other), headers={"x-amz-firehose-access-key": "k"})

    reading = read_callback(
        msgspec.structs.replace(callback, link_keys=keyring), owner("ses", keys), Ses()
    )

    assert isinstance(reading, Reading)
    assert [event.kind for event in reading.batch.events] == [
        pb.EVENT_KIND_INFO, pb.EVENT_KIND_CLICKED,
    ]  # fmt: skip
    assert not reading.batch.events[0].HasField("engagement")


@pytest.mark.parametrize("glued", [*".,)]>!?;:'\"", "...", '."', "”", "_", "*)"])
def test_a_link_survives_the_punctuation_behind_it(glued: str) -> None:
    """Mail and chat programs take the end of a sentence into the address."""
    keyring = LinkKeyring([SecretKey("a", b"0123456789abcdef")])
    token = keyring.sign(b"12345678", "ref-1")

    followed = keyring.verify(token + glued)

    assert followed is not None
    assert followed.message_ref == "ref-1"
    assert keyring.verify(glued + token) is None


async def test_a_doors_report_says_why_it_refused() -> None:
    """Most frequent first, with the cure."""

    class Sink:
        batches: list[EventBatch] = []  # noqa: RUF012

        async def submit(self, batch: EventBatch) -> None:
            self.batches.append(batch)

    reports = DoorReports(Sink(), SystemClock())
    mine = owner("ses", {})
    for refused in ("RAW_DELIVERY_UNSIGNED", "SIGNATURE_WRONG", "SIGNATURE_WRONG"):
        reports.refused(mine, refused, "Do this.")

    await reports.report()

    (report,) = Sink.batches[0].door_reports
    assert [(one.reason, one.count) for one in report.refusals] == [
        ("SIGNATURE_WRONG", 2), ("RAW_DELIVERY_UNSIGNED", 1),
    ]  # fmt: skip
    assert report.refusals[0].cure == "Do this."
    assert Authentic().proof == CALLBACK_PROOF_SIGNATURE != CALLBACK_PROOF_NOTHING
