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
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fact_ids import fact_id_of
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
from services.ingest.domain.times import seconds_us
from services.ingest.providers import meta_notices
from services.ingest.providers.whole_body import (
    add_consent,
    add_opt_out_by_failure,
    add_unknown,
    explain,
)

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
    "order": False, "reaction": False, "nfm_reply": False,
    "button_reply": True, "list_reply": True, "quick_reply": True, "button": True,
}  # fmt: skip
NOTICE_TYPES: Final = frozenset({"template-event", "account-event", "onboarding-event"})
# 131050 is Meta's, 1012 Gupshup's: the person had opted out before the message.
OPT_OUT_CODES: Final = frozenset({"131050", "1012"})

# A number of seconds as large as this lies 3,000 years ahead; milliseconds passed it in 1973.
MILLISECONDS_FROM: Final = 100_000_000_000


def add_v2(reading: Reading, fields: Mapping[str, Any], body: bytes) -> None:
    """Add what a v2 body says.

    Raises:
        Unreadable: it is no event of Gupshup's, or one without what it cannot do without.
    """
    kind_of_event = word(fields, "type")
    payload = fields.get("payload")
    if not kind_of_event or not isinstance(payload, dict):
        raise Unreadable("EVENT_WITHOUT_TYPE", "type or payload: missing, or of another type")
    time_us = time_us_of(fields.get("timestamp"))
    read = _READERS.get(kind_of_event)
    if read is not None:
        read(reading, payload, time_us, body)
    elif kind_of_event in NOTICE_TYPES:
        seconds = None if time_us is None else time_us / 1_000_000
        meta_notices.add_notice(reading, kind_of_event, payload, seconds)
    else:
        add_unknown(reading, kind_of_event, time_us, body)


def time_us_of(value: object) -> int | None:
    """Return seconds or milliseconds, number or text, in microseconds; None if it is neither."""
    time_us = seconds_us(value)
    if time_us is not None and time_us >= MILLISECONDS_FROM * 1_000_000:
        return time_us // 1_000
    return time_us


def add_billing(reading: Reading, billing: Any, time_us: int | None) -> None:
    """Add what Gupshup took for a message: a price class, and no state.

    ``billing`` holds ``deductions`` and ``references``, in both formats.
    """
    references, deductions = object_at(billing, "references"), object_at(billing, "deductions")
    event = reading.add(EVENT_KIND_INFO, time_us)
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
    add_billing(reading, payload, time_us)


def _add_status(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    inner = object_at(payload, "payload")
    status = word(payload, "type")
    kind = _kind_of(status, payload)
    own_time_us = time_us_of(payload.get("ts"))
    if own_time_us is None:
        own_time_us = time_us_of(inner.get("ts"))
    event = reading.add(kind, time_us if own_time_us is None else own_time_us)
    if status == "mismatch":
        message_id = optional_id(payload, "gsId", "id")
    else:
        message_id = needed_id(payload, "gsId", "id", reason="STATUS_WITHOUT_ID")
    if message_id:
        reading.name_message(event, message_id)
    event.provider_word = status
    event.address = from_digits(optional_id(payload, "destination"))
    _add_pricing(event, inner)
    if kind == EVENT_KIND_UNKNOWN:
        event.raw = body
    elif status == "failed":
        code = word(inner, "code")
        explain(event, code, text(inner, "reason"))
        if code in OPT_OUT_CODES:
            add_opt_out_by_failure(reading, event)


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
        event.engagement.fact_id = fact_id_of("user-event", person, choice, str(time_us))


def _add_inbound(
    reading: Reading, payload: dict[str, Any], time_us: int | None, body: bytes
) -> None:
    kind = word(payload, "type")
    inbound_id = needed_id(payload, "id", reason="MESSAGE_WITHOUT_ID")
    is_tap = INBOUND_TYPES.get(kind)
    event = reading.add(EVENT_KIND_UNKNOWN if is_tap is None else EVENT_KIND_REPLIED, time_us)
    event.provider_word = kind
    person = optional_id(payload, "source") or optional_id(object_at(payload, "sender"), "phone")
    event.address = from_digits(person)
    if is_tap is None:
        event.raw = body
        return
    inner = object_at(payload, "payload")
    # A reaction names the message inside, everything else by its context.
    for answered in (object_at(payload, "context"), inner if kind == "reaction" else {}):
        if answered_id := optional_id(answered, "gsId", "gs_id", "id", "messageId", "message_id"):
            reading.name_message(event, answered_id)
            break
    engagement = event.engagement
    engagement.fact_id = inbound_id
    engagement.inbound_type = kind
    if is_tap or text(inner, "type") == "button":
        engagement.is_tap = True
        engagement.button_id = _first_title(inner, "id", "postbackText", "payload")
        engagement.button_title = _first_title(inner, "title", "text")
    elif kind == "reaction":
        engagement.is_withdrawn = not text(inner, "emoji")
    add_consent(reading, event, text(inner, "text"), engagement.button_title, engagement.button_id)


def _first_title(fields: Mapping[str, Any], *names: str) -> str:
    return next((found for name in names if (found := title(fields, name))), "")


_READERS: Final[Mapping[str, Callable[[Reading, dict[str, Any], int | None, bytes], None]]] = {
    "message-event": _add_status,
    "message": _add_inbound,
    "user-event": _add_choice,
    "billing-event": _add_billing,
}
