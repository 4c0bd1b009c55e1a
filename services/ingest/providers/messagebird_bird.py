"""Bird (bird.com), MessageBird's newer platform: events of its channels, and how it signs them.

Source: public receivers of Bird's webhooks, as of 2026; Bird publishes no schema. One event a body:
``{"service": "channels", "event": "<channel>.inbound|outbound|interaction", "payload": {...}}``.

- Signature: base64 of HMAC-SHA256 with the subscription's signing key over time, address and the
  SHA-256 of the body (its raw 32 bytes), each but the last ended by a line break. A repeat bears
  the first time.
- The message is keyed by ``payload.id``, which the answer to a send gives.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_CLICKED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)

from services.ingest.domain.act_ids import act_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    first_text,
    list_at,
    needed_id,
    object_at,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import SECOND_US, iso_us, seconds_us
from services.ingest.providers.bodies import add_report, add_unknown
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import FROM_ADVERT, Inbound, add_inbound, name_person
from services.ingest.providers.provider import Authentic, Callback, Refused
from services.ingest.providers.signed_jwt import check_age

BIRD_SIGNATURE_HEADER: Final = "messagebird-signature"
BIRD_TIMESTAMP_HEADER: Final = "messagebird-request-timestamp"

KIND_BY_STATUS: Final = {
    "accepted": EVENT_KIND_ACCEPTED,
    "scheduled": EVENT_KIND_ACCEPTED,
    "pending": EVENT_KIND_QUEUED,
    "processing": EVENT_KIND_QUEUED,
    "sent": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    "rejected": EVENT_KIND_DROPPED,
    "sending_failed": EVENT_KIND_DROPPED,
    "skipped": EVENT_KIND_DROPPED,
    "failed": EVENT_KIND_UNDELIVERED,
    "delivery_failed": EVENT_KIND_UNDELIVERED,
    "expired": EVENT_KIND_UNDELIVERED,
    "canceled": EVENT_KIND_CANCELED,
    "deleted": EVENT_KIND_INFO,
}
KIND_BY_INTERACTION: Final = {
    "read": EVENT_KIND_READ,
    "opened": EVENT_KIND_READ,
    "clicked": EVENT_KIND_CLICKED,
}
CHANNELS: Final = {
    "email": CHANNEL_EMAIL,
    "sms": CHANNEL_SMS,
    "whatsapp": CHANNEL_WHATSAPP,
}


def is_bird(fields: Mapping[str, Any]) -> bool:
    """Say whether a body is Bird's: it names its service where a conversation has its type."""
    return "service" in fields and "event" in fields


def is_signed_by_bird(callback: Callback, keys: list[str]) -> Authentic | Refused | None:
    """Judge Bird's signature; None: it is nobody's."""
    given = callback.headers.get(BIRD_SIGNATURE_HEADER, "").strip().encode(errors="replace")
    timestamp = callback.headers.get(BIRD_TIMESTAMP_HEADER, "").strip()
    head = f"{timestamp}\n{callback.external_url}\n".encode(errors="replace")
    signed = head + sha256(callback.body).digest()
    for key in keys:
        expected = b64encode(hmac.digest(key.encode(), signed, "sha256"))
        if hmac.compare_digest(given, expected):
            time_us = seconds_us(timestamp)
            return check_age(None if time_us is None else time_us / SECOND_US, callback)
    return None


def add_bird_event(reading: Reading, fields: Mapping[str, Any], raw: bytes) -> None:
    """Add what one event says.

    Raises:
        Unreadable: it is about a message and lacks its id.
    """
    named = word(fields, "event")
    channel_name, _, kind = named.partition(".")
    channel = CHANNELS.get(channel_name, CHANNEL_UNSPECIFIED)
    payload = object_at(fields, "payload")
    if kind == "outbound":
        _add_sent(reading, payload, channel, raw)
    elif kind == "inbound":
        _add_received(reading, payload, channel)
    elif kind == "interaction":
        _add_interaction(reading, payload, channel, raw)
    elif word(fields, "service") == "channels" or not named:
        add_unknown(reading, named, _time_us(payload), raw)
    else:
        # Another service of Bird's on the same address.
        reading.add(EVENT_KIND_INFO, _time_us(payload)).provider_word = named


