"""Mailgun's webhooks: JSON, and the older forms, signed inside the body.

Source: Mailgun's webhook reference; quirks as noted.

- Signature: HMAC-SHA256 of timestamp and token with the webhook signing key (secret
  ``signing_key``, not the API key). It does not cover what the callback tells, so its token is
  remembered: with another body it is refused. A subaccount's callbacks carry the parent's
  signature, too.
- Message id: the header ``message-id`` without brackets; a send answers it with them.
- Code of a failure: the SMTP status ("5.1.1"), else "failed:<severity>:<reason>"; suppressed mail
  has "failed:permanent:suppress-<why>".
- Answers other than 200 and 406 make Mailgun try again for eight hours, 406 makes it give up.
"""

import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

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
    identity,
    list_at,
    object_at,
    text,
    words,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import is_unknown_address, smtp_codes
from services.ingest.domain.times import seconds_us
from services.ingest.providers import email_events
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.email_events import (
    ACTS,
    URL_CHARACTERS_MAX,
    EmailEvents,
    check_signed_time,
    set_choice,
    set_click,
    set_open,
)
from services.ingest.providers.email_replies import (
    add_email_reply,
    answered_message_id,
    date_us,
    headers_of,
)
from services.ingest.providers.failures import explain
from services.ingest.providers.mailgun_body import data_of, signatures_of
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)

SIGNING_KEY = "signing_key"

KIND_BY_EVENT: Final = {
    "accepted": EVENT_KIND_QUEUED,
    "delivered": EVENT_KIND_DELIVERED,
    "rejected": EVENT_KIND_DROPPED,
    "opened": EVENT_KIND_READ,
    "clicked": EVENT_KIND_CLICKED,
    "unsubscribed": EVENT_KIND_UNSUBSCRIBED,
    "complained": EVENT_KIND_COMPLAINED,
    # About mailing lists and the account.
    "list_member_uploaded": EVENT_KIND_INFO,
    "list_member_upload_error": EVENT_KIND_INFO,
    "list_uploaded": EVENT_KIND_INFO,
}
# Mailgun's own codes for mail that it did not even try to deliver: suppressed addresses.
SUPPRESSED_CODES: Final = frozenset({"605", "606", "607"})
# Reasons that say no more than that it failed: the mail server's own code says more.
VAGUE_REASONS: Final = frozenset({"", "bounce", "generic", "hardfail"})
# Words of the older forms beside "failed".
FAILED_WORDS: Final = frozenset({"failed", "bounced", "dropped"})


SIGNATURE_CURE: Final = (
    "Compare the account's signing_key with the HTTP webhook signing key in Mailgun's settings "
    "(not "
    "the API key); while it is changed, list both."
)


class Mailgun(Dialect):
    """The dialect of Mailgun's webhooks and inbound routes."""

    name = "mailgun"
    signs_tokens = True
    secrets: ClassVar[Names] = {SIGNING_KEY: "HTTP webhook signing key, not the API key"}
    options: ClassVar[Names] = email_events.OPTIONS

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare each signature in the body with any live signing key."""
        keys = live(account, SIGNING_KEY)
        if not keys:
            return SECRET_NOT_CONFIGURED
        signed = [block for block in signatures_of(callback) if text(block, "signature")]
        if not signed:
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        for block in signed:
            if _is_signed(block, keys):
                return check_signed_time(text(block, "timestamp"), callback)
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)

    def used_once(self, callback: Callback) -> str:
        """Return the token of a callback, which signs no other body."""
        blocks = signatures_of(callback)
        return next((token for block in blocks if (token := text(block, "token"))), "")

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read the one event of the body."""
        return read_whole(callback, account, partial(_read, callback, account))


