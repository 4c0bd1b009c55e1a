"""MessageBird's Conversations: messages of any channel, told as JSON events.

Source: MessageBird's Go SDK (``conversation/message.go`` and its test data), as of 2026.

The message is keyed by ``message.id`` alone: in a conversation there is one recipient.
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNSUBSCRIBED,
)

from services.ingest.domain.act_ids import act_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    needed_id,
    object_at,
    optional_id,
    text,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import iso_us
from services.ingest.providers.bodies import add_report, add_unknown
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import FROM_ADVERT, Inbound, add_inbound

KIND_BY_STATUS: Final = {
    "accepted": EVENT_KIND_ACCEPTED,
    "scheduled": EVENT_KIND_ACCEPTED,
    "pending": EVENT_KIND_ACCEPTED,
    "dispatched": EVENT_KIND_SENT,
    "transmitted": EVENT_KIND_SENT,
    "sent": EVENT_KIND_SENT,
    "buffered": EVENT_KIND_SENT,
    "delayed": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    "opened": EVENT_KIND_READ,
    "clicked": EVENT_KIND_CLICKED,
    "rejected": EVENT_KIND_DROPPED,
    "failed": EVENT_KIND_DROPPED,
    "delivery_failed": EVENT_KIND_UNDELIVERED,
    "expired": EVENT_KIND_UNDELIVERED,
    "bounce": EVENT_KIND_UNDELIVERED,
    "spam_complaint": EVENT_KIND_COMPLAINED,
    "list_unsubscribe": EVENT_KIND_UNSUBSCRIBED,
    "deleted": EVENT_KIND_INFO,
    "unknown": EVENT_KIND_INFO,
    "received": EVENT_KIND_INFO,
    "out_of_bounded": EVENT_KIND_INFO,
}
# Acts of a person: told without an id of their own.
ACTS: Final = frozenset({EVENT_KIND_CLICKED, EVENT_KIND_COMPLAINED, EVENT_KIND_UNSUBSCRIBED})
CHANNELS: Final = {
    "whatsapp": CHANNEL_WHATSAPP,
    "whatsapp_sandbox": CHANNEL_WHATSAPP,
    "sms": CHANNEL_SMS,
    "email": CHANNEL_EMAIL,
}
# What happens to a conversation or a contact moves no message.
NOTICES: Final = ("conversation.", "contact.")


def add_conversation_event(reading: Reading, fields: Mapping[str, Any], raw: bytes) -> None:
    """Add what one event says.

    Raises:
        Unreadable: it is about a message and lacks its id, or is about nothing.
    """
    name = word(fields, "type")
    message = object_at(fields, "message")
    if not message:
        conversation = object_at(fields, "conversation")
        time_us = _time_us(conversation)
        if name.startswith(NOTICES):
            event = reading.add(EVENT_KIND_INFO, time_us)
            event.provider_word = name
        elif fields:
            add_unknown(reading, name, time_us, raw)
        else:
            raise Unreadable("MESSAGE_MISSING", "message: missing, and nothing else is there")
    elif text(message, "direction") == "received":
        _add_received(reading, fields, message)
    else:
        _add_sent(reading, fields, message, raw)


def _add_sent(
    reading: Reading, fields: Mapping[str, Any], message: Mapping[str, Any], raw: bytes
) -> None:
    message_id = needed_id(message, "id", reason="STATUS_WITHOUT_ID")
    status = word(message, "status").lower()
    time_us = _time_us(message)
    kind = KIND_BY_STATUS.get(status)
    event = add_report(reading, kind, status, time_us, message_id, raw)
    event.address = from_digits(
        optional_id(message, "to") or optional_id(object_at(fields, "contact"), "msisdn")
    )
    event.channel = _channel(message)  # type: ignore[assignment]
    if kind in ACTS:
        event.engagement.act_id = act_id(status, event.address, time_us)
    if kind in STAGE_BY_KIND:
        error = object_at(message, "error")
        codes = [word(error, "code")]
        explain(reading, event, codes, text(error, "description"), known_as=status)


def _add_received(reading: Reading, fields: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    inbound_id = needed_id(message, "id", reason="MESSAGE_WITHOUT_ID")
    status = word(message, "status").lower()
    time_us = iso_us(message.get("createdDatetime")) or _time_us(message)
    if status not in {"", "received"}:
        # What we did with the person's message (read it, deleted it) is no answer of theirs.
        event = reading.add(EVENT_KIND_INFO, time_us)
        event.provider_word = status
        return
    answered = object_at(message, "replyTo") or object_at(message, "context")
    content = object_at(message, "content")
    interactive = object_at(content, "interactive")
    tapped = object_at(interactive, "reply") or object_at(content, "button")
    contact = object_at(fields, "contact")
    kind = word(message, "type")
    reaction = object_at(content, "reaction")
    answered_id = optional_id(answered, "id", "messageId") or optional_id(
        reaction, "messageId", "message_id", "id"
    )
    # Where WhatsApp's own fields stand differs by the age of the channel.
    is_advert = any(
        object_at(part, "referral") for part in (message, content, object_at(content, kind))
    )
    add_inbound(
        reading,
        Inbound(
            inbound_id=inbound_id,
            word=kind,
            time_us=time_us,
            # In samples `from` and `to` of inbound messages are the wrong way round; the contact
            # is right.
            person=from_digits(optional_id(contact, "msisdn") or optional_id(message, "from")),
            channel=_channel(message),
            answered_id=answered_id,
            content_type=kind,
            texts=(
                text(content, "text"),
                text(content, kind, "caption"),
                text(content, "email", "content", "text"),
            ),
            is_tap=bool(tapped),
            button_id=first_text(tapped, "payload", "id"),
            button_title=first_text(tapped, "text", "title"),
            is_reaction=kind == "reaction",
            is_withdrawn=kind == "reaction" and not text(content, "reaction", "emoji"),
            answers_nothing=FROM_ADVERT if is_advert and not answered_id else "",
        ),
    )


def _channel(message: Mapping[str, Any]) -> int:
    return CHANNELS.get(text(message, "platform"), CHANNEL_UNSPECIFIED)


def _time_us(item: Mapping[str, Any]) -> int | None:
    found = first_text(item, "updatedDatetime", "createdDatetime")
    return iso_us(found)
