"""What people write and tap on WhatsApp: Meta's inbound messages, from its words to ours."""

from typing import Any, Final

from bluetick.v1.common_pb2 import CHANNEL_WHATSAPP, EVENT_KIND_INFO
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    IDENTITY_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    list_at,
    object_at,
    text,
    title,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import seconds_us
from services.ingest.providers.bodies import add_unknown
from services.ingest.providers.inbound import (
    AUTOMATIC,
    FROM_ADVERT,
    IN_GROUP,
    Inbound,
    add_inbound,
    name_person,
)
from services.ingest.providers.meta_payload import NOTHING_AROUND, Around

REPLY_TYPES: Final = frozenset(
    {
        "audio", "button", "contacts", "document", "image", "interactive", "location", "order",
        "reaction", "sticker", "text", "video", "voice",
    }
)  # fmt: skip
# Authentic and understood, but nobody answered anything.
NOTICE_TYPES: Final = frozenset({"edit", "request_welcome", "revoke", "system", "unsupported"})
# interactive.type -> the reply is a tap on something that the message offered.
TAPS: Final = frozenset({"button_reply", "list_reply"})
# Where a change of number or id names the person before and after.
_SYSTEM_NAMES: Final = ("user_id", "wa_id", "new_wa_id", "customer", "previous_user_id")

MESSAGE_WITHOUT_ID: Final = "MESSAGE_WITHOUT_ID"
MESSAGE_WITHOUT_TIMESTAMP: Final = "MESSAGE_WITHOUT_TIMESTAMP"
MESSAGE_ID_TOO_LONG: Final = "MESSAGE_ID_TOO_LONG"

DETAIL_BY_PROBLEM: Final = {
    MESSAGE_WITHOUT_ID: "id: missing or empty",
    MESSAGE_WITHOUT_TIMESTAMP: "timestamp: missing, or no number of seconds",
    MESSAGE_ID_TOO_LONG: f"an id is longer than {IDENTITY_CHARACTERS_MAX} characters",
}


def add_message(
    reading: Reading, message: dict[str, Any], raw: bytes, around: Around = NOTHING_AROUND
) -> str:
    """Add what an inbound message says; return the reason if it cannot be read, else "".

    ``around`` is what stands beside it in its ``value``.
    """
    inbound_id = text(message, "id")
    if not inbound_id:
        return MESSAGE_WITHOUT_ID
    time_us = seconds_us(message.get("timestamp"))
    if time_us is None:
        return MESSAGE_WITHOUT_TIMESTAMP
    names = _names(message, around)
    person = names[0] if names else ""
    answered_id = _answered_id(message, person)
    if max(len(inbound_id), len(answered_id), len(person)) > IDENTITY_CHARACTERS_MAX:
        return MESSAGE_ID_TOO_LONG

    kind = text(message, "type")
    if kind in REPLY_TYPES:
        _add_reply(reading, message, time_us, answered_id, names, around)
        return ""
    if kind in NOTICE_TYPES:
        event = _add_notice(reading, message, time_us, kind)
    else:
        event = add_unknown(reading, kind, time_us, raw)
    event.channel = CHANNEL_WHATSAPP
    event.own_address = around.own_address
    name_person(event, from_digits(person), *around.others(*names))
    return ""


def _names(message: dict[str, Any], around: Around) -> tuple[str, ...]:
    """Return the names of who wrote, the phone first if there is one.

    A message may name nobody and leave that to the contacts beside it; with one of them it is
    clear who. A change of number or id names the person twice.
    """
    told = [text(message, "from"), text(message, "from_user_id")]
    if text(message, "type") == "system":
        told += [text(message, "system", name) for name in _SYSTEM_NAMES]
    return tuple(filter(None, told)) or around.only_person


def _answered_id(message: dict[str, Any], person: str) -> str:
    """Return the id of our message that this one answers; empty if it does not say.

    A quick reply may come without its context: Meta's own omission. A person may also answer a
    message of their own, which is none of ours.
    """
    answered_id = text(message, "reaction", "message_id")
    if not answered_id:
        context = object_at(message, "context")
        if person and text(context, "from") == person:
            return ""
        answered_id = text(context, "id")
    if answered_id and text(message, "group_id"):
        # In a group the message is counted per recipient, and so is the answer to it.
        return f"{answered_id}/{person}" if person else answered_id
    return answered_id


def _add_reply(
    reading: Reading,
    message: dict[str, Any],
    time_us: int,
    answered_id: str,
    names: tuple[str, ...],
    around: Around,
) -> None:
    kind = text(message, "type")
    inbound = Inbound(
        inbound_id=text(message, "id"),
        word=kind,
        time_us=time_us,
        person=from_digits(names[0]) if names else "",
        also_known_as=around.others(*names),
        own_address=around.own_address,
        channel=CHANNEL_WHATSAPP,
        answered_id=answered_id,
        content_type=kind,
        texts=(text(message, "text", "body"), text(message, kind, "caption")),
        answers_nothing=_answers_nothing(message, answered_id),
    )
    if kind == "button":
        inbound.is_tap = True
        inbound.button_id = title(message, "button", "payload")
        inbound.button_title = title(message, "button", "text")
    elif kind == "interactive":
        choice = word(message, "interactive", "type")
        inbound.content_type = choice or kind
        if choice in TAPS:
            chosen = object_at(object_at(message, "interactive"), choice)
            inbound.is_tap = True
            inbound.button_id = title(chosen, "id")
            inbound.button_title = title(chosen, "title")
    elif kind == "reaction":
        inbound.is_reaction = True
        # No emoji: the person took the reaction back.
        inbound.is_withdrawn = not text(message, "reaction", "emoji")
    add_inbound(reading, inbound)


def _answers_nothing(message: dict[str, Any], answered_id: str) -> str:
    """Return why a message answers none of ours; empty if it may."""
    granted = object_at(object_at(message, "interactive"), "call_permission_reply")
    if text(granted, "response_source") == "automatic":
        return AUTOMATIC
    if answered_id:
        return ""
    if object_at(message, "referral"):
        return FROM_ADVERT
    return IN_GROUP if text(message, "group_id") else ""


def _add_notice(reading: Reading, message: dict[str, Any], time_us: int, kind: str) -> Event:
    """Add an edit, a withdrawal, a change of number ...: kept, and no message moves.

    ``original_message_id`` is the person's own earlier message, so it is no message of ours.
    """
    event = reading.add(EVENT_KIND_INFO, time_us)
    event.provider_word = kind[:WORD_CHARACTERS_MAX]
    errors = list_at(message, "errors")
    if errors:
        event.provider_code = word(errors[0], "code")
        details = text(errors[0], "error_data", "details") or text(errors[0], "title")
        event.detail = details[:1_000]
    else:
        event.detail = (text(message, kind, "type") or kind)[:1_000]
    return event
