"""Azure Communication Services: email and SMS, through Event Grid.

Source: Microsoft's pages "Azure Communication Services as an Event Grid source" (email, SMS) and
"Webhook event delivery".

- Two schemas: Event Grid's own, a list with ``eventType`` and ``eventTime``; and CloudEvents 1.0,
  one or a list, with ``type`` and ``time``.
- Hand-shake: Event Grid's own schema posts a code that must be answered; CloudEvents asks by
  OPTIONS who may call (``WebHook-Request-Origin``), and is told the same origin and any
  rate (CloudEvents, "HTTP 1.1 Web Hooks", 4). Both only if they are proven.
- Proof: what the operator put into the address or into a delivery property: user and password, a
  header, or ``?token=``. (A token of Microsoft Entra would have to be looked up outside.)
- Message id: ``data.messageId`` of an email, with its recipient, and of an SMS.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.fields import Unreadable, identity, object_at, text, words
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.domain.times import iso_us
from services.ingest.providers import email_events, static_credential
from services.ingest.providers.azure_messages import (
    add_advanced_message,
    add_advanced_report,
    add_sms,
    add_sms_report,
)
from services.ingest.providers.bodies import add_unknown, read_list, read_whole
from services.ingest.providers.decoding import json_object, without_mark
from services.ingest.providers.email_events import (
    URL_CHARACTERS_MAX,
    EmailEvents,
    set_click,
    set_open,
)
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.provider import Answer, Authentic, Callback, Dialect, Names, Refused
from services.ingest.providers.static_credential import check_static_credential
from services.ingest.providers.unsigned_door import without_noise

PREFIX: Final = "Microsoft.Communication."
VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
DELETED: Final = "Microsoft.EventGrid.SubscriptionDeletedEvent"

KIND_BY_EMAIL_STATUS: Final = {
    "OutForDelivery": EVENT_KIND_SENT,
    "Delivered": EVENT_KIND_DELIVERED,
    # A list took it and passes it on.
    "Expanded": EVENT_KIND_DELIVERED,
    "Bounced": EVENT_KIND_UNDELIVERED,
    "Failed": EVENT_KIND_UNDELIVERED,
    "FilteredSpam": EVENT_KIND_UNDELIVERED,
    "Quarantined": EVENT_KIND_UNDELIVERED,
    # Bounced or complained before: not tried.
    "Suppressed": EVENT_KIND_DROPPED,
}
KIND_BY_ENGAGEMENT: Final = {"view": EVENT_KIND_READ, "click": EVENT_KIND_CLICKED}
_SUBJECT_RECIPIENT: Final = re.compile(r"recipient/([^/\s]+@[^/\s]+)")
# Event Grid sends a megabyte at most.
_decode_events: Final = msgspec.json.Decoder(list[dict[str, Any]]).decode
HANDSHAKE_BYTES_MAX: Final = 16_384
# The name of a host ("eventgrid.azure.net"); nothing else of a stranger's goes into a header.
_ORIGIN: Final = re.compile(r"[A-Za-z0-9.-]{1,253}")


class Azure(Dialect):
    """The dialect of Azure Communication Services."""

    name = "azure"
    methods = frozenset({"OPTIONS", "POST"})
    secrets: ClassVar[Names] = static_credential.SECRETS
    options: ClassVar[Names] = {**static_credential.OPTIONS, **email_events.OPTIONS}

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Answer that by which Event Grid tries a subscription out, if the callback is proven.

        An unproven one gets no answer of its own: who may answer for this address is the account's
        to say.
        """
        if callback.method == "OPTIONS":
            return _allowed_origin(self.authenticate(callback, account), callback)
        code = _validation_code(callback)
        if not code or isinstance(self.authenticate(callback, account), Refused):
            return None
        answer = msgspec.json.encode({"validationResponse": code})
        return Answer(200, answer, "application/json")

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the credential in the address or header."""
        return check_static_credential(callback, account)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read one event or a list of them."""
        return without_noise(
            read_whole(callback, account, partial(_read, callback, account)), account
        )

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a list of nothing but ``part``."""
        return b"[%s]" % part


def _allowed_origin(proven: Authentic | Refused, callback: Callback) -> Answer | None:
    """Return the leave to call that CloudEvents' hand-shake asks for; None: it is turned away."""
    origin = callback.headers.get("webhook-request-origin", "")
    if isinstance(proven, Refused):
        return None
    if not _ORIGIN.fullmatch(origin):
        return Answer(400)
    headers = ((b"webhook-allowed-origin", origin.encode()), (b"webhook-allowed-rate", b"*"))
    return Answer(200, headers=headers)


