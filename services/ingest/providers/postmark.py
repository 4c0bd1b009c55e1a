"""Postmark's webhooks: one JSON object for each event, and nothing signed.

Source: Postmark's webhook reference; bounce types as in its bounce API.

- Proof: user and password in the address, or a static header (see `static_credential.py`).
- Message id: ``MessageID``, one for each recipient.
- Times are ISO 8601, some with an offset and seven digits of a fraction.
- Code of a failure: ``Type`` of the bounce ("HardBounce").
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.fields import Unreadable, identity, list_at, object_at, text, words
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import is_permanent, smtp_codes
from services.ingest.domain.times import iso_us
from services.ingest.providers import email_events, static_credential
from services.ingest.providers.bodies import read_whole
from services.ingest.providers.decoding import json_object
from services.ingest.providers.email_events import (
    ACTS,
    URL_CHARACTERS_MAX,
    EmailEvents,
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
from services.ingest.providers.provider import Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import check_static_credential
from services.ingest.providers.unsigned_door import without_noise

KIND_BY_BOUNCE: Final = {
    "HardBounce": EVENT_KIND_UNDELIVERED,
    "SoftBounce": EVENT_KIND_UNDELIVERED,
    "Undeliverable": EVENT_KIND_UNDELIVERED,
    "Unconfirmed": EVENT_KIND_UNDELIVERED,
    "Unknown": EVENT_KIND_UNDELIVERED,
    "VirusNotification": EVENT_KIND_UNDELIVERED,
    # Bounces by name only: Postmark goes on trying.
    "Transient": EVENT_KIND_DEFERRED,
    "DnsError": EVENT_KIND_DEFERRED,
    "OpenRelayTest": EVENT_KIND_DEFERRED,
    "BadEmailAddress": EVENT_KIND_DROPPED,
    "ManuallyDeactivated": EVENT_KIND_DROPPED,
    "Blocked": EVENT_KIND_DROPPED,
    "DMARCPolicy": EVENT_KIND_DROPPED,
    "SMTPApiError": EVENT_KIND_DROPPED,
    "TemplateRenderingFailed": EVENT_KIND_DROPPED,
    "AutoResponder": EVENT_KIND_INFO,
    "AddressChange": EVENT_KIND_INFO,
    "ChallengeVerification": EVENT_KIND_INFO,
    "InboundError": EVENT_KIND_INFO,
    "SpamNotification": EVENT_KIND_COMPLAINED,
    "SpamComplaint": EVENT_KIND_COMPLAINED,
    "Unsubscribe": EVENT_KIND_UNSUBSCRIBED,
    "Subscribe": EVENT_KIND_RESUBSCRIBED,
}
# Bounces whose name leaves it open whether the mailbox is there: the mail server's own code, where
# it says that it is final, is the better word.
SOFT_BOUNCES: Final = frozenset(
    {"SoftBounce", "Undeliverable", "Unconfirmed", "Unknown", "VirusNotification"}
)
# Why Postmark stops sending to somebody: only one of them is that person's wish to leave.
KIND_BY_SUPPRESSION: Final = {
    "HardBounce": EVENT_KIND_UNDELIVERED,
    "SpamComplaint": EVENT_KIND_COMPLAINED,
    "ManualSuppression": EVENT_KIND_UNSUBSCRIBED,
}
# The id of a suppression that was set by hand and belongs to no message.
_NO_MESSAGE: Final = "00000000-0000-0000-0000-000000000000"
# Message-ID that Postmark gives to what it sends.
_OWN_MESSAGE_ID: Final = re.compile(r"([0-9a-f-]{36})@mtasv\.net", re.IGNORECASE)

_Add = Callable[..., Event]


class Postmark(Dialect):
    """The dialect of Postmark's webhooks."""

    name = "postmark"
    secrets: ClassVar[Names] = static_credential.SECRETS
    options: ClassVar[Names] = {**static_credential.OPTIONS, **email_events.OPTIONS}

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the credential in the address or header; without one the address is secret."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read the event; refuse what is none if nothing proves where it comes from."""
        return without_noise(
            read_whole(callback, account, partial(_read, callback, account)), account
        )


