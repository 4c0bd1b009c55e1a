import hmac
import itertools
import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.mailgun import Mailgun
from services.ingest.providers.provider import Authentic, Callback, Refused
from tests.ingest.email_callbacks import JANE, NOW_S, NOW_US, account, events, post, quarantined
from tests.ingest.security_suite import SignedProviderSuite

KEYS = ["key-of-today", "key-of-yesterday"]
OWNER = account("mailgun", {"signing_key": KEYS})
MESSAGE_ID = "20260805.1.ABC@mg.example.com"
FORM = "application/x-www-form-urlencoded"


# Mailgun gives each callback a token of its own, and it signs no other body.
_TOKENS = itertools.count()


def signature(at_s: int = NOW_S, key: str = KEYS[0], token: str = "") -> dict[str, str]:
    token = token or f"t0ken-{next(_TOKENS)}"
    digest = hmac.digest(key.encode(), f"{at_s}{token}".encode(), "sha256").hex()
    return {"timestamp": str(at_s), "token": token, "signature": digest}


def data(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    """The event of a body; a field that is None is left out."""
    told = {
        "id": "event-1",
        "event": word,
        "timestamp": NOW_S - 60 + 0.25,
        "recipient": JANE,
        "message": {"headers": {"message-id": MESSAGE_ID, "to": "Jane <to@example.net>"}},
        **fields,
    }
    return {name: value for name, value in told.items() if value is not None}


def dump(told: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"signature": signature(), **fields, "event-data": told}).encode()


def one(word: str = "delivered", **fields: Any) -> Event:
    (event,) = events(Mailgun(), dump(data(word, **fields)))
    return event


def form(*pairs: tuple[str, str], content_type: str = FORM) -> Callback:
    """A signed form; the signature is appended, as Mailgun does."""
    body = urlencode([*pairs, *signature().items()]).encode()
    return post("mailgun", body, headers={"content-type": content_type})


def of_form(*pairs: tuple[str, str]) -> list[Event]:
    reading = Mailgun().parse(form(*pairs), OWNER)
    assert isinstance(reading, Reading)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


class TestCredentials(SignedProviderSuite):
    provider = Mailgun()
    # The body carries the signature, which covers a time and a token, and nothing else of it.
    signature_header = ""
    secret_name = "signing_key"
    is_body_signed = False
    is_time_signed = True

    def account(self) -> Account:
        return OWNER

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        proof = signature(at_us // 1_000_000, KEYS[secret_index])
        told = {"signature": proof, "event-data": data()}
        return post("mailgun", json.dumps(told).encode() if body is None else body)

    def unsigned(self, callback: Callback) -> Callback:
        return _with(callback, signature=None)

    def forged(self, callback: Callback) -> Callback:
        return _with(callback, signature={**signature(), "signature": "0" * 64})

    @pytest.mark.parametrize("odd", ["", " ", "é", 5, None, [], {}, "0" * 100_000, "\ud800"])
    def test_an_odd_signature_in_the_body_breaks_nothing(self, odd: Any) -> None:
        """The body is a stranger's until it is proven."""
        for name in ("signature", "timestamp", "token"):
            self.is_refused(_with(self.signed(), signature={**signature(), name: odd}))

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b"a=b", b"null"])
    def test_a_body_that_holds_no_signature_is_refused(self, body: bytes) -> None:
        """What cannot be read proves nothing, so it is not kept either."""
        for content_type in ("application/json", FORM, "multipart/form-data; boundary=x", ""):
            callback = post("mailgun", body, headers={"content-type": content_type})
            assert self.verdict(callback) == Refused("SIGNATURE_MISSING")

    def test_the_signature_of_the_parent_account_is_enough(self) -> None:
        """A subaccount's callbacks are signed twice, and we may know the parent's key only."""
        proof = {"signature": signature(key="key-of-the-child"), "parent-signature": signature()}

        assert self.verdict(_with(self.signed(), **proof)) == Authentic()

    def test_of_signature_fields_in_a_form_the_last_counts(self) -> None:
        """A sender's variable of the same name comes before it."""
        callback = form(("token", "mine"), ("signature", "mine"), ("event", "delivered"))

        assert self.verdict(callback) == Authentic()


