"""Meta's plain statuses, packed: sent, delivered, read, and nothing about them to explain."""

from functools import lru_cache
from typing import Final

from bluetick.v1.common_pb2 import CHANNEL_WHATSAPP
from bluetick.v1.event_pb2 import Event, Pricing

from libs.runtime.message_ids import is_whole_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, WORD_CHARACTERS_MAX
from services.ingest.domain.packed_events import PackedEvents, message_ref
from services.ingest.domain.times import EARLIEST_US, seconds_us
from services.ingest.providers.inbound import ALIASES_MAX
from services.ingest.providers.meta_payload import Around, Status
from services.ingest.providers.meta_statuses import KIND_BY_STATUS, names_in

_PLAIN: Final[dict[str | None, bytes]] = {
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


class _NotPlain(Exception):
    """A part of a status is none that most have: the careful way reads it."""


def pack_statuses(
    packed: PackedEvents, statuses: list[Status], receive_time_us: int, around: Around
) -> list[Status]:
    """Add what ``add_status`` would of each that is plain, and return the others."""
    own, has_names = _own(around.own_address), around.has_names
    add, others = packed.add, list[Status]()
    for status in statuses:
        message_id, address = status.id, status.recipient_id
        kind = _PLAIN.get(status.status)
        try:
            if (
                kind is None
                or not message_id
                or not address
                or ("/" in message_id and not is_whole_id(message_id))
                or status.type is not None
                or status.recipient_participant_id
                or status.recipient_participant_user_id
                or len(message_id) + len(address) > IDENTITY_CHARACTERS_MAX
            ):
                raise _NotPlain
            time_us, told = _time(status.timestamp)
            if not EARLIEST_US <= time_us <= receive_time_us:
                raise _NotPlain
            paid = status.pricing
            price = (
                b""
                if paid is None
                else _priced(paid.pricing_model, paid.type, paid.category, paid.billable)
            )
        except _NotPlain:
            others.append(status)
            continue
        # Nearly all statuses name the person in one way and bear no reference.
        if (
            has_names
            or status.recipient_user_id
            or status.parent_recipient_user_id
            or status.recipient_parent_user_id
            or status.biz_opaque_callback_data
        ):
            price += _more(status, around)
        add(message_id, address, time_us, kind, told, price, own)
    return others


def _more(status: Status, around: Around) -> bytes:
    """Return the fields of the sender's reference and of the person's other names."""
    reference = status.biz_opaque_callback_data or ""
    told = message_ref(reference) if 0 < len(reference) <= IDENTITY_CHARACTERS_MAX else b""
    person = from_digits(status.recipient_id or "")
    others = [name for name in around.others(*names_in(status)) if name != person]
    names = tuple(dict.fromkeys(others))[:ALIASES_MAX]
    return told + Event(also_known_as=names).SerializeToString()


@lru_cache(maxsize=_KEPT)
def _own(address: str) -> bytes:
    return Event(own_address=address).SerializeToString()


# What is raised is not kept, so nothing long is, and no number that equals another kind of one.
@lru_cache(maxsize=_KEPT)
def _time(timestamp: object) -> tuple[int, bytes]:
    """Return the time, and the field that says it; 0, which nobody believes, if it is none."""
    if type(timestamp) is not str or len(timestamp) > _TIMESTAMP_CHARACTERS_MAX:
        raise _NotPlain
    time_us = min(seconds_us(timestamp) or 0, _TIME_US_MAX)
    return time_us, Event(occur_time_us=time_us).SerializeToString()


@lru_cache(maxsize=_KEPT)
def _priced(
    model: str | None, kind: str | None, category: str | None, billable: bool | None
) -> bytes:
    pricing = Pricing(model=model or "", type=kind or "", category=category or "")
    if len(pricing.model) + len(pricing.type) + len(pricing.category) > WORD_CHARACTERS_MAX:
        raise _NotPlain
    if billable is not None:
        pricing.billable = billable
    return Event(pricing=pricing).SerializeToString()
