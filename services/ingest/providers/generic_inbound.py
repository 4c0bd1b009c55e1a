"""Inbound messages of the generic sources: from a body and a dialect to a reply."""

from collections.abc import Mapping
from typing import Any

from bluetick.v1.common_pb2 import CHANNEL_SMS

from services.ingest.domain.act_ids import parts_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import IDENTITY_CHARACTERS_MAX, Unreadable
from services.ingest.domain.long_messages import shared_by_parts
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import DAY_US
from services.ingest.providers.generic_dialect import Dialect
from services.ingest.providers.generic_values import (
    Paths,
    receipt_fields,
    text_at,
    time_us_at,
    value_at,
)
from services.ingest.providers.inbound import Inbound, add_inbound


def is_inbound(dialect: Dialect, item: Any) -> bool:
    """Say whether ``item`` is what a person sent, and no receipt."""
    places = dialect.inbound
    if places is None or not isinstance(item, Mapping):
        return False
    if places.event:
        return text_at(item, item, places.event) == places.event_word
    if not text_at(item, item, places.person) or _is_status(dialect, item):
        return False
    # An empty text is a text: somebody sent a picture, or nothing.
    return any(_has(item, str(path[0])) for path in places.text if len(path) == 1)


def _is_status(dialect: Dialect, item: Mapping[str, Any]) -> bool:
    if dialect.receipt and any(
        receipt_fields(text_at(item, item, (path,))) for path in dialect.receipt
    ):
        return True
    return bool(text_at(item, item, dialect.status))


def _has(item: Mapping[str, Any], name: str) -> bool:
    return item.get(name) is not None


def add_generic_inbound(
    reading: Reading, dialect: Dialect, item: Mapping[str, Any], receive_time_us: int
) -> None:
    """Add what a person sent.

    Raises:
        Unreadable: it has no id, or one that is longer than any.
    """
    places = dialect.inbound
    assert places is not None, "asked is_inbound before"
    told = value_at(item, item, places.time)
    time_us = None
    if told is not None:
        time_us = time_us_at(told, dialect.time_formats, dialect.zone, receive_time_us)
    person, own = _identity(item, places.person), _identity(item, places.own)
    inbound_id = _identity(item, places.id)
    if not inbound_id:
        raise Unreadable("MESSAGE_WITHOUT_ID", "the id of the inbound message is missing or empty")
    reference = _identity(item, places.reference)
    part_count = _identity(item, places.part_count)
    if not reference and (header := text_at(item, item, places.header)):
        reference, part_count = shared_by_parts(header)
    if reference and part_count not in ("", "0", "1"):
        day = (receive_time_us if time_us is None else time_us) // DAY_US
        inbound_id = parts_id(person, own, reference, part_count, str(day))
    text, keyword = text_at(item, item, places.text), text_at(item, item, places.keyword)
    texts = [text]
    if keyword and text[: len(keyword)].casefold() == keyword.casefold():
        texts.append(text[len(keyword) :].strip())
    add_inbound(
        reading,
        Inbound(
            inbound_id=inbound_id,
            word="received",
            time_us=time_us,
            person=from_digits(person),
            own_address=from_digits(own),
            channel=CHANNEL_SMS,
            answered_id=_identity(item, places.answered),
            content_type="text",
            texts=tuple(texts),
        ),
    )


def _identity(item: Mapping[str, Any], paths: Paths) -> str:
    found = text_at(item, item, paths)
    if len(found) > IDENTITY_CHARACTERS_MAX:
        raise Unreadable("ID_TOO_LONG", f"longer than {IDENTITY_CHARACTERS_MAX} characters")
    return found
