"""One item of Infobip's ``results``: from its words to ours.

Four shapes come under the same name. The Messages API says which by ``event``; older APIs leave it
to be seen: a report has ``status``, a seen report ``seenAt``, an inbound message ``receivedAt``.

- A seen report turns the two ends: ``from`` (``sender``) is the person who read.
- ``error`` is always there, with ``NO_ERROR`` when there was none; then the status itself is the
  code. Status ids and error ids overlap, so each is looked up in its own vocabulary.
- Dates carry their zone without a colon ("-0300").
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    list_at,
    needed_id,
    object_at,
    optional_id,
    reference,
    text,
    title,
    word,
)
from services.ingest.domain.prices import set_price
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.domain.times import iso_us
from services.ingest.providers.bodies import add_report
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import (
    AUTOMATIC,
    FROM_ADVERT,
    IN_GROUP,
    Inbound,
    add_inbound,
)

KIND_BY_GROUP: Final = {
    "ACCEPTED": EVENT_KIND_ACCEPTED,
    "PENDING": EVENT_KIND_QUEUED,
    "UNDELIVERABLE": EVENT_KIND_UNDELIVERED,
    "DELIVERED": EVENT_KIND_DELIVERED,
    # Not delivered within its time. (Some receivers take it for sent.)
    "EXPIRED": EVENT_KIND_UNDELIVERED,
    # By Infobip itself: it never left, although the name sounds like an operator's word.
    "REJECTED": EVENT_KIND_DROPPED,
}
GROUP_BY_ID: Final = {
    "0": "ACCEPTED",
    "1": "PENDING",
    "2": "UNDELIVERABLE",
    "3": "DELIVERED",
    "4": "EXPIRED",
    "5": "REJECTED",
}
# Pending, but out of Infobip's hands.
SENT_NAMES: Final = frozenset({"PENDING_WAITING_DELIVERY", "PENDING_ENROUTE"})
# `event` of the Messages API that are about no message of ours.
NOTICE_EVENTS: Final = frozenset({"TYPING_INDICATOR", "TYPING_STARTED", "TYPING_STOPPED"})
# Kinds of inbound content that are taps on something that the message offered.
TAPS: Final = frozenset(
    {
        "BUTTON", "BUTTON_REPLY", "QUICK_REPLY", "LIST_REPLY", "INTERACTIVE_BUTTON_REPLY",
        "INTERACTIVE_LIST_REPLY", "SUGGESTION",
    }
)  # fmt: skip
CHANNELS: Final = {
    "WHATSAPP": CHANNEL_WHATSAPP,
    "SMS": CHANNEL_SMS,
    "MMS": CHANNEL_SMS,
    "EMAIL": CHANNEL_EMAIL,
}
# Parts of one message that are looked at.
CONTENTS_MAX: Final = 20
SENT_SO_FAR: Final = frozenset({EVENT_KIND_ACCEPTED, EVENT_KIND_QUEUED, EVENT_KIND_SENT})


def add_result(reading: Reading, item: dict[str, Any], raw: bytes) -> None:
    """Add what one item of ``results`` says.

    Raises:
        Unreadable: it is none of the four, or lacks its id.
    """
    # RCS tells what a person does beside writing in an object.
    told = item.get("event")
    named = word(told, "type") if isinstance(told, Mapping) else word(item, "event")
    if named == "DELIVERY" or (not named and isinstance(item.get("status"), dict)):
        _add_report(reading, item, raw)
    elif named == "SEEN" or (not named and "seenAt" in item):
        _add_seen(reading, item)
    elif named == "MO" or (not named and ("receivedAt" in item or "message" in item)):
        _add_inbound(reading, item)
    elif named:
        kind = EVENT_KIND_INFO if named in NOTICE_EVENTS else EVENT_KIND_UNKNOWN
        event = reading.add(kind, _first_time_us(item, "receivedAt", "doneAt", "sentAt"))
        event.provider_word = named
        event.address = from_digits(optional_id(item, "sender", "from"))
        if kind == EVENT_KIND_UNKNOWN:
            event.raw = raw
    else:
        raise Unreadable("RESULT_NOT_KNOWN", "no status, no seenAt, no receivedAt and no event")


def _add_report(reading: Reading, item: dict[str, Any], raw: bytes) -> None:
    message_id = needed_id(item, "messageId", reason="REPORT_WITHOUT_ID")
    status = object_at(item, "status")
    name = word(status, "name")
    group = word(status, "groupName").upper() or GROUP_BY_ID.get(text(status, "groupId"), "")
    kind = KIND_BY_GROUP.get(group, EVENT_KIND_UNKNOWN)
    if kind == EVENT_KIND_QUEUED and name in SENT_NAMES:
        kind = EVENT_KIND_SENT
    names = ("doneAt", "sentAt") if kind in SENT_SO_FAR else ("doneAt",)
    recipient = optional_id(item, "to", "destination")
    known = None if kind == EVENT_KIND_UNKNOWN else kind
    event = add_report(reading, known, group or name, _first_time_us(item, *names), message_id, raw)
    if "@" in recipient:
        reading.name_message(event, message_id, recipient)
    event.address = from_digits(recipient)
    event.own_address = from_digits(optional_id(item, "from", "sender"))
    event.channel = _channel(item)  # type: ignore[assignment]
    event.message_ref = reference(item, "callbackData")
    _add_price(event, item)
    if kind in STAGE_BY_KIND:
        _add_failure(reading, event, status, object_at(item, "error"))


def _add_failure(
    reading: Reading, event: Event, status: Mapping[str, Any], error: Mapping[str, Any]
) -> None:
    """Take the error's code, or the status's where there is none: each has its own vocabulary."""
    has_error = text(error, "name") != "NO_ERROR" and text(error, "id") not in ("", "0")
    blamed, vocabulary = (error, "infobip_error") if has_error else (status, "infobip_status")
    parts = (text(blamed, "name"), text(blamed, "description"))
    if event.channel == CHANNEL_EMAIL and event.kind == EVENT_KIND_UNDELIVERED:
        # What the mail server said is more exact than the kind of bounce that it was taken for.
        exact = smtp_codes(parts[1]).exact
        if exact:
            explain(reading, event, exact, ": ".join(filter(None, parts)))
            return
    code = word(blamed, "id") or word(blamed, "name")
    explain(reading, event, [code], ": ".join(filter(None, parts)), vocabulary=vocabulary)


def _add_price(event: Event, item: dict[str, Any]) -> None:
    price = object_at(item, "price")
    each = text(price, "pricePerMessage")
    if each and (amount := price_of_all(each, text(item, "messageCount"))):
        set_price(event, amount, text(price, "currency"))


@lru_cache(maxsize=1_024)
def price_of_all(price_of_each: str, count: str) -> str:
    """Return the price of the whole message, exactly; empty if either is no number.

    Infobip tells it for one of its parts. Kept, since an account has few prices.
    """
    try:
        each, parts = Decimal(price_of_each), Decimal(count or 1)
        if 0 < parts < 1_000 and 0 <= each < 1_000_000:
            return f"{each * parts:f}"
    except InvalidOperation:
        pass
    return ""


def _add_seen(reading: Reading, item: dict[str, Any]) -> None:
    message_id = needed_id(item, "messageId", reason="SEEN_WITHOUT_ID")
    event = reading.add_of_message(EVENT_KIND_READ, iso_us(item.get("seenAt")), message_id)
    event.provider_word = "SEEN"
    event.address = from_digits(optional_id(item, "from", "sender"))
    event.own_address = from_digits(optional_id(item, "to", "destination"))
    event.channel = _channel(item)  # type: ignore[assignment]
    event.message_ref = reference(item, "callbackData")


def _add_inbound(reading: Reading, item: dict[str, Any]) -> None:
    contents = _contents(item)
    content = contents[0]
    kind = word(content, "type") or "TEXT"
    is_reaction = kind.upper() == "REACTION"
    answered_id = optional_id(item, "pairedMessageId") or optional_id(
        object_at(content, "context"), "id"
    )
    add_inbound(
        reading,
        Inbound(
            inbound_id=needed_id(item, "messageId", reason="MESSAGE_WITHOUT_ID"),
            word=word(item, "event") or word(item, "integrationType") or "MO",
            time_us=iso_us(item.get("receivedAt")),
            person=from_digits(optional_id(item, "from", "sender")),
            also_known_as=(optional_id(object_at(item, "contact"), "userId", "bsuid"),),
            own_address=from_digits(optional_id(item, "to", "destination")),
            channel=_channel(item),
            answered_id=answered_id,
            content_type=kind,
            texts=tuple(filter(None, map(_written, contents))),
            is_tap=kind.upper() in TAPS,
            button_id=title(content, "payload")
            or title(content, "postbackData")
            or title(content, "id"),
            button_title=title(content, "text") or title(content, "title"),
            is_reaction=is_reaction,
            is_withdrawn=is_reaction
            and (not text(content, "emoji") or word(content, "action").upper() == "REMOVED"),
            answers_nothing=_answers_nothing(item, content, answered_id),
        ),
    )


def _answers_nothing(item: Mapping[str, Any], content: Mapping[str, Any], answered_id: str) -> str:
    # A permission that WhatsApp gives by itself.
    if first_text(content, "responseSource", "response_source").upper() == "AUTOMATIC":
        return AUTOMATIC
    if answered_id:
        return ""
    if object_at(content, "referral") or object_at(item, "referral"):
        return FROM_ADVERT
    return IN_GROUP if text(item, "groupId") or text(content, "groupId") else ""


def _contents(item: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Return what was written, at least one content, the one that is not a plain text first.

    SMS has it in the item, before and after the keyword was taken off; WhatsApp in ``message``; an
    MMS has a list of parts there, and the Messages API a list of ``content``.
    """
    message = item.get("message")
    if isinstance(message, Mapping):
        return [message]
    listed = list_at(item, "message") or list_at(item, "content")
    found = [content for content in listed[:CONTENTS_MAX] if isinstance(content, Mapping)]
    return found or [object_at(item, "content") or {"text": text(item, "text")}, item]


def _written(content: Mapping[str, Any]) -> str:
    if text(content, "contentType").lower().startswith("text/"):
        return text(content, "value")
    return first_text(content, "cleanText", "text", "caption")


def _channel(item: Mapping[str, Any]) -> int:
    named = first_text(item, "integrationType", "channel", "event").upper()
    if "@" in first_text(item, "to", "destination"):
        return CHANNEL_EMAIL
    if isinstance(item.get("message"), list):
        return CHANNEL_SMS
    return CHANNELS.get(named, CHANNEL_SMS if "smsCount" in item else CHANNEL_UNSPECIFIED)


def _first_time_us(item: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if (time_us := iso_us(item.get(name))) is not None:
            return time_us
    return None