def _add_sent(reading: Reading, payload: Mapping[str, Any], channel: int, raw: bytes) -> None:
    message_id = needed_id(payload, "id", reason="STATUS_WITHOUT_ID")
    status = word(payload, "status").lower()
    kind = KIND_BY_STATUS.get(status)
    recipient = _contact(object_at(payload, "receiver"))
    event = add_report(reading, kind, status, _time_us(payload), message_id, raw)
    if "@" in recipient:
        reading.name_message(event, message_id, recipient)
    event.address = from_digits(recipient)
    event.own_address = _connector(object_at(payload, "sender"))
    event.channel = channel  # type: ignore[assignment]
    event.message_ref = reference(payload, "reference")
    if kind in STAGE_BY_KIND:
        failure = object_at(payload, "failure")
        reason = text(payload, "reason")
        codes = [word(failure, "code"), reason if reason.isdecimal() else ""]
        detail = text(failure, "description") or reason
        explain(reading, event, codes, detail, known_as=status)


def _add_received(reading: Reading, payload: Mapping[str, Any], channel: int) -> None:
    body = object_at(payload, "body")
    kind = word(body, "type") or "text"
    person, *others = _names(object_at(payload, "sender")) or [""]
    answered = object_at(payload, "replyTo") or object_at(payload, "context")
    answered_id = optional_id(answered, "id", "messageId") or optional_id(payload, "replyToId")
    is_advert = any(object_at(part, "referral") for part in (payload, body, object_at(body, kind)))
    tapped = object_at(object_at(body, kind), "reply") or object_at(body, "postback")
    add_inbound(
        reading,
        Inbound(
            inbound_id=needed_id(payload, "id", reason="MESSAGE_WITHOUT_ID"),
            word=kind,
            time_us=_first_us(payload, "createdAt", "lastStatusAt", "updatedAt"),
            person=person,
            also_known_as=tuple(others),
            own_address=_connector(object_at(payload, "receiver")),
            channel=channel,
            answered_id=answered_id,
            content_type=kind,
            texts=(
                text(body, kind, "text"),
                text(body, kind, "caption"),
                text(body, "text", "text"),
            ),
            is_tap=bool(tapped),
            button_id=first_text(tapped, "payload", "id"),
            button_title=first_text(tapped, "text", "title"),
            is_reaction=kind == "reaction",
            is_withdrawn=kind == "reaction" and not text(body, kind, "emoji"),
            answers_nothing=FROM_ADVERT if is_advert and not answered_id else "",
        ),
    )


def _add_interaction(
    reading: Reading, payload: Mapping[str, Any], channel: int, raw: bytes
) -> None:
    message_id = optional_id(payload, "messageId", "messageReference", "id")
    done = first_text(payload, "type", "interactionType", "status")[:64].lower()
    kind = KIND_BY_INTERACTION.get(done)
    time_us = _time_us(payload)
    if message_id:
        event = add_report(reading, kind, done, time_us, message_id, raw)
    else:
        event = add_unknown(reading, done, time_us, raw)
    names = _names(object_at(payload, "contact")) or _names(payload)
    if names:
        name_person(event, *names)
    event.channel = channel  # type: ignore[assignment]
    if message_id and kind == EVENT_KIND_CLICKED:
        url = first_text(object_at(payload, "metadata"), "url") or text(payload, "url")
        event.engagement.act_id = act_id("click", event.address, time_us, url)
        event.engagement.url = url[:2_048]


def _names(end: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a contact, or of the first of several."""
    contact = object_at(end, "contact")
    if not contact:
        contact = next((one for one in list_at(end, "contacts") if isinstance(one, Mapping)), {})
    told = [optional_id(contact, "identifierValue"), optional_id(contact, "platformAddress")]
    return [from_digits(name) for name in told if name]


def _contact(end: Mapping[str, Any]) -> str:
    return next(iter(_names(end)), "")


def _connector(end: Mapping[str, Any]) -> str:
    return from_digits(optional_id(object_at(end, "connector"), "identifierValue", "id"))


def _time_us(payload: Mapping[str, Any]) -> int | None:
    return _first_us(payload, "lastStatusAt", "updatedAt", "createdAt")


def _first_us(payload: Mapping[str, Any], *names: str) -> int | None:
    times = (iso_us(payload.get(name)) for name in names)
    return next((time_us for time_us in times if time_us is not None), None)
