"""Sinch's SMS API: delivery reports of a recipient or of a whole batch, and inbound SMS.

Source: Sinch's Java SDK (``DeliveryReceiptStatusCode``, ``WebHooksService``) and its SMS reference,
as of 2026.

One batch covers several recipients: the message is called ``batch_id/recipient``, the recipient as
Sinch writes it. It writes the same one with "+" here and without there; the key ignores the "+".
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.act_ids import parts_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    IDENTITY_CHARACTERS_MAX,
    Unreadable,
    list_at,
    needed_id,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.long_messages import shared_by_parts
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import DAY_US, iso_us
from services.ingest.providers.bodies import add_report
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import Inbound, add_inbound
from services.ingest.providers.provider import Callback

KIND_BY_STATUS: Final = {
    "queued": EVENT_KIND_QUEUED,
    "dispatched": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    # Stopped by Sinch before it reached the carrier.
    "aborted": EVENT_KIND_DROPPED,
    "cancelled": EVENT_KIND_CANCELED,
    "rejected": EVENT_KIND_UNDELIVERED,
    # The carrier removed it: no such number, or a person who had opted out.
    "deleted": EVENT_KIND_UNDELIVERED,
    "failed": EVENT_KIND_UNDELIVERED,
    "expired": EVENT_KIND_UNDELIVERED,
    # No receipt came to Sinch; nothing is known.
    "unknown": EVENT_KIND_INFO,
}
RECIPIENT_REPORTS: Final = frozenset(
    {"recipient_delivery_report_sms", "recipient_delivery_report_mms"}
)
BATCH_REPORTS: Final = frozenset({"delivery_report_sms", "delivery_report_mms"})
# Recipients of one report that are kept apart; more are kept as one body.
UNREADABLE_MAX: Final = 100
INBOUND: Final = frozenset({"mo_text", "mo_binary", "mo_media"})


def is_sms(fields: Mapping[str, Any]) -> bool:
    """Say whether a body is the SMS API's: it names its type where a Conversation has none."""
    return text(fields, "type") in RECIPIENT_REPORTS | BATCH_REPORTS | INBOUND


def add_sms(reading: Reading, fields: Mapping[str, Any], callback: Callback) -> None:
    """Add what a report or an inbound SMS says.

    Raises:
        Unreadable: an id is missing.
    """
    kind = text(fields, "type")
    if kind in INBOUND:
        _add_inbound(reading, fields, kind)
        return
    batch_id = needed_id(fields, "batch_id", reason="STATUS_WITHOUT_ID")
    if kind in BATCH_REPORTS:
        _add_batch(reading, fields, batch_id, callback)
        return
    recipient = needed_id(fields, "recipient", reason="STATUS_WITHOUT_RECIPIENT")
    # `at` is Sinch's clock; `operator_status_at` is the carrier's, which may have no zone.
    time_us = iso_us(fields.get("at")) or iso_us(fields.get("operator_status_at"))
    _add_report(reading, fields, batch_id, recipient, time_us, callback.body)
    _set_reference(reading, fields)


def _add_batch(
    reading: Reading, fields: Mapping[str, Any], batch_id: str, callback: Callback
) -> None:
    """Add a report per recipient; a summary names none, and then it is a notice."""
    for status in list_at(fields, "statuses"):
        recipients = [text({"at": given}, "at").strip() for given in list_at(status, "recipients")]
        named = [recipient for recipient in recipients if recipient]
        for recipient in named:
            _add_one_of_batch(reading, status, batch_id, recipient, callback)
        if not named:
            notice = reading.add_untimed(EVENT_KIND_INFO)
            notice.provider_word = word(status, "status")
            notice.detail = f"batch {batch_id}: {word(status, 'count') or '?'} messages"
    if not reading.batch.events and not reading.batch.quarantined:
        raise Unreadable("STATUS_MISSING", "statuses: missing or empty")


def _add_one_of_batch(
    reading: Reading, status: Mapping[str, Any], batch_id: str, recipient: str, callback: Callback
) -> None:
    """Add one recipient's report; one that cannot be read is no matter to its neighbours."""
    try:
        if "\x00" in recipient:
            raise Unreadable("INVALID_TEXT", "recipient: holds NUL or half a character")
        # A batch's report has no time; that of receipt is all there is.
        told = callback.receive_time_us
        event = _add_report(reading, status, batch_id, recipient, told, callback.body)
        event.is_time_untold = True
    except Unreadable as problem:
        if len(reading.batch.quarantined) >= UNREADABLE_MAX:
            raise Unreadable(
                "PARTS_TOO_MANY", f"more than {UNREADABLE_MAX} recipients cannot be read"
            ) from None
        part = recipient.encode(errors="replace")
        reading.quarantine(problem.reason, problem.detail, part, is_part=True)


def _add_report(
    reading: Reading,
    status: Mapping[str, Any],
    batch_id: str,
    recipient: str,
    time_us: int | None,
    raw: bytes,
) -> Event:
    if len(recipient) > IDENTITY_CHARACTERS_MAX:
        raise Unreadable("ID_TOO_LONG", "recipient: longer than any address")
    name = word(status, "status")
    kind = KIND_BY_STATUS.get(name.lower())
    message_id = f"{batch_id}/{recipient}"
    event = add_report(reading, kind, name, time_us, message_id, raw)
    event.address = from_digits(recipient)
    event.channel = CHANNEL_SMS
    if kind in STAGE_BY_KIND:
        explain(reading, event, [word(status, "code")], "")
    return event


def _set_reference(reading: Reading, fields: Mapping[str, Any]) -> None:
    for event in reading.batch.events:
        event.message_ref = reference(fields, "client_reference")


def _add_inbound(reading: Reading, fields: Mapping[str, Any], kind: str) -> None:
    # An MMS has an object there, its text under another name.
    written = text(fields, "body") or text(fields, "body", "message")
    inbound_id = needed_id(fields, "id", reason="MESSAGE_WITHOUT_ID")
    person, own = optional_id(fields, "from"), optional_id(fields, "to")
    time_us = iso_us(fields.get("received_at")) or iso_us(fields.get("sent_at"))
    shared, part_count = shared_by_parts(text(fields, "udh"))
    if shared:
        day = "" if time_us is None else str(time_us // DAY_US)
        inbound_id = parts_id(person, own, shared, part_count, day)
    add_inbound(
        reading,
        Inbound(
            inbound_id=inbound_id,
            word=kind,
            time_us=time_us,
            person=from_digits(person),
            own_address=from_digits(own),
            channel=CHANNEL_SMS,
            content_type={"mo_text": "text", "mo_media": "media"}.get(kind, "binary"),
            texts=() if kind == "mo_binary" else (written, text(fields, "body", "subject")),
        ),
    )
