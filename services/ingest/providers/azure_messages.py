"""SMS and WhatsApp of Azure Communication Services: reports, and what people send.

Source: Microsoft's pages on the SMS and advanced messaging events of Azure Communication Services.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    CHANNEL_WHATSAPP,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    Channel,
    EventKind,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import Unreadable, identity, object_at, text, words
from services.ingest.domain.times import iso_us
from services.ingest.providers.bodies import add_report
from services.ingest.providers.email_events import EmailEvents
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import Inbound, add_inbound

KIND_BY_SMS_STATUS: Final = {
    "delivered": EVENT_KIND_DELIVERED,
    "failed": EVENT_KIND_UNDELIVERED,
}
KIND_BY_ADVANCED_STATUS: Final = {
    "sent": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    "failed": EVENT_KIND_UNDELIVERED,
    "warning": EVENT_KIND_INFO,
    "unknown": EVENT_KIND_INFO,
}
_CODE: Final = re.compile(r"\b([0-9]{4})\b")


def add_sms_report(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    """Add the delivery report of an SMS."""
    status = words(data, "deliveryStatus")
    event = _report(
        emails, data, time_us, CHANNEL_SMS, KIND_BY_SMS_STATUS.get(status.lower()), status, raw
    )
    event.message_ref = identity(data, "tag")[:256]
    if event.kind in STAGE_BY_KIND:
        details = words(data, "deliveryStatusDetails")
        # "... (4001)" at the end, where there is a code.
        codes = _CODE.findall(details)
        explain(emails.reading, event, codes[-1:], details, known_as="failed")


def add_sms(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    """Add an SMS that was written to us."""
    _add_message(emails, data, time_us, CHANNEL_SMS, text(data, "message"))


def add_advanced_message(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    """Add a WhatsApp message that was written to us."""
    _add_message(
        emails,
        data,
        time_us,
        CHANNEL_WHATSAPP,
        text(data, "content") or text(data, "media", "caption"),
    )


def _add_message(
    emails: EmailEvents, data: Mapping[str, Any], time_us: int | None, channel: int, written: str
) -> None:
    told_us = iso_us(data.get("receivedTimestamp"))
    inbound_id = identity(data, "messageId", "MessageId") or identity(
        object_at(data, "context"), "messageId"
    )
    if not inbound_id:
        raise Unreadable("MESSAGE_WITHOUT_ID", "data.messageId: missing or empty")
    button = object_at(data, "button")
    choice = object_at(data, "interactive")
    tapped = (
        button
        or object_at(choice, "buttonReply")
        or object_at(choice, "listReply")
    )  # fmt: skip
    reaction = object_at(data, "reaction")
    add_inbound(
        emails.reading,
        Inbound(
            inbound_id=inbound_id,
            word="received",
            time_us=time_us if told_us is None else told_us,
            person=from_digits(identity(data, "from")),
            own_address=from_digits(identity(data, "to")),
            channel=channel,
            answered_id=identity(reaction, "messageId")
            or identity(object_at(data, "context"), "id", "messageId"),
            content_type=words(data, "messageType") or "text",
            texts=(written.replace("\x00", ""),),
            is_tap=bool(tapped),
            button_id=words(tapped, "payload") or words(tapped, "id"),
            button_title=words(tapped, "text") or words(tapped, "title"),
            is_reaction=bool(reaction),
            is_withdrawn=bool(reaction) and not text(reaction, "emoji"),
        ),
    )


def add_advanced_report(
    emails: EmailEvents, item: Mapping[str, Any], data: Mapping[str, Any], time_us: int | None,
    raw: bytes,
) -> None:  # fmt: skip
    """Add the delivery report of a WhatsApp message."""
    status = words(data, "status")
    kind = KIND_BY_ADVANCED_STATUS.get(status.lower())
    event = _report(emails, data, time_us, CHANNEL_WHATSAPP, kind, status, raw)
    if event.kind in STAGE_BY_KIND:
        error = object_at(data, "error")
        codes = [words(error, "channelCode"), words(error, "code")]
        explain(
            emails.reading, event, codes, words(error, "channelMessage") or words(error, "message")
        )


def _report(
    emails: EmailEvents, data: Mapping[str, Any], time_us: int | None, channel: Channel.ValueType,
    kind: EventKind.ValueType | None, status: str, raw: bytes,
) -> Event:  # fmt: skip
    """Add what both channels tell of a message; return the event."""
    message_id = identity(data, "messageId")
    if not message_id:
        raise Unreadable("STATUS_WITHOUT_ID", "data.messageId: missing or empty")
    told_us = iso_us(data.get("receivedTimestamp"))
    event = add_report(
        emails.reading, kind, status, time_us if told_us is None else told_us, message_id, raw
    )
    event.address = from_digits(identity(data, "to"))
    event.own_address = from_digits(identity(data, "from"))
    event.channel = channel
    return event
