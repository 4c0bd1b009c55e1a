"""What people write and tap on WhatsApp: Meta's inbound messages, from its words to ours."""

from typing import Any, Final

from bluetick.v1.common_pb2 import EVENT_KIND_INFO, EVENT_KIND_REPLIED, EVENT_KIND_UNKNOWN
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import seconds_us
from services.ingest.providers.meta_payload import (
    IDENTITY_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    object_at,
    text,
)
from services.ingest.providers.whole_body import add_consent

REPLY_TYPES: Final = frozenset(
    {
        "audio", "button", "contacts", "document", "image", "interactive", "location", "order",
        "reaction", "sticker", "text", "video",
    }
)  # fmt: skip
# Authentic and understood, but nobody answered anything.
NOTICE_TYPES: Final = frozenset({"edit", "request_welcome", "revoke", "system", "unsupported"})
# interactive.type -> the reply is a tap on something that the message offered.
TAPS: Final = frozenset({"button_reply", "list_reply"})

MESSAGE_WITHOUT_ID: Final = "MESSAGE_WITHOUT_ID"
MESSAGE_WITHOUT_TIMESTAMP: Final = "MESSAGE_WITHOUT_TIMESTAMP"
MESSAGE_ID_TOO_LONG: Final = "MESSAGE_ID_TOO_LONG"

DETAIL_BY_PROBLEM: Final = {
    MESSAGE_WITHOUT_ID: "id: missing or empty",
    MESSAGE_WITHOUT_TIMESTAMP: "timestamp: missing, or no number of seconds",
    MESSAGE_ID_TOO_LONG: f"an id is longer than {IDENTITY_CHARACTERS_MAX} characters",
}

TITLE_CHARACTERS_MAX: Final = 256


def add_inbound(reading: Reading, message: dict[str, Any], raw: bytes) -> str:
    """Add what an inbound message says; return the reason if it cannot be read, else ""."""
    inbound_id = text(message, "id")
    if not inbound_id:
        return MESSAGE_WITHOUT_ID
    time_us = seconds_us(message.get("timestamp"))
    if time_us is None:
        return MESSAGE_WITHOUT_TIMESTAMP
    answered_id = _answered_id(message)
    person = text(message, "from") or text(message, "from_user_id")
    if max(len(inbound_id), len(answered_id), len(person)) > IDENTITY_CHARACTERS_MAX:
        return MESSAGE_ID_TOO_LONG

    word = text(message, "type")
    if word in REPLY_TYPES:
        event = _add_reply(reading, message, time_us, answered_id)
        event.engagement.fact_id = inbound_id
    elif word in NOTICE_TYPES:
        event = _add_notice(reading, message, time_us, word)
    else:
        event = reading.add(EVENT_KIND_UNKNOWN, time_us)
        event.raw = raw
    event.provider_word = word[:WORD_CHARACTERS_MAX]
    event.address = from_digits(person)
    if event.kind == EVENT_KIND_REPLIED:
        tapped = event.engagement
        written = text(message, "text", "body")
        add_consent(reading, event, written, tapped.button_title, tapped.button_id)
    return ""


def _answered_id(message: dict[str, Any]) -> str:
    """Return the id of our message that this one answers; empty if it does not say.

    A quick reply may come without its context: Meta's own omission. A person may also answer a
    message of their own, which is none of ours.
    """
    answered_id = text(message, "reaction", "message_id")
    if not answered_id:
        context = object_at(message, "context")
        sender = text(message, "from") or text(message, "from_user_id")
        if sender and text(context, "from") == sender:
            return ""
        answered_id = text(context, "id")
    if answered_id and text(message, "group_id"):
        # In a group the message is counted per recipient, and so is the answer to it.
        participant = text(message, "from") or text(message, "from_user_id")
        return f"{answered_id}/{participant}" if participant else answered_id
    return answered_id


def _add_reply(reading: Reading, message: dict[str, Any], time_us: int, answered_id: str) -> Event:
    if answered_id:
        event = reading.add_of_message(EVENT_KIND_REPLIED, time_us, answered_id)
    else:
        event = reading.add(EVENT_KIND_REPLIED, time_us)
    word = text(message, "type")
    engagement = event.engagement
    engagement.inbound_type = word
    if word == "button":
        engagement.is_tap = True
        engagement.button_id = text(message, "button", "payload")[:TITLE_CHARACTERS_MAX]
        engagement.button_title = text(message, "button", "text")[:TITLE_CHARACTERS_MAX]
    elif word == "interactive":
        choice = text(message, "interactive", "type")
        engagement.inbound_type = choice[:WORD_CHARACTERS_MAX] or word
        if choice in TAPS:
            chosen = object_at(object_at(message, "interactive"), choice)
            engagement.is_tap = True
            engagement.button_id = text(chosen, "id")[:TITLE_CHARACTERS_MAX]
            engagement.button_title = text(chosen, "title")[:TITLE_CHARACTERS_MAX]
    elif word == "reaction":
        # No emoji: the person took the reaction back.
        engagement.is_withdrawn = not text(message, "reaction", "emoji")
    return event


def _add_notice(reading: Reading, message: dict[str, Any], time_us: int, word: str) -> Event:
    """Add an edit, a withdrawal, a change of number ...: kept, and no message moves.

    ``original_message_id`` is the person's own earlier message, so it is no message of ours.
    """
    event = reading.add(EVENT_KIND_INFO, time_us)
    errors = message.get("errors")
    if isinstance(errors, list) and errors:
        event.provider_code = text(errors[0], "code")[:WORD_CHARACTERS_MAX]
        details = text(errors[0], "error_data", "details") or text(errors[0], "title")
        event.detail = details[:1_000]
    else:
        event.detail = (text(message, word, "type") or word)[:1_000]
    return event
