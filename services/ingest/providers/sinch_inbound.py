"""What people write, choose and react with: Sinch's Conversation API, from its words to ours.

Source: Sinch's SDKs and its published skills for the Conversation API, as of 2026.
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import EVENT_KIND_INFO, EVENT_KIND_REPLIED
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    needed_id,
    object_at,
    optional_id,
    text,
    title,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.providers.whole_body import add_consent, add_unknown

CHOICE: Final = "choice_response_message"
# Channels whose identity is a phone number, written without "+"; elsewhere digits are an account.
PHONE_CHANNELS: Final = frozenset({"MMS", "RCS", "SMS", "VIBER", "VIBERBM", "WHATSAPP"})
REACTION_REMOVED: Final = frozenset({"REACTION_ACTION_UNREACT", "UNREACT"})


def add_inbound(
    reading: Reading, message: Mapping[str, Any], time_us: int | None, raw: bytes
) -> None:
    """Add an inbound message.

    Raises:
        Unreadable: it has no id.
    """
    content = object_at(message, "contact_message")
    if not content:
        # An echo of our own message, or something that no contact wrote.
        event = add_unknown(reading, word(message, "direction"), time_us, raw)
        event.address = address_of(object_at(message, "channel_identity"))
        return
    inbound_id = needed_id(message, "id", reason="MESSAGE_WITHOUT_ID")
    choice = object_at(content, CHOICE)
    answered_id = optional_id(choice, "message_id") or optional_id(
        object_at(content, "reply_to"), "message_id"
    )
    event = _reply(reading, time_us, answered_id)
    event.provider_word = _type_of(content)
    event.address = address_of(object_at(message, "channel_identity"))
    engagement = event.engagement
    engagement.fact_id = inbound_id
    engagement.inbound_type = event.provider_word
    if choice:
        engagement.is_tap = True
        engagement.button_id = title(choice, "postback_data")
        engagement.button_title = title(choice, "title")
    # An SMS that says STOP comes as any other text: the opt-out notice is for other channels.
    written = text(content, "text_message", "text")
    add_consent(reading, event, written, engagement.button_title, engagement.button_id)


def add_contact_event(reading: Reading, happened: Mapping[str, Any], time_us: int | None) -> None:
    """Add a reaction to our message; what else a contact does (typing ...) is a notice."""
    content = object_at(happened, "contact_message_event") or object_at(happened, "contact_event")
    reaction = object_at(content, "reaction_event")
    answered_id = optional_id(reaction, "message_id")
    if not answered_id:
        event = reading.add(EVENT_KIND_INFO, time_us)
        event.provider_word = (_type_of(content) or "event")[:64]
    else:
        event = _reply(reading, time_us, answered_id)
        event.provider_word = "reaction_event"
        engagement = event.engagement
        engagement.fact_id = needed_id(happened, "id", reason="EVENT_WITHOUT_ID")
        engagement.inbound_type = "reaction"
        engagement.is_withdrawn = text(reaction, "action").upper() in REACTION_REMOVED
    event.address = address_of(object_at(happened, "channel_identity"))


def address_of(identity: Mapping[str, Any]) -> str:
    """Return the person's address: a phone with "+", or the channel's own id as it is."""
    given = optional_id(identity, "identity")
    channel = text(identity, "channel").upper()
    return from_digits(given) if not channel or channel in PHONE_CHANNELS else given


def _reply(reading: Reading, time_us: int | None, answered_id: str) -> Event:
    if answered_id:
        return reading.add_of_message(EVENT_KIND_REPLIED, time_us, answered_id)
    return reading.add(EVENT_KIND_REPLIED, time_us)


def _type_of(content: Mapping[str, Any]) -> str:
    """Return the name of the part that holds the content ("text_message")."""
    return next((name for name in content if name.endswith(("_message", "_event"))), "")[:64]
