"""Meta's message statuses: from its words to ours."""

from collections.abc import Mapping
from typing import Final

from bluetick.v1.common_pb2 import (
    CHANNEL_WHATSAPP,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_INFO,
    EVENT_KIND_PLAYED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, WORD_CHARACTERS_MAX
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import seconds_us
from services.ingest.providers.failures import explain
from services.ingest.providers.inbound import name_person
from services.ingest.providers.meta_payload import NOTHING_AROUND, Around, Error, Status

KIND_BY_STATUS: Final = {
    "sent": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    # A voice message was played: it was read, too, which the state of the message knows.
    "played": EVENT_KIND_PLAYED,
    # A failed status bears a wamid, so the message was handed over: never a drop, whatever the
    # code. Meta tells by webhook what it could have told by the answer to the send, and the
    # other way round; the stage follows the place of arrival.
    "failed": EVENT_KIND_UNDELIVERED,
    # Old words: the sender deleted it; an item of a catalogue is missing. Neither is a failure.
    "deleted": EVENT_KIND_INFO,
    "warning": EVENT_KIND_INFO,
}

# Meta tells one error of a status; each code becomes an event.
ERRORS_MAX: Final = 16

STATUS_WITHOUT_ID: Final = "STATUS_WITHOUT_ID"
STATUS_WITHOUT_TIMESTAMP: Final = "STATUS_WITHOUT_TIMESTAMP"
STATUS_ID_TOO_LONG: Final = "STATUS_ID_TOO_LONG"

DETAIL_BY_PROBLEM: Final = {
    STATUS_WITHOUT_ID: "id: missing or empty",
    STATUS_WITHOUT_TIMESTAMP: "timestamp: missing, or no number of seconds",
    STATUS_ID_TOO_LONG: f"an id is longer than {IDENTITY_CHARACTERS_MAX} characters",
}


def is_known(status: Status) -> bool:
    """Say whether the status is one of Meta's words that Bluetick can read without its raw form."""
    return status.status in KIND_BY_STATUS or status.type == "payment"


def add_status(
    reading: Reading,
    status: Status,
    raw: bytes = b"",
    kinds: Mapping[str, int] = KIND_BY_STATUS,
    around: Around = NOTHING_AROUND,
) -> str:
    """Add what ``status`` says; return the reason if it cannot be read, else "".

    ``around`` is what stands beside it in its ``value``. ``raw`` is kept where the word is not in
    ``kinds``. All events of one status have the same time; they carry every code of ``errors``.
    """
    if not status.id:
        return STATUS_WITHOUT_ID
    time_us = seconds_us(status.timestamp)
    if time_us is None:
        return STATUS_WITHOUT_TIMESTAMP
    # In a group one wamid covers many recipients, each with statuses of their own.
    participant = status.recipient_participant_id or status.recipient_participant_user_id
    message_id = f"{status.id}/{participant}" if participant else status.id
    address = participant or _recipient(status)
    if len(message_id) + len(address) > IDENTITY_CHARACTERS_MAX:
        return STATUS_ID_TOO_LONG

    word = status.status or ""
    kind = EVENT_KIND_INFO if status.type == "payment" else kinds.get(word)
    event = reading.add_of_message(
        EVENT_KIND_UNKNOWN if kind is None else kind, time_us, message_id
    )
    event.provider_word = word if kind is not None else word[:WORD_CHARACTERS_MAX]
    if kind is None:
        event.raw = raw
    event.channel = CHANNEL_WHATSAPP
    event.own_address = around.own_address
    _add_identity(event, status, address, around)
    if kind == EVENT_KIND_UNDELIVERED:
        _add_failure(reading, event, (status.errors or [])[:ERRORS_MAX])
    elif status.type == "payment":
        event.detail = "payment"
    return ""


def _recipient(status: Status) -> str:
    """Return the phone if Meta gives it: since April 2026 there may be a user id only, or none."""
    return (
        status.recipient_id
        or status.recipient_user_id
        or status.parent_recipient_user_id
        or status.recipient_parent_user_id
        or ""
    )


def names_in(status: Status) -> tuple[str | None, ...]:
    """Return all names of the recipient that the status itself tells."""
    if status.recipient_participant_id or status.recipient_participant_user_id:
        return status.recipient_participant_id, status.recipient_participant_user_id
    return (
        status.recipient_id,
        status.recipient_user_id,
        status.parent_recipient_user_id,
        status.recipient_parent_user_id,
    )


def _add_identity(event: Event, status: Status, address: str, around: Around) -> None:
    name_person(event, from_digits(address), *around.others(*names_in(status)))
    reference = status.biz_opaque_callback_data
    # A longer one is not a reference that a sender can have recorded.
    if reference and len(reference) <= IDENTITY_CHARACTERS_MAX:
        event.message_ref = reference
    priced = status.pricing
    if priced is not None:
        pricing = event.pricing
        pricing.model = (priced.pricing_model or "")[:WORD_CHARACTERS_MAX]
        pricing.type = (priced.type or "")[:WORD_CHARACTERS_MAX]
        pricing.category = (priced.category or "")[:WORD_CHARACTERS_MAX]
        if priced.billable is not None:
            pricing.billable = priced.billable


def _add_failure(reading: Reading, event: Event, errors: list[Error]) -> None:
    codes = {error.code_text(): error for error in reversed(errors)}
    first_code = errors[0].code_text() if errors else ""
    first = codes.pop(first_code, None)
    others = [(reading.add_beside(event), code, codes[code]) for code in sorted(codes)]
    for failed, code, error in [(event, first_code, first), *others]:
        explain(reading, failed, [code], error.detail_text() if error is not None else "")