def _with(callback: Callback, **fields: Any) -> Callback:
    changed = {**json.loads(callback.body), **fields}
    told = {name: value for name, value in changed.items() if value is not None}
    return msgspec.structs.replace(callback, body=json.dumps(told).encode())


@pytest.mark.parametrize(
    ("word", "fields", "kind"),
    [
        ("accepted", {"delivery-status": {"code": 250}}, pb.EVENT_KIND_QUEUED),
        ("delivered", {}, pb.EVENT_KIND_DELIVERED),
        ("failed", {"severity": "permanent", "reason": "bounce"}, pb.EVENT_KIND_UNDELIVERED),
        ("failed", {"severity": "permanent"}, pb.EVENT_KIND_UNDELIVERED),
        ("failed", {}, pb.EVENT_KIND_UNDELIVERED),
        ("failed", {"severity": "permanent", "reason": "suppress-bounce"}, pb.EVENT_KIND_DROPPED),
        ("failed", {"severity": "permanent", "delivery-status": {"code": 607}},
         pb.EVENT_KIND_DROPPED),
        ("failed", {"severity": "temporary", "reason": "generic"}, pb.EVENT_KIND_DEFERRED),
        ("rejected", {"reject": {"reason": "Sandbox"}}, pb.EVENT_KIND_DROPPED),
        ("opened", {}, pb.EVENT_KIND_READ),
        ("clicked", {"url": "https://x.test"}, pb.EVENT_KIND_CLICKED),
        ("unsubscribed", {}, pb.EVENT_KIND_UNSUBSCRIBED),
        ("complained", {}, pb.EVENT_KIND_COMPLAINED),
        ("list_uploaded", {}, pb.EVENT_KIND_INFO),
        ("teleported", {}, pb.EVENT_KIND_UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_has_its_kind(word: str, fields: dict[str, Any], kind: int) -> None:
    """A failure may be final, passing, or of mail that was never tried."""
    event = one(word, **fields)

    assert (event.kind, event.provider_word) == (kind, word)
    assert (event.provider_message_id, event.address) == (MESSAGE_ID, JANE)
    assert event.occur_time_us == (NOW_S - 60) * 1_000_000 + 250_000
    assert bool(event.raw) == (word == "teleported")


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"reason": "bounce", "delivery-status": {"code": 550, "message": "5.1.1 unknown"}},
         "5.1.1", "RECIPIENT_RELATED_ERRORS"),
        ({"reason": "generic", "delivery-status": {"code": 550, "enhanced-code": "5.2.2"}},
         "5.2.2", "RECIPIENT_RELATED_ERRORS"),
        ({"reason": "bounce", "delivery-status": {"code": 550}},
         "failed:permanent:bounce", "RECIPIENT_RELATED_ERRORS"),
        ({"reason": "old", "delivery-status": {"code": 602}},
         "failed:permanent:old", "RECIPIENT_RELATED_ERRORS"),
        ({"reason": "suppress-complaint", "delivery-status": {"code": 607}},
         "failed:permanent:suppress-complaint", "RECIPIENT_RELATED_ERRORS"),
        ({"delivery-status": {"code": 605}}, "code:605", "RECIPIENT_RELATED_ERRORS"),
        ({"delivery-status": {"code": 554}}, "554", "META_ERRORS"),
        ({"delivery-status": None, "reason": None},
         "failed:permanent:bounce", "RECIPIENT_RELATED_ERRORS"),
        ({"reason": "tomorrow"}, "failed:permanent:tomorrow", "UNMAPPED"),
    ],
)  # fmt: skip
def test_a_failure_has_the_code_that_the_catalogue_knows(
    fields: dict[str, Any], code: str, reason: str
) -> None:
    """The mail server's own code says more than "bounce"."""
    event = one("failed", severity="permanent", **fields)

    assert event.provider_code == code
    assert pb.FailureReason.Name(event.reason) == f"FAILURE_REASON_{reason}"