def _is_inbound(fields: dict[str, Any]) -> bool:
    # Older inbound webhooks have no RecordType.
    return text(fields, "RecordType") == "Inbound" or (
        "RecordType" not in fields and "From" in fields and "MessageID" in fields
    )


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    fields = json_object(callback.body)
    emails = EmailEvents(reading, account)
    record = words(fields, "RecordType")
    if _is_inbound(fields):
        _add_inbound(emails, fields)
        return
    if not record:
        raise Unreadable("EVENT_MISSING", "RecordType: missing or empty")
    message_id = identity(fields, "MessageID")
    add = partial(
        emails.add,
        message_id="" if message_id == _NO_MESSAGE else message_id,
        recipient=identity(fields, "Recipient", "Email"),
        message_ref=emails.ref_in(fields.get("Metadata")),
    )
    read = _READERS.get(record)
    if read is None:
        moments = ("ReceivedAt", "ChangedAt", "BouncedAt", "DeliveredAt")
        times = (iso_us(fields.get(name)) for name in moments)
        _unknown(add, record, next(filter(None, times), callback.receive_time_us), callback.body)
    else:
        read(reading, add, fields, callback.body)


def _read_delivery(reading: Reading, add: _Add, fields: dict[str, Any], body: bytes) -> None:
    event = add(EVENT_KIND_DELIVERED, iso_us(fields.get("DeliveredAt")), word="Delivery")
    event.detail = words(fields, "Details")


def _read_bounce(reading: Reading, add: _Add, fields: dict[str, Any], body: bytes) -> None:
    named = words(fields, "Type") or words(fields, "RecordType")
    kind = KIND_BY_BOUNCE.get(named)
    time_us = iso_us(fields.get("BouncedAt"))
    if kind is None:
        _unknown(add, named, time_us, body)
        return
    event = add(kind, time_us, word=named)
    details = words(fields, "Details") or words(fields, "Description")
    if kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        final = [code for code in smtp_codes(details).exact if is_permanent(code)]
        explain(reading, event, [*(final if named in SOFT_BOUNCES else ()), named], details)
    else:
        event.detail = details
    if kind in ACTS:
        set_choice(event, time_us)


def _read_open(reading: Reading, add: _Add, fields: dict[str, Any], body: bytes) -> None:
    time_us = iso_us(fields.get("ReceivedAt"))
    set_open(add(EVENT_KIND_READ, time_us, word="Open"), time_us, words(fields, "UserAgent"))


def _read_click(reading: Reading, add: _Add, fields: dict[str, Any], body: bytes) -> None:
    time_us = iso_us(fields.get("ReceivedAt"))
    event = add(EVENT_KIND_CLICKED, time_us, word="Click")
    url = words(fields, "OriginalLink", characters_max=URL_CHARACTERS_MAX)
    set_click(event, time_us, url, words(fields, "UserAgent"))


def _read_subscription(reading: Reading, add: _Add, fields: dict[str, Any], body: bytes) -> None:
    suppressed = fields.get("SuppressSending")
    named = words(fields, "SuppressionReason")
    time_us = iso_us(fields.get("ChangedAt"))
    kind = EVENT_KIND_RESUBSCRIBED if suppressed is False else KIND_BY_SUPPRESSION.get(named)
    if kind is None or not isinstance(suppressed, bool):
        _unknown(add, f"SubscriptionChange/{named}", time_us, body)
        return
    event = add(
        kind, time_us, word=f"SubscriptionChange/{named}" if named else "SubscriptionChange"
    )
    if kind == EVENT_KIND_UNDELIVERED:
        explain(reading, event, [named], "")
        return
    # A complaint is told twice: by itself and as the suppression that follows. It is one.
    set_choice(event, time_us, words(fields, "MessageStream"))
    # "Recipient", "Customer" or "Admin": who did it.
    event.detail = words(fields, "Origin")


def _add_inbound(emails: EmailEvents, fields: dict[str, Any]) -> None:
    headers = headers_of(list_at(fields, "Headers"))
    own = _OWN_MESSAGE_ID.fullmatch(answered_message_id(headers))
    add_email_reply(
        emails,
        headers,
        time_us=date_us(text(fields, "Date")),
        word="Inbound",
        inbound_id=identity(fields, "MessageID"),
        sender=identity(object_at(fields, "FromFull"), "Email") or identity(fields, "From"),
        answered_id=own.group(1).lower() if own else "",
        text=words(fields, "StrippedTextReply") or words(fields, "TextBody"),
        subject=words(fields, "Subject"),
        own_address=identity(fields, "OriginalRecipient", "To"),
    )


def _unknown(add: _Add, word: str, time_us: int | None, body: bytes) -> None:
    event = add(EVENT_KIND_UNKNOWN, time_us, word=word)
    event.raw = body


_READERS: Final[dict[str, Callable[[Reading, _Add, dict[str, Any], bytes], None]]] = {
    "Delivery": _read_delivery,
    "Bounce": _read_bounce,
    "SpamComplaint": _read_bounce,
    "Open": _read_open,
    "Click": _read_click,
    "SubscriptionChange": _read_subscription,
}
