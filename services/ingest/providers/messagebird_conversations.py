"""MessageBird's Conversations: messages of any channel, told as JSON events.

Source: MessageBird's Go SDK (``conversation/message.go`` and its test data), as of 2026.

The message is keyed by ``message.id`` alone: in a conversation there is one recipient.
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    needed_id,
    object_at,
    optional_id,
    text,
    title,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import iso_us
from services.ingest.providers.whole_body import (
    STAGE_BY_KIND,
    add_consent,
    add_opt_out_by_failure,
    add_unknown,
    explain,
)

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
# The person had left before: "103" by SMS, "131050" by WhatsApp.
OPT_OUT_CODES: Final = frozenset({"103", "131050"})
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
    if kind is None:
        event = add_unknown(reading, status, time_us, raw)
        reading.name_message(event, message_id)
    else:
        event = reading.add_of_message(kind, time_us, message_id)
        event.provider_word = status
    event.address = from_digits(
        optional_id(message, "to") or optional_id(object_at(fields, "contact"), "msisdn")
    )
    if kind in ACTS:
        # The same act told twice is one act; the next one has another time.
        event.engagement.fact_id = f"{message_id}/{status}/{event.occur_time_us}"
    if kind in STAGE_BY_KIND:
        error = object_at(message, "error")
        code = word(error, "code")
        explain(event, code, text(error, "description"), known_as=status)
        if code in OPT_OUT_CODES:
            add_opt_out_by_failure(reading, event)


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
    answered_id = optional_id(answered, "id", "messageId")
    if answered_id:
        event = reading.add_of_message(EVENT_KIND_REPLIED, time_us, answered_id)
    else:
        event = reading.add(EVENT_KIND_REPLIED, time_us)
    event.provider_word = word(message, "type")
    # In samples `from` and `to` of inbound messages are the wrong way round; the contact is right.
    person = optional_id(object_at(fields, "contact"), "msisdn") or optional_id(message, "from")
    event.address = from_digits(person)
    _add_act(event, object_at(message, "content"), inbound_id)
    engagement = event.engagement
    written = text(message, "content", "text")
    add_consent(reading, event, written, engagement.button_title, engagement.button_id)


def _add_act(event: Event, content: Mapping[str, Any], inbound_id: str) -> None:
    engagement = event.engagement
    engagement.fact_id = inbound_id
    engagement.inbound_type = event.provider_word
    interactive = object_at(content, "interactive")
    tapped = object_at(interactive, "reply") or object_at(content, "button")
    if tapped:
        engagement.is_tap = True
        engagement.button_id = title({"id": first_text(tapped, "payload", "id")}, "id")
        engagement.button_title = title({"text": first_text(tapped, "text", "title")}, "text")


def _time_us(item: Mapping[str, Any]) -> int | None:
    found = first_text(item, "updatedDatetime", "createdDatetime")
    return iso_us(found)