def test_a_passing_failure_has_a_code_and_no_reason() -> None:
    """Another event follows."""
    status = {"code": 452, "message": "4.3.1 Out of memory"}

    event = one("failed", severity="temporary", reason="generic", **{"delivery-status": status})

    assert (event.provider_code, event.reason, event.detail) == ("4.3.1", 0, "4.3.1 Out of memory")


def test_a_rejected_email_has_the_address_it_was_meant_for() -> None:
    """It never had a recipient at Mailgun."""
    event = one("rejected", recipient=None, reject={"reason": "Virus", "description": "found"})

    assert (event.provider_code, event.detail) == ("rejected", "found")
    assert event.address == "to@example.net"


def test_a_null_where_an_object_was_is_no_matter() -> None:
    """`delivery-status` is null on some events."""
    body = dump({**data("accepted"), "delivery-status": None, "user-variables": None, "flags": 1})

    (event,) = events(Mailgun(), body)

    assert event.kind == pb.EVENT_KIND_QUEUED


def test_the_message_id_is_the_same_with_and_without_brackets() -> None:
    """A send answers with brackets, an event comes without."""
    bracketed = one(message={"headers": {"message-id": f"<{MESSAGE_ID}>"}})

    assert bracketed.message_key == one().message_key


def test_the_reference_is_a_user_variable() -> None:
    """Variables come as an object, or merged into a form."""
    variables = {"user-variables": {"message_ref": "ref-1"}}
    (from_form,) = of_form(("event", "delivered"), ("bluetick_ref", "ref-2"))

    assert one(**variables).message_ref == "ref-1"
    assert from_form.message_ref == "ref-2"


def test_mailguns_own_judgement_of_machines_is_kept() -> None:
    """It sees addresses that we do not."""
    machine = one("opened", **{"client-info": {"bot": "apple", "user-agent": "Mozilla/5.0"}})
    person = one("opened", **{"client-info": {"bot": "", "user-agent": "Mozilla/5.0"}})

    assert machine.engagement.machine_rule == "mailgun_bot_apple/1"
    assert not person.HasField("engagement")


def test_a_repeat_is_the_same_act_whatever_its_token() -> None:
    """Signatures can be made anew, and event ids are unique within a day only."""
    told = data("clicked", url="https://x.test/a")
    (first,) = events(Mailgun(), dump(told))
    (again,) = events(Mailgun(), dump(told, signature=signature(token="another")))
    (tomorrow,) = events(Mailgun(), dump({**told, "timestamp": NOW_S + 86_000}))

    assert first.engagement.act_id == again.engagement.act_id
    assert first.engagement.act_id != tomorrow.engagement.act_id


@pytest.mark.parametrize(
    ("pairs", "kind", "code"),
    [
        ([("event", "delivered")], pb.EVENT_KIND_DELIVERED, ""),
        ([("event", "bounced"), ("code", "550"), ("error", "5.1.1 no such user")],
         pb.EVENT_KIND_UNDELIVERED, "5.1.1"),
        ([("event", "dropped"), ("reason", "hardfail"), ("code", "605")],
         pb.EVENT_KIND_DROPPED, "code:605"),
        ([("event", "dropped"), ("reason", "old")],
         pb.EVENT_KIND_UNDELIVERED, "failed:permanent:old"),
        ([("event", "opened")], pb.EVENT_KIND_READ, ""),
    ],
)  # fmt: skip
def test_the_older_forms_are_read(pairs: list[tuple[str, str]], kind: int, code: str) -> None:
    """They are still in use; their data comes first and the sender's variables behind it."""
    (event,) = of_form(
        *pairs, ("recipient", JANE), ("Message-Id", f"<{MESSAGE_ID}>"), ("event", "mine")
    )

    assert (event.kind, event.provider_code) == (kind, code)
    assert (event.provider_message_id, event.address) == (MESSAGE_ID, JANE)
    assert event.occur_time_us == NOW_US


