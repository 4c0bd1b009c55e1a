"""Resend's dialect."""

import hmac
import json
from base64 import b64encode
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.runtime.accounts import Account
from services.ingest.providers.provider import Callback, Refused
from services.ingest.providers.resend import KIND_BY_EVENT, Resend
from tests.ingest.email_callbacks import NOW_S, NOW_US, account, events, post
from tests.ingest.security_suite import SignedProviderSuite

KEYS = [b"first key of the webhook", b"second key of the webhook"]
SECRETS = {"signing_secret": [f"whsec_{b64encode(key).decode()}" for key in KEYS]}
OWNER = account("resend", SECRETS)
EMAIL_ID = "56761188-7520-42d8-8898-ff6fc54ce618"


def told(word: str = "email.delivered", **data: Any) -> bytes:
    """One event; data that is None is left out."""
    fields = {
        "email_id": EMAIL_ID,
        "created_at": "2026-08-05T03:00:00.000Z",
        "from": "Shop <news@shop.example>",
        "to": ["Kim <kim@mail.example>"],
        "subject": "Sale",
        "tags": {"message_ref": "ref-1"},
        **data,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(
        {"type": word, "created_at": "2026-08-05T03:19:00.000Z", "data": fields}
    ).encode()


def one(word: str = "email.delivered", **data: Any) -> Any:
    (event,) = events(Resend(), told(word, **data), OWNER)
    return event


class TestSignature(SignedProviderSuite):
    """Svix's scheme."""

    provider = Resend()
    signature_header = "svix-signature"
    secret_name = "signing_secret"
    is_time_signed = True

    def account(self) -> Account:
        return OWNER

    def signed(
        self, body: bytes | None = None, *, secret_index: int = 0, at_us: int = NOW_US
    ) -> Callback:
        content = told() if body is None else body
        at = str(at_us // 1_000_000)
        mac = hmac.digest(KEYS[secret_index], f"msg_1.{at}.".encode() + content, "sha256")
        headers = {
            "content-type": "application/json",
            "svix-id": "msg_1",
            "svix-timestamp": at,
            "svix-signature": f"v1,{b64encode(mac).decode()}",
        }
        return post("resend", content, headers=headers)

    def test_any_of_several_signatures_proves_it(self) -> None:
        """While a secret is rotated, a callback bears both; another version's is not looked at."""
        callback = self.signed()
        given = callback.headers["svix-signature"]
        beside = {**callback.headers, "svix-signature": f"v1,AAAA v2,{given[3:]} {given}"}
        other = {**callback.headers, "svix-signature": f"v2,{given[3:]}"}

        assert not isinstance(self.verdict(post("resend", callback.body, headers=beside)), Refused)
        assert isinstance(self.verdict(post("resend", callback.body, headers=other)), Refused)


@pytest.mark.parametrize(("word", "kind"), KIND_BY_EVENT.items())
def test_each_word_has_its_kind(word: str, kind: int) -> None:
    """The event's own time counts, not that of the email."""
    event = one(word)

    assert (event.kind, event.provider_word) == (kind, word)
    assert (event.provider_message_id, event.address) == (EMAIL_ID, "kim@mail.example")
    assert (event.message_ref, event.occur_time_us) == ("ref-1", (NOW_S - 60) * 1_000_000)
    assert event.channel == pb.CHANNEL_EMAIL
    assert event.message_key != event.batch_key != b""


def test_an_unknown_word_is_kept() -> None:
    """Never guessed."""
    assert (one("email.teleported").kind, bool(one("email.teleported").raw)) == (
        pb.EVENT_KIND_UNKNOWN, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bounce", "code", "reason"),
    [
        ({"type": "Permanent", "subType": "General", "message": "hard bounce"},
         "Permanent/General", pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ({"type": "Transient", "subType": "General", "message": "smtp; 550 5.1.1 user unknown"},
         "5.1.1", pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ({"message": "smtp; 550 5.4.4 invalid domain"},
         "5.4.4", pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
    ],
)  # fmt: skip
def test_a_bounce_has_the_reason_of_its_label_or_of_the_servers_code(
    bounce: dict[str, str], code: str, reason: int
) -> None:
    """A soft label does not outrank what the mail server says for good."""
    event = one("email.bounced", bounce=bounce)

    assert (event.provider_code, event.reason) == (code, reason)


def test_an_event_of_several_recipients_names_the_batch() -> None:
    """It does not say whom it is about."""
    event = one(to=["a@mail.example", "b@mail.example"])

    assert event.message_key == event.batch_key
    assert event.address == ""


def test_a_click_is_the_same_however_often_it_is_told() -> None:
    """By person, second, link and program."""
    click = {"link": "https://x.test/a", "timestamp": "2026-08-05T03:18:59.300Z",
             "userAgent": "Mozilla/5.0 (iPhone)", "ipAddress": "203.0.113.5"}  # fmt: skip
    first, again = (one("email.clicked", click=click) for _ in range(2))
    other = one("email.clicked", click={**click, "link": "https://x.test/b"})

    assert first.engagement.url == "https://x.test/a"
    assert first.engagement.act_id == again.engagement.act_id != other.engagement.act_id


def test_an_inbound_email_answers_the_message_of_its_header() -> None:
    """And its subject may be a choice."""
    body = told(
        "email.received", message_id="<in-1@mail.example>", subject="STOP please",
        to=["desk@reply.example"], **{"from": "Kim <kim@mail.example>"},
        headers=[{"name": "In-Reply-To", "value": f"<{EMAIL_ID}>"}],
    )  # fmt: skip

    reply, left = events(Resend(), body, OWNER)

    assert (reply.kind, left.kind) == (pb.EVENT_KIND_REPLIED, pb.EVENT_KIND_UNSUBSCRIBED)
    assert reply.message_key == one().message_key
    assert (reply.own_address, reply.engagement.act_id) == (
        "desk@reply.example", "in-1@mail.example",
    )  # fmt: skip


def test_a_contact_that_left_is_an_opt_out() -> None:
    """By the page of Resend's own link."""
    body = told("contact.updated", email="kim@mail.example", unsubscribed=True, audience_id="a")

    (event,) = events(Resend(), body, OWNER)

    assert (event.kind, event.address) == (pb.EVENT_KIND_UNSUBSCRIBED, "kim@mail.example")
