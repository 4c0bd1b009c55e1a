"""Brevo (Sendinblue before): one JSON event a callback, and nothing signed.

Source: Brevo's pages on transactional, marketing and inbound webhooks; quirks as django-anymail
found them.

- Proof: user and password in the address, or a static header ("Authorization: Bearer ...").
- Message id: ``message-id`` in angle brackets, which a send answers as ``messageId``; it covers all
  recipients of a request.
- Times: ``ts_epoch`` in milliseconds is the only one in UTC; ``ts_event`` and ``ts`` are seconds in
  the account's zone, so they come after it.
- Code of a failure: the SMTP status in ``reason``, else "event:<event>".
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    identity,
    list_at,
    object_at,
    text,
    words,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import is_permanent, smtp_codes
from services.ingest.domain.times import iso_us, milliseconds_or_seconds_us
from services.ingest.providers import email_events, static_credential
from services.ingest.providers.bodies import read_list, read_whole
from services.ingest.providers.decoding import json_fields, json_object, without_mark
from services.ingest.providers.email_events import (
    ACTS,
    URL_CHARACTERS_MAX,
    EmailEvents,
    set_choice,
    set_click,
    set_open,
)
from services.ingest.providers.email_replies import add_email_reply, answered_message_id, date_us
from services.ingest.providers.failures import explain
from services.ingest.providers.provider import Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import check_static_credential
from services.ingest.providers.unsigned_door import without_noise

KIND_BY_EVENT: Final = {
    "request": EVENT_KIND_QUEUED,
    "sent": EVENT_KIND_QUEUED,
    "delivered": EVENT_KIND_DELIVERED,
    "deferred": EVENT_KIND_DEFERRED,
    "hard_bounce": EVENT_KIND_UNDELIVERED,
    "soft_bounce": EVENT_KIND_UNDELIVERED,
    # Never tried.
    "blocked": EVENT_KIND_DROPPED,
    "invalid_email": EVENT_KIND_DROPPED,
    "error": EVENT_KIND_DROPPED,
    "opened": EVENT_KIND_READ,
    "unique_opened": EVENT_KIND_READ,
    "proxy_open": EVENT_KIND_READ,
    "unique_proxy_open": EVENT_KIND_READ,
    "click": EVENT_KIND_CLICKED,
    "spam": EVENT_KIND_COMPLAINED,
    "unsubscribe": EVENT_KIND_UNSUBSCRIBED,
    "list_addition": EVENT_KIND_INFO,
    "contact_updated": EVENT_KIND_INFO,
    "contact_deleted": EVENT_KIND_INFO,
}
# The same in the words of its other interfaces ("hardBounce", "uniqueOpened").
_ALIASES: Final = {
    "loadedByProxy": "proxy_open",
    "loaded_by_proxy": "proxy_open",
    "complaint": "spam",
    "clicked": "click",
    "unsubscribed": "unsubscribe",
    "invalid": "invalid_email",
}
# Apple's proxy and its like: a program fetched the picture.
PROXY_OPENS: Final = frozenset({"proxy_open", "unique_proxy_open"})
PROXY_RULE: Final = "brevo_proxy_open/1"
INBOUND: Final = "inbound"


class Brevo(Dialect):
    """The dialect of Brevo."""

    name = "brevo"
    secrets: ClassVar[Names] = static_credential.SECRETS
    options: ClassVar[Names] = {**static_credential.OPTIONS, **email_events.OPTIONS}

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the credential in the address or header."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read an event, a batch of them, or inbound emails."""
        return without_noise(
            read_whole(callback, account, partial(_read, callback, account)), account
        )

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a list of nothing but ``part``."""
        return b"[%s]" % part


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    body = without_mark(callback.body)
    emails = EmailEvents(reading, account)
    if body.lstrip()[:1] == b"[":
        read_list(reading, body, partial(_add_item, emails))
        return
    fields = json_object(body)
    # What tells an event is one, whatever else is in it.
    if "items" in fields and "event" not in fields:
        items = json_fields(body)["items"]
        read_list(reading, bytes(items), partial(_add_item, emails), whole=body)
    else:
        _add_item(emails, fields, body)


def _add_item(emails: EmailEvents, item: dict[str, Any], raw: bytes) -> None:
    if "event" not in item and ("InReplyTo" in item or "Uuid" in item or "From" in item):
        _add_inbound(emails, item)
    else:
        _add_event(emails, item, raw)


def _add_event(emails: EmailEvents, item: dict[str, Any], raw: bytes) -> None:
    told = words(item, "event")
    if not told:
        raise Unreadable("EVENT_MISSING", "event: missing or empty")
    word = _ALIASES.get(told, _snake(told))
    kind = KIND_BY_EVENT.get(word)
    time_us = _time_us(item)
    event = emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        time_us,
        word=told,
        message_id=identity(item, "message-id", "messageId"),
        recipient=identity(item, "email"),
        message_ref=_reference(emails, item),
    )
    agent = first_text(item, "user_agent", "userAgent").replace("\x00", "")
    if kind is None:
        event.raw = raw
    elif kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        _explain(emails.reading, event, item, word)
    elif kind == EVENT_KIND_READ:
        set_open(event, time_us, agent, PROXY_RULE if word in PROXY_OPENS else "")
    elif kind == EVENT_KIND_CLICKED:
        url = words(item, "link", characters_max=URL_CHARACTERS_MAX)
        set_click(
            event, time_us, url or words(item, "URL", characters_max=URL_CHARACTERS_MAX), agent
        )
    elif kind in ACTS:
        lists = item.get("list_id")
        about = ",".join(map(str, lists)) if isinstance(lists, list) else text(item, "list_id")
        set_choice(event, time_us, about)


def _snake(word: str) -> str:
    """Return "hard_bounce" for "hardBounce"."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in word[:64])


