"""Gupshup's own format, v2: from its words to ours.

``{app, timestamp, version, type, payload}``, one event a body. The outer ``timestamp`` is a number
in milliseconds, of the callback; a status tells its own time as ``ts`` in seconds, number or text,
beside the status or one ``payload`` deeper.

The id trap: ``payload.id`` is Gupshup's id in ``enqueued`` and in a failure that Gupshup itself
found, and Meta's id everywhere else, where ``gsId`` is Gupshup's. So the key is ``gsId``, or else
``id``.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_WHATSAPP,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.act_ids import act_id
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
from services.ingest.domain.times import milliseconds_or_seconds_us
from services.ingest.providers import meta_notices
from services.ingest.providers.bodies import add_unknown
from services.ingest.providers.failures import explain
from services.ingest.providers.inbound import FROM_ADVERT, IN_GROUP, Inbound, add_inbound

KIND_BY_STATUS: Final = {
    "enqueued": EVENT_KIND_QUEUED,
    "sent": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    # With `gsId` Meta had it before; without, Gupshup refused it: see `_kind_of`.
    "failed": EVENT_KIND_UNDELIVERED,
    # The sender withdrew it from the chat; it was delivered all the same.
    "deleted": EVENT_KIND_INFO,
    # The number is known to WhatsApp in another form (Brazil's ninth digit). Not a failure.
    "mismatch": EVENT_KIND_INFO,
}
KIND_BY_CONSENT: Final = {
    "opted-in": EVENT_KIND_RESUBSCRIBED,
    "opted-out": EVENT_KIND_UNSUBSCRIBED,
    "sandbox-start": EVENT_KIND_INFO,
}
# What a person sends: `payload.type` -> it is a tap on something that the message offered.
INBOUND_TYPES: Final = {
    "text": False, "image": False, "video": False, "audio": False, "file": False,
    "document": False, "sticker": False, "location": False, "contact": False, "contacts": False,
    "order": False, "reaction": False, "nfm_reply": False, "voice": False,
    "button_reply": True, "list_reply": True, "quick_reply": True, "button": True,
}  # fmt: skip
NOTICE_TYPES: Final = frozenset({"template-event", "account-event", "onboarding-event"})


def add_v2(reading: Reading, fields: Mapping[str, Any], body: bytes) -> None:
    """Add what a v2 body says.

    Raises:
        Unreadable: it is no event of Gupshup's, or one without what it cannot do without.
    """
    kind_of_event = word(fields, "type")
    payload = fields.get("payload")
    if not kind_of_event or not isinstance(payload, dict):
        raise Unreadable("EVENT_WITHOUT_TYPE", "type or payload: missing, or of another type")
    time_us = milliseconds_or_seconds_us(fields.get("timestamp"))
    read = _READERS.get(kind_of_event)
    if read is not None:
        read(reading, payload, time_us, body)
    elif kind_of_event in NOTICE_TYPES:
        seconds = None if time_us is None else time_us / 1_000_000
        meta_notices.add_notice(reading, kind_of_event, payload, seconds)
    else:
        add_unknown(reading, kind_of_event, time_us, body)


def add_billing(reading: Reading, billing: Any, event: Event) -> None:
    """Say in ``event`` what Gupshup took for a message: a price class, and no state.

    ``billing`` holds ``deductions`` and ``references``, in both formats.
    """
    references, deductions = object_at(billing, "references"), object_at(billing, "deductions")
    event.provider_word = "billing-event"
    if message_id := optional_id(references, "gsId", "gs_id", "id"):
        reading.name_message(event, message_id)
    event.address = from_digits(optional_id(references, "destination"))
    pricing = event.pricing
    pricing.model = word(deductions, "model")
    pricing.type = word(deductions, "type")
    pricing.category = word(deductions, "category")
    billable = deductions.get("billable")
    if isinstance(billable, bool):
        pricing.billable = billable


def _add_billing(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    add_billing(reading, payload, reading.add(EVENT_KIND_INFO, time_us))


def _add_status(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    inner = object_at(payload, "payload")
    status = word(payload, "type")
    kind = _kind_of(status, payload)
    own_time_us = milliseconds_or_seconds_us(payload.get("ts"))
    if own_time_us is None:
        own_time_us = milliseconds_or_seconds_us(inner.get("ts"))
    event = reading.add(kind, time_us if own_time_us is None else own_time_us)
    if status == "mismatch":
        message_id = optional_id(payload, "gsId", "id")
    else:
        message_id = needed_id(payload, "gsId", "id", reason="STATUS_WITHOUT_ID")
    if message_id:
        reading.name_message(event, message_id)
    event.provider_word = status
    event.address = from_digits(optional_id(payload, "destination"))
    event.channel = CHANNEL_WHATSAPP
    _add_pricing(event, inner)
    if kind == EVENT_KIND_UNKNOWN:
        event.raw = body
    elif status == "failed":
        explain(reading, event, [word(inner, "code")], text(inner, "reason"))


def _kind_of(status: str, payload: dict[str, Any]) -> int:
    if status == "failed" and not text(payload, "gsId"):
        # Found by Gupshup itself before Meta gave it an id.
        return EVENT_KIND_DROPPED
    return KIND_BY_STATUS.get(status, EVENT_KIND_UNKNOWN)


def _add_pricing(event: Event, inner: Mapping[str, Any]) -> None:
    priced = inner.get("pricing")
    if isinstance(priced, dict):
        event.pricing.model = first_text(priced, "policy", "pricing_model")[:64]
        event.pricing.category = word(priced, "category")


def _add_choice(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    choice = word(payload, "type")
    kind = KIND_BY_CONSENT.get(choice)
    person = optional_id(payload, "phone")
    event = reading.add(EVENT_KIND_UNKNOWN if kind is None else kind, time_us)
    event.provider_word = choice
    event.address = from_digits(person)
    if kind is None:
        event.raw = body
    elif kind != EVENT_KIND_INFO:
        # Gupshup gives these no id; the same choice told twice must count once.
        event.engagement.act_id = act_id("user-event", person, time_us, choice)


def _add_inbound(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    kind = word(payload, "type")
    inbound_id = needed_id(payload, "id", reason="MESSAGE_WITHOUT_ID")
    is_tap = INBOUND_TYPES.get(kind)
    sender = object_at(payload, "sender")
    person = from_digits(optional_id(payload, "source") or optional_id(sender, "phone"))
    if is_tap is None:
        add_unknown(reading, kind, time_us, body).address = person
        return
    inner = object_at(payload, "payload")
    answered_id = ""
    # A reaction names the message inside, everything else by its context.
    for answered in (object_at(payload, "context"), inner if kind == "reaction" else {}):
        answered_id = answered_id or optional_id(
            answered, "gsId", "gs_id", "id", "messageId", "message_id"
        )
    add_inbound(
        reading,
        Inbound(
            inbound_id=inbound_id,
            word=kind,
            time_us=time_us,
            person=person,
            also_known_as=tuple(
                from_digits(optional_id(sender, name)) for name in ("phone", "user_id", "bsuid")
            ),
            own_address=from_digits(optional_id(payload, "destination")),
            channel=CHANNEL_WHATSAPP,
            answered_id=answered_id,
            content_type=kind,
            texts=(text(inner, "text"), text(inner, "caption")),
            is_tap=is_tap or text(inner, "type") == "button",
            button_id=_first_title(inner, "id", "postbackText", "payload"),
            button_title=_first_title(inner, "title", "text"),
            is_reaction=kind == "reaction",
            is_withdrawn=kind == "reaction" and not text(inner, "emoji"),
            answers_nothing="" if answered_id else _answers_nothing(payload),
        ),
    )


def _answers_nothing(payload: Mapping[str, Any]) -> str:
    if object_at(payload, "referral"):
        return FROM_ADVERT
    return IN_GROUP if text(payload, "group_id") or text(payload, "groupId") else ""


def _first_title(fields: Mapping[str, Any], *names: str) -> str:
    return next((found for name in names if (found := title(fields, name))), "")


_READERS: Final[Mapping[str, Callable[[Reading, dict[str, Any], int | None, bytes], None]]] = {
    "message-event": _add_status,
    "message": _add_inbound,
    "user-event": _add_choice,
    "billing-event": _add_billing,
}
