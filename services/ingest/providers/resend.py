"""Resend: one JSON event a callback, signed by Svix's scheme.

Source: Resend's webhook reference and Svix's page on verifying by hand, as of 2026.

- Signature: base64 of HMAC-SHA256 over "id.timestamp.body" with the signing secret (``whsec_`` and
  base64 of the key); the header ``svix-signature`` holds one or several, each behind its version.
- Message id: ``data.email_id``, which a send answers with. An email to several people has one id,
  and an event names all of them and not whom it is about: with more than one it is the batch's.
- Time: ``created_at`` of the event; the one in ``data`` is that of the email.
- Code of a bounce: "<type>/<subType>" as SES has them, whose words they are.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_CANCELED,
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.fields import Unreadable, identity, list_at, object_at, text, words
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import is_permanent, smtp_codes
from services.ingest.domain.times import SECOND_US, iso_us, seconds_us
from services.ingest.providers import email_events
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.decoding import json_object
from services.ingest.providers.email_events import (
    URL_CHARACTERS_MAX,
    EmailEvents,
    set_choice,
    set_click,
    set_open,
)
from services.ingest.providers.email_replies import (
    add_email_reply,
    answered_message_id,
    headers_of,
)
from services.ingest.providers.failures import explain
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.signed_jwt import check_age

SIGNING_SECRET: Final = "signing_secret"  # noqa: S105 the name of a secret
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 not a secret
SIGNATURE_HEADER: Final = "svix-signature"
ID_HEADER: Final = "svix-id"
TIMESTAMP_HEADER: Final = "svix-timestamp"
SIGNATURES_MAX: Final = 8
SIGNATURE_CURE: Final = (
    "Compare the account's signing_secret (whsec_...) with the one of the webhook in Resend's "
    "dashboard; while it is changed, list both. A proxy must not rewrite bodies."
)

KIND_BY_EVENT: Final = {
    "email.scheduled": EVENT_KIND_QUEUED,
    "email.sent": EVENT_KIND_SENT,
    "email.delivered": EVENT_KIND_DELIVERED,
    "email.delivery_delayed": EVENT_KIND_DEFERRED,
    "email.bounced": EVENT_KIND_UNDELIVERED,
    "email.failed": EVENT_KIND_DROPPED,
    "email.suppressed": EVENT_KIND_DROPPED,
    "email.canceled": EVENT_KIND_CANCELED,
    "email.complained": EVENT_KIND_COMPLAINED,
    "email.opened": EVENT_KIND_READ,
    "email.clicked": EVENT_KIND_CLICKED,
}
RECEIVED: Final = "email.received"
# About the list of contacts and the domains of the account; a contact may have left by it.
NOTICE_PREFIXES: Final = ("contact.", "domain.")
# What says no more than that it bounced: the mail server's code says more.
SOFT_TYPES: Final = frozenset({"", "Transient", "Undetermined"})


class Resend(Dialect):
    """The dialect of Resend."""

    name = "resend"
    secrets: ClassVar[Names] = {SIGNING_SECRET: "signing secret of the webhook (whsec_...)"}
    options: ClassVar[Names] = email_events.OPTIONS

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare each signature of the header with that of any live secret."""
        keys = [key for secret in live(account, SIGNING_SECRET) if (key := _key(secret))]
        if not keys:
            return SECRET_NOT_CONFIGURED
        given = callback.headers.get(SIGNATURE_HEADER, "").split()[:SIGNATURES_MAX]
        signed_id = callback.headers.get(ID_HEADER, "")
        timestamp = callback.headers.get(TIMESTAMP_HEADER, "")
        if not given or not signed_id or not timestamp:
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        signed = f"{signed_id}.{timestamp}.".encode(errors="replace") + callback.body
        for key in keys:
            expected = b"v1," + b64encode(hmac.digest(key, signed, "sha256"))
            if any(hmac.compare_digest(one.encode(errors="replace"), expected) for one in given):
                time_us = seconds_us(timestamp)
                return check_age(None if time_us is None else time_us / SECOND_US, callback)
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read the event."""
        return read_whole(callback, account, partial(_read, callback, account))


def _key(secret: str) -> bytes:
    try:
        return b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    fields = json_object(callback.body)
    word, data = words(fields, "type"), object_at(fields, "data")
    emails = EmailEvents(reading, account)
    time_us = iso_us(fields.get("created_at"))
    if not word:
        raise Unreadable("EVENT_MISSING", "type: missing or empty")
    if word == RECEIVED:
        _add_inbound(emails, data, time_us)
        return
    if word.startswith(NOTICE_PREFIXES):
        _add_notice(emails, word, data, time_us)
        return
    kind = KIND_BY_EVENT.get(word)
    event = emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        time_us,
        word=word,
        message_id=identity(data, "email_id"),
        recipient=_only_recipient(data),
        message_ref=_reference(emails, data),
    )
    event.own_address = identity(data, "from")
    if kind is None:
        event.raw = callback.body
    elif kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        _explain(reading, event, data)
    elif kind == EVENT_KIND_READ:
        set_open(event, time_us, words(data, "open", "userAgent"))
    elif kind == EVENT_KIND_CLICKED:
        clicked = object_at(data, "click")
        at_us = iso_us(clicked.get("timestamp"))
        url = words(clicked, "link", characters_max=URL_CHARACTERS_MAX)
        set_click(event, time_us if at_us is None else at_us, url, words(clicked, "userAgent"))
    elif kind == EVENT_KIND_COMPLAINED:
        set_choice(event, time_us)


def _only_recipient(data: Mapping[str, Any]) -> str:
    """Return the recipient if there is one: of several the event does not say which it means."""
    named = [one for one in list_at(data, "to") if isinstance(one, str)]
    return identity({"to": named[0]}, "to") if len(named) == 1 else identity(data, "to")


def _reference(emails: EmailEvents, data: Mapping[str, Any]) -> str:
    """Return the sender's id: tags come as an object, or as a list of names and values."""
    tags = data.get("tags")
    if isinstance(tags, list):
        tags = {text(tag, "name"): text(tag, "value") for tag in tags}
    return emails.ref_in(tags) or emails.ref_in(
        {
            name.removeprefix("x-"): value
            for name, value in headers_of(list_at(data, "headers")).items()
        }
    )