def _time_us(item: Mapping[str, Any]) -> int | None:
    for name in ("ts_epoch", "ts_event", "ts"):
        time_us = milliseconds_or_seconds_us(item.get(name))
        if time_us is not None:
            return time_us
    return iso_us(item.get("date"))


def _reference(emails: EmailEvents, item: Mapping[str, Any]) -> str:
    """Return the sender's id from the header X-Mailin-custom, which is free text or JSON."""
    custom = text(item, "X-Mailin-custom")
    if custom.startswith("{"):
        try:
            return emails.ref_in(msgspec.json.decode(custom.encode(errors="replace")))
        except (ValueError, RecursionError):
            return ""
    return emails.ref_in({"message_ref": custom.removeprefix("message_ref:")}) if custom else ""


def _explain(reading: Reading, event: Event, item: Mapping[str, Any], word: str) -> None:
    reason = words(item, "reason")
    codes = smtp_codes(reason)
    exact = codes.exact
    if word == "soft_bounce":
        # A label that leaves it open; a final code says more, and a passing one no more than it.
        exact = [code for code in exact if is_permanent(code)] or exact
    explain(reading, event, [*exact, f"event:{word}", *codes.vague], reason)


def _add_inbound(emails: EmailEvents, item: Mapping[str, Any]) -> None:
    headers = {
        name.lower(): value if isinstance(value, str) else text({"first": value[0]}, "first")
        for name, value in object_at(item, "Headers").items()
        if isinstance(value, str) or (isinstance(value, list) and value)
    }
    if answered := text(item, "InReplyTo"):
        headers.setdefault("in-reply-to", answered)
    recipients = list_at(item, "To")
    identities = list_at(item, "Uuid")
    add_email_reply(
        emails,
        headers,
        time_us=date_us(text(item, "SentAtDate") or headers.get("date", "")),
        word=INBOUND,
        inbound_id=identity(item, "MessageId").strip("<>")
        or text({"first": identities[0] if identities else ""}, "first"),
        sender=identity(object_at(item, "From"), "Address"),
        answered_id=answered_message_id(headers),
        text=words(item, "ExtractedMarkdownMessage") or words(item, "RawTextBody"),
        subject=words(item, "Subject"),
        own_address=text(recipients[0], "Address") if recipients else "",
    )