def _is_signed(block: Mapping[str, Any], keys: list[str]) -> bool:
    signed = (text(block, "timestamp") + text(block, "token")).encode(errors="replace")
    given = text(block, "signature").strip().lower().encode(errors="replace")
    return any(
        hmac.compare_digest(given, hmac.digest(key.encode(), signed, "sha256").hex().encode())
        for key in keys
    )


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    data = data_of(callback)
    emails = EmailEvents(reading, account)
    word = words(data, "event")
    if word == "stored":
        _add_inbound(emails, data)
        return
    if not word:
        raise Unreadable("EVENT_MISSING", "event: missing or empty")
    kind = _failure_kind(data, word) if word in FAILED_WORDS else KIND_BY_EVENT.get(word)
    time_us = seconds_us(data.get("timestamp"))
    event = emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        time_us,
        word=word,
        message_id=identity(object_at(object_at(data, "message"), "headers"), "message-id"),
        # A rejected email has no recipient of its own, but still whom it was meant for.
        recipient=identity(data, "recipient")
        or identity(object_at(object_at(data, "message"), "headers"), "to"),
        message_ref=emails.ref_in(data.get("user-variables")),
    )
    if kind is None:
        event.raw = callback.body
    elif kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        _explain(reading, event, data, word)
    elif kind == EVENT_KIND_READ:
        set_open(event, time_us, _agent(data), _machine_rule(data))
    elif kind == EVENT_KIND_CLICKED:
        url = words(data, "url", characters_max=URL_CHARACTERS_MAX)
        set_click(event, time_us, url, _agent(data), _machine_rule(data))
    elif kind in ACTS:
        set_choice(event, time_us, words(data, "mailing-list", "address"))


def _failure_kind(data: Mapping[str, Any], word: str) -> int:
    """Return the kind of a failure: not all of them are final, and not all were tried."""
    if text(data, "severity") == "temporary":
        return EVENT_KIND_DEFERRED
    is_suppressed = text(data, "reason").startswith("suppress-")
    if is_suppressed or text(data, "delivery-status", "code") in SUPPRESSED_CODES:
        return EVENT_KIND_DROPPED
    return EVENT_KIND_UNDELIVERED


def _explain(reading: Reading, event: Event, data: Mapping[str, Any], word: str) -> None:
    status = object_at(data, "delivery-status")
    code, message = words(status, "code"), words(status, "message")
    description = words(status, "description")
    reason = words(data, "reason") or words(data, "reject", "reason")
    detail = message or description or words(data, "reject", "description") or reason
    if word == "rejected":
        explain(reading, event, ["rejected"], detail)
        return
    severity = "temporary" if event.kind == EVENT_KIND_DEFERRED else "permanent"
    own = f"failed:{severity}:{reason}" if reason else ""
    codes = smtp_codes(words(status, "enhanced-code"), message, description)
    basic = code if code.startswith(("4", "5")) and len(code) == 3 else ""
    told = [f"code:{code}" if code in SUPPRESSED_CODES else "", *codes.exact]
    vague = [own, basic, *codes.vague, f"failed:{severity}:bounce" if not reason else "", code]
    # Mailgun's own reason is the better word, unless the server says that nobody is there.
    is_code_first = reason in VAGUE_REASONS or any(map(is_unknown_address, codes.exact))
    is_code_first = is_code_first and not reason.startswith("suppress-")
    ordered = [*told, *vague] if is_code_first else [own, *told, *vague]
    explain(reading, event, ordered, detail)


def _add_inbound(emails: EmailEvents, data: Mapping[str, Any]) -> None:
    message = object_at(data, "message")
    headers = {
        **{name.lower(): value for name, value in object_at(message, "headers").items()
           if isinstance(value, str)},
        **headers_of(list_at(message, "header-list")),
    }  # fmt: skip
    told_us = seconds_us(data.get("timestamp"))
    # A raw email is signed when it is handed over, and tells itself when it was written.
    time_us = date_us(headers.get("date", "")) if data.get("is-raw") else told_us
    add_email_reply(
        emails,
        headers,
        time_us=told_us if time_us is None else time_us,
        word="stored",
        inbound_id=identity(headers, "message-id").strip("<>"),
        sender=identity(data, "sender") or identity(headers, "from"),
        answered_id=answered_message_id(headers),
        text=words(data, "text", characters_max=20_000),
        subject=words(headers, "subject"),
        own_address=identity(data, "recipient"),
    )


def _agent(data: Mapping[str, Any]) -> str:
    return words(data, "client-info", "user-agent")


def _machine_rule(data: Mapping[str, Any]) -> str:
    """Return Mailgun's own judgement: ``bot`` names the program ("apple", "generic")."""
    bot = words(data, "client-info", "bot", characters_max=32)
    return f"mailgun_bot_{bot}/1" if bot else ""
