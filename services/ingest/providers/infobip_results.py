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
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import reason_for
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
from services.ingest.domain.reading import DETAIL_CHARACTERS_MAX, Reading
from services.ingest.domain.times import iso_us
from services.ingest.providers.whole_body import STAGE_BY_KIND, add_consent

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
NOTICE_EVENTS: Final = frozenset({"TYPING_STARTED", "TYPING_STOPPED"})
# Kinds of inbound content that are taps on something that the message offered.
TAPS: Final = frozenset(
    {
        "BUTTON", "BUTTON_REPLY", "QUICK_REPLY", "LIST_REPLY", "INTERACTIVE_BUTTON_REPLY",
        "INTERACTIVE_LIST_REPLY",
    }
)  # fmt: skip
_SENT_SO_FAR: Final = frozenset({EVENT_KIND_ACCEPTED, EVENT_KIND_QUEUED, EVENT_KIND_SENT})


def add_result(reading: Reading, item: dict[str, Any], raw: bytes) -> None:
    """Add what one item of ``results`` says.

    Raises:
        Unreadable: it is none of the four, or lacks its id.
    """
    named = word(item, "event")
    if named == "DELIVERY" or (not named and isinstance(item.get("status"), dict)):
        _add_report(reading, item, raw)
    elif named == "SEEN" or (not named and "seenAt" in item):
        _add_seen(reading, item)
    elif named == "MO" or (not named and "receivedAt" in item):
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
    group = word(status, "groupName") or GROUP_BY_ID.get(text(status, "groupId"), "")
    kind = KIND_BY_GROUP.get(group, EVENT_KIND_UNKNOWN)
    if kind == EVENT_KIND_QUEUED and name in SENT_NAMES:
        kind = EVENT_KIND_SENT
    names = ("doneAt", "sentAt") if kind in _SENT_SO_FAR else ("doneAt",)
    event = reading.add_of_message(kind, _first_time_us(item, *names), message_id)
    event.provider_word = group or name
    event.address = from_digits(optional_id(item, "to", "destination"))
    event.message_ref = reference(item, "callbackData")
    _add_price(event, item)
    if kind == EVENT_KIND_UNKNOWN:
        event.raw = raw
    elif kind in STAGE_BY_KIND:
        _add_failure(event, status, object_at(item, "error"))


def _add_failure(event: Event, status: Mapping[str, Any], error: Mapping[str, Any]) -> None:
    has_error = text(error, "name") != "NO_ERROR" and text(error, "id") not in ("", "0")
    blamed, vocabulary = (error, "infobip_error") if has_error else (status, "infobip_status")
    code = word(blamed, "id") or word(blamed, "name")
    event.provider_code = code
    event.reason = reason_for(  # type: ignore[assignment]
        vocabulary, code, STAGE_BY_KIND[event.kind]
    )
    parts = (text(blamed, "name"), text(blamed, "description"))
    event.detail = ": ".join(filter(None, parts))[:DETAIL_CHARACTERS_MAX]


def _add_price(event: Event, item: dict[str, Any]) -> None:
    price = object_at(item, "price")
    each = text(price, "pricePerMessage")
    if each and (amount := _price_of_all(each, text(item, "messageCount"))):
        set_price(event, amount, text(price, "currency"))


@lru_cache(maxsize=1_024)
def _price_of_all(price_of_each: str, count: str) -> str:
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
    event.message_ref = reference(item, "callbackData")


def _add_inbound(reading: Reading, item: dict[str, Any]) -> None:
    inbound_id = needed_id(item, "messageId", reason="MESSAGE_WITHOUT_ID")
    content = _content(item)
    event = reading.add(EVENT_KIND_REPLIED, iso_us(item.get("receivedAt")))
    answered_id = optional_id(item, "pairedMessageId") or optional_id(
        object_at(content, "context"), "id"
    )
    if answered_id:
        reading.name_message(event, answered_id)
    event.provider_word = word(item, "event") or word(item, "integrationType") or "MO"
    event.address = from_digits(optional_id(item, "from", "sender"))
    engagement = event.engagement
    engagement.fact_id = inbound_id
    engagement.inbound_type = word(content, "type") or "TEXT"
    if engagement.inbound_type.upper() in TAPS:
        engagement.is_tap = True
        engagement.button_id = title(content, "payload") or title(content, "id")
        engagement.button_title = title(content, "text") or title(content, "title")
    elif engagement.inbound_type.upper() == "REACTION":
        engagement.is_withdrawn = not text(content, "emoji")
    add_consent(
        reading, event, first_text(content, "text", "cleanText"),
        engagement.button_title, engagement.button_id,
    )  # fmt: skip


def _content(item: dict[str, Any]) -> Mapping[str, Any]:
    """Return what was written: SMS has it in the item, WhatsApp in ``message``.

    The Messages API has a list of ``content``, nearly always of one.
    """
    if isinstance(item.get("message"), dict):
        return object_at(item, "message")
    for content in list_at(item, "content"):
        if isinstance(content, dict):
            return content
    return object_at(item, "content") or {"text": text(item, "text")}


def _first_time_us(item: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if (time_us := iso_us(item.get(name))) is not None:
            return time_us
    return None
