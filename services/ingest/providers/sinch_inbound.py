"""What people write, choose and react with: Sinch's Conversation API, from its words to ours.

Source: Sinch's SDKs and its published skills for the Conversation API, as of 2026.
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_INFO,
)

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    needed_id,
    object_at,
    optional_id,
    text,
    title,
)
from services.ingest.domain.reading import Reading
from services.ingest.providers.bodies import add_unknown
from services.ingest.providers.inbound import FROM_ADVERT, Inbound, add_inbound

CHOICE: Final = "choice_response_message"
# Channels whose identity is a phone number, written without "+"; elsewhere digits are an account.
PHONE_CHANNELS: Final = frozenset({"MMS", "RCS", "SMS", "VIBER", "VIBERBM", "WHATSAPP"})
CHANNELS: Final = {
    "EMAIL": CHANNEL_EMAIL,
    "MMS": CHANNEL_SMS,
    "SMS": CHANNEL_SMS,
    "WHATSAPP": CHANNEL_WHATSAPP,
}
REACTION_REMOVED: Final = frozenset({"REACTION_ACTION_UNREACT", "UNREACT"})


def add_message(
    reading: Reading, message: Mapping[str, Any], time_us: int | None, raw: bytes
) -> None:
    """Add an inbound message.

    Raises:
        Unreadable: it has no id.
    """
    content = object_at(message, "contact_message")
    identity = object_at(message, "channel_identity")
    if not content:
        # An echo of our own message, or something that no contact wrote.
        event = add_unknown(reading, text(message, "direction"), time_us, raw)
        event.address = address_of(identity)
        return
    choice = object_at(content, CHOICE)
    answered_id = optional_id(choice, "message_id") or optional_id(
        object_at(content, "reply_to"), "message_id"
    )
    kind = _type_of(content)
    is_advert = bool(object_at(content, "referral") or object_at(message, "referral"))
    add_inbound(
        reading,
        Inbound(
            inbound_id=needed_id(message, "id", reason="MESSAGE_WITHOUT_ID"),
            word=kind,
            time_us=time_us,
            person=address_of(identity),
            own_address=from_digits(optional_id(message, "sender_id")),
            channel=channel_of(identity),
            answered_id=answered_id,
            content_type=kind,
            # An SMS that says STOP comes as any other text: the opt-out notice is for other
            # channels.
            texts=(
                text(content, "text_message", "text"),
                text(content, "media_message", "caption"),
                text(content, "media_card_message", "caption"),
            ),
            is_tap=bool(choice),
            button_id=title(choice, "postback_data"),
            button_title=title(choice, "title"),
            answers_nothing=FROM_ADVERT if is_advert and not answered_id else "",
        ),
    )


def add_contact_event(reading: Reading, happened: Mapping[str, Any], time_us: int | None) -> None:
    """Add a reaction to our message; what else a contact does (typing ...) is a notice."""
    content = object_at(happened, "contact_message_event") or object_at(happened, "contact_event")
    reaction = object_at(content, "reaction_event")
    answered_id = optional_id(reaction, "message_id")
    identity = object_at(happened, "channel_identity")
    if not answered_id:
        event = reading.add(EVENT_KIND_INFO, time_us)
        event.provider_word = (_type_of(content) or "event")[:64]
        event.address = address_of(identity)
        return
    add_inbound(
        reading,
        Inbound(
            inbound_id=needed_id(happened, "id", reason="EVENT_WITHOUT_ID"),
            word="reaction_event",
            time_us=time_us,
            person=address_of(identity),
            channel=channel_of(identity),
            answered_id=answered_id,
            content_type="reaction",
            is_reaction=True,
            is_withdrawn=text(reaction, "action").upper() in REACTION_REMOVED,
        ),
    )


def channel_of(identity: Mapping[str, Any]) -> int:
    """Return the channel of an identity."""
    return CHANNELS.get(text(identity, "channel").upper(), CHANNEL_UNSPECIFIED)


def address_of(identity: Mapping[str, Any]) -> str:
    """Return the person's address: a phone with "+", or the channel's own id as it is."""
    given = optional_id(identity, "identity")
    channel = text(identity, "channel").upper()
    return from_digits(given) if not channel or channel in PHONE_CHANNELS else given


def _type_of(content: Mapping[str, Any]) -> str:
    """Return the name of the part that holds the content ("text_message")."""
    return next((name for name in content if name.endswith(("_message", "_event"))), "")[:64]