def _explain(reading: Reading, event: Event, data: Mapping[str, Any]) -> None:
    bounce = object_at(data, "bounce")
    failed = object_at(data, "failed") or object_at(data, "suppressed")
    kind, sub = words(bounce, "type"), words(bounce, "subType")
    diagnosis = list_at(bounce, "diagnosticCode")
    said = [words({"said": one}, "said") for one in diagnosis[:8]] + [words(bounce, "message")]
    codes = smtp_codes(*said)
    named = [
        f"{kind}/{sub}" if kind else "",
        f"{kind}/General" if kind else "",
        words(failed, "reason"),
    ]
    is_label_soft = kind in SOFT_TYPES and any(map(is_permanent, codes.exact))
    told = [*codes.exact, *named] if is_label_soft else [*named, *codes.exact]
    detail = next(filter(None, said), "") or words(failed, "reason")
    explain(reading, event, [*told, *codes.vague], detail, known_as=event.provider_word)


def _add_notice(
    emails: EmailEvents, word: str, data: Mapping[str, Any], time_us: int | None
) -> None:
    left = data.get("unsubscribed")
    if word == "contact.updated" and isinstance(left, bool):
        kind = EVENT_KIND_UNSUBSCRIBED if left else EVENT_KIND_RESUBSCRIBED
        event = emails.add(kind, time_us, word=word, recipient=identity(data, "email"))
        set_choice(event, time_us, identity(data, "audience_id", "id"))
        return
    event = emails.add(EVENT_KIND_INFO, time_us, word=word, recipient=identity(data, "email"))
    event.detail = words(data, "name") if word.startswith("domain.") else ""


def _add_inbound(emails: EmailEvents, data: Mapping[str, Any], time_us: int | None) -> None:
    """Add an inbound email. Its text is not in the callback; its subject may be a choice."""
    headers = headers_of(list_at(data, "headers"))
    headers.setdefault("from", text(data, "from"))
    recipients = list_at(data, "to")
    add_email_reply(
        emails,
        headers,
        time_us=time_us,
        word=RECEIVED,
        inbound_id=identity(data, "message_id").strip("<>") or identity(data, "email_id"),
        sender=identity(data, "from"),
        answered_id=answered_message_id(headers),
        text=words(data, "text", characters_max=20_000),
        subject=words(data, "subject"),
        own_address=text({"to": recipients[0]}, "to") if recipients else "",
    )