def _validation_code(callback: Callback) -> str:
    body = without_mark(callback.body)
    # Cheap to see: a hand-shake is one small event.
    if len(body) > HANDSHAKE_BYTES_MAX or b"SubscriptionValidationEvent" not in body:
        return ""
    try:
        events = _decode_events(body)
    except (ValueError, RecursionError):
        return ""
    if len(events) != 1 or text(events[0], "eventType") != VALIDATION:
        return ""
    return text(events[0], "data", "validationCode")


def _read(callback: Callback, account: Account, reading: Reading) -> None:
    body = without_mark(callback.body)
    add = partial(_add_event, EmailEvents(reading, account))
    if body.lstrip()[:1] == b"[":
        read_list(reading, body, add)
    else:
        add(json_object(body), body)


def _add_event(emails: EmailEvents, item: dict[str, Any], raw: bytes) -> None:
    named = words(item, "eventType") or words(item, "type")
    if not named:
        raise Unreadable("EVENT_MISSING", "eventType or type: missing or empty")
    told_us = iso_us(item.get("eventTime"))
    time_us = iso_us(item.get("time")) if told_us is None else told_us
    data = object_at(item, "data")
    read = _READERS.get(named.removeprefix(PREFIX)) if named.startswith(PREFIX) else None
    if read is not None:
        read(emails, item, data, time_us, raw)
    elif named in (VALIDATION, DELETED) or not named.startswith(PREFIX):
        event = emails.reading.add(EVENT_KIND_INFO, time_us)
        event.provider_word = named[:64]
        if named == VALIDATION:
            # Holds the address by which the operator can confirm by hand.
            event.raw = raw
    else:
        add_unknown(emails.reading, named.removeprefix(PREFIX), time_us, raw)


def _add_email_report(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    status = words(data, "status")
    kind = KIND_BY_EMAIL_STATUS.get(status)
    tried_us = iso_us(data.get("deliveryAttemptTimeStamp"))
    event = _email(emails, kind, time_us if tried_us is None else tried_us, status, item, data)
    event.own_address = identity(data, "sender")
    if kind is None:
        event.raw = raw
    elif kind in STAGE_BY_KIND:
        said = words(data, "deliveryStatusDetails", "statusMessage")
        codes = smtp_codes(said)
        explain(
            emails.reading, event, [*codes.exact, f"status:{status}", *codes.vague], said or status
        )


def _add_email_act(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    done = words(data, "engagementType")
    kind = KIND_BY_ENGAGEMENT.get(done.lower())
    acted_us = iso_us(data.get("userActionTimeStamp"))
    acted_us = time_us if acted_us is None else acted_us
    event = _email(emails, kind, acted_us, done, item, data)
    agent = words(data, "userAgent")
    if kind is None:
        event.raw = raw
    elif kind == EVENT_KIND_READ:
        set_open(event, acted_us, agent)
    else:
        url = words(data, "engagementContext", characters_max=URL_CHARACTERS_MAX)
        set_click(event, acted_us, url, agent)


def _email(
    emails: EmailEvents, kind: int | None, time_us: int | None, word: str,
    item: Mapping[str, Any], data: Mapping[str, Any],
) -> Event:  # fmt: skip
    recipient = identity(data, "recipient")
    if not recipient and (found := _SUBJECT_RECIPIENT.search(words(item, "subject"))):
        recipient = found.group(1)
    return emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        time_us,
        word=word,
        message_id=identity(data, "messageId"),
        recipient=recipient,
    )


_READERS: Final = {
    "EmailDeliveryReportReceived": _add_email_report,
    "EmailEngagementTrackingReportReceived": _add_email_act,
    "SMSDeliveryReportReceived": add_sms_report,
    "SMSReceived": add_sms,
    "AdvancedMessageReceived": add_advanced_message,
    "AdvancedMessageDeliveryStatusUpdated": add_advanced_report,
}