def test_a_form_with_attachments_is_read() -> None:
    """A bounce may bring the whole email along."""
    fields = {"event": "bounced", "Message-Id": f"<{MESSAGE_ID}>", **signature()}
    parts = [
        f'--b1\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = '--b1\r\nContent-Disposition: form-data; name="token"; filename="t.txt"\r\n\r\nx\r\n'
    body = ("".join(parts) + file + "--b1--\r\n").encode()
    callback = post("mailgun", body, headers={"content-type": "multipart/form-data; boundary=b1"})

    assert Mailgun().authenticate(callback, OWNER) == Authentic()
    reading = Mailgun().parse(callback, OWNER)
    assert isinstance(reading, Reading)
    assert [event.provider_message_id for event in reading.batch.events] == [MESSAGE_ID]


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", FORM]
)
def test_a_form_of_endless_parts_is_turned_away(content_type: str) -> None:
    """It comes before anything is proven, so it must be cheap."""
    body = b"--b\r\n" * 2_000 + b"a=1&" * 2_000
    for given in (content_type, "multipart/form-data; boundary=b"):
        callback = post("mailgun", body, headers={"content-type": given})

        assert Mailgun().authenticate(callback, OWNER) == Refused("SIGNATURE_MISSING")


INBOUND = [
    ("sender", JANE),
    ("recipient", "reply@mg.example.com"),
    ("subject", "Re: Spring"),
    ("body-plain", "STOP"),
    ("stripped-text", "STOP"),
    ("Message-Id", "<in-1@example.net>"),
    ("In-Reply-To", f"<{MESSAGE_ID}>"),
]


def test_an_answer_finds_its_message_and_may_be_an_opt_out() -> None:
    """Inbound mail comes as a form without an event."""
    reply, opt_out = of_form(*INBOUND)

    assert reply.kind == pb.EVENT_KIND_REPLIED
    assert (reply.provider_message_id, reply.address) == (MESSAGE_ID, JANE)
    assert reply.engagement.act_id == "in-1@example.net"
    assert opt_out.kind == pb.EVENT_KIND_UNSUBSCRIBED
    assert opt_out.provider_message_id == MESSAGE_ID


def test_an_answering_machine_is_no_reply() -> None:
    """Half of a campaign's answers are holidays."""
    headers = json.dumps([["Auto-Submitted", "auto-replied"]])

    (event,) = of_form(*INBOUND, ("message-headers", headers))

    assert (event.kind, event.detail) == (pb.EVENT_KIND_INFO, "automatic answer")


def test_a_stored_email_is_an_answer() -> None:
    """The newer form of inbound mail."""
    headers = {"from": f"Jane <{JANE}>", "message-id": "in-2", "in-reply-to": f"<{MESSAGE_ID}>"}

    event = one("stored", message={"headers": headers})

    assert (event.kind, event.provider_message_id) == (pb.EVENT_KIND_REPLIED, MESSAGE_ID)
    assert (event.address, event.engagement.act_id) == (JANE, "in-2")


@pytest.mark.parametrize(
    ("told", "reasons"),
    [
        ({}, ["EVENT_MISSING"]),
        (data(recipient="x" * 600), ["ID_TOO_LONG"]),
        (data(message={"headers": {"message-id": "a\x00"}}), ["INVALID_TEXT"]),
    ],
)
def test_what_cannot_be_read_is_kept(told: dict[str, Any], reasons: list[str]) -> None:
    """It is authentic, so it is never thrown away."""
    assert quarantined(Mailgun(), dump(told)) == reasons
