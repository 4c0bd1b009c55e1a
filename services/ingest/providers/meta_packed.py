"""Meta's plain statuses, packed: sent, delivered, read, and nothing about them to explain."""

from functools import lru_cache
from typing import Final

from bluetick.v1.common_pb2 import CHANNEL_WHATSAPP
from bluetick.v1.event_pb2 import Event, Pricing

from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, WORD_CHARACTERS_MAX
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.times import EARLIEST_US, seconds_us
from services.ingest.providers.inbound import ALIASES_MAX
from services.ingest.providers.meta_payload import Around, Status
from services.ingest.providers.meta_statuses import KIND_BY_STATUS, names_in

_PLAIN: Final = {
    word: Event(
        kind=KIND_BY_STATUS[word],
        provider_word=word,
        channel=CHANNEL_WHATSAPP,
    ).SerializeToString()
    for word in ("sent", "delivered", "read", "played")
}
_KEPT: Final = 4_096
_TIMESTAMP_CHARACTERS_MAX: Final = 16
_TIME_US_MAX: Final = 2**63 - 1


def pack_status(packed: PackedEvents, status: Status, receive_time_us: int, around: Around) -> bool:
    """Add what ``add_status`` would, if ``status`` is plain; say whether it was."""
    word, message_id, address = status.status, status.id, status.recipient_id
    fields = _PLAIN.get(word or "")
    if (
        fields is None
        or not message_id
        or not address
        # Behind a slash there may be a participant, but never behind base64's padding.
        or ("/" in message_id and message_id[-1] != "=")
        or status.type is not None
        or status.recipient_participant_id
        or status.recipient_participant_user_id
        or len(message_id) + len(address) > IDENTITY_CHARACTERS_MAX
    ):
        return False
    timestamp = status.timestamp
    if type(timestamp) is not str or len(timestamp) > _TIMESTAMP_CHARACTERS_MAX:
        return False
    time_us, told = _time(timestamp)
    if not EARLIEST_US <= time_us <= receive_time_us:
        return False
    fields += told
    pricing = status.pricing
    if pricing is not None:
        model, category = pricing.pricing_model or "", pricing.category or ""
        kind = pricing.type or ""
        if len(model) + len(kind) + len(category) > WORD_CHARACTERS_MAX:
            return False
        fields += _priced(model, kind, category, pricing.billable)
    reference = status.biz_opaque_callback_data or ""
    if len(reference) > IDENTITY_CHARACTERS_MAX:
        reference = ""
    person = from_digits(address)
    # Nearly all statuses name the person in one way; asking costs as much as the rest.
    if (
        around.has_names
        or status.recipient_user_id
        or status.parent_recipient_user_id
        or status.recipient_parent_user_id
    ):
        others = [name for name in around.others(*names_in(status)) if name != person]
        if others:
            names = tuple(dict.fromkeys(others))[:ALIASES_MAX]
            fields += Event(also_known_as=names).SerializeToString()
    fields += _own(around.own_address)
    packed.add(message_id, person, reference, time_us, fields)
    return True


@lru_cache(maxsize=_KEPT)
def _own(address: str) -> bytes:
    return Event(own_address=address).SerializeToString()


@lru_cache(maxsize=_KEPT)
def _time(timestamp: str) -> tuple[int, bytes]:
    """Return the time, and the field that says it; 0, which nobody believes, if it is none."""
    time_us = min(seconds_us(timestamp) or 0, _TIME_US_MAX)
    return time_us, Event(occur_time_us=time_us).SerializeToString()


@lru_cache(maxsize=_KEPT)
def _priced(model: str, kind: str, category: str, billable: bool | None) -> bytes:
    pricing = Pricing(model=model, type=kind, category=category)
    if billable is not None:
        pricing.billable = billable
    return Event(pricing=pricing).SerializeToString()
