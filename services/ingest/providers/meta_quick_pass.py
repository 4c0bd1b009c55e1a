"""The quick pass through one of Meta's bodies: clean statuses and nothing else."""

from typing import Final

from msgspec import MsgspecError

from libs.runtime.accounts import Account
from services.ingest.domain.packed_events import PackedEvents
from services.ingest.domain.reading import Reading
from services.ingest.providers import meta_statuses
from services.ingest.providers.bodies import empty_reading
from services.ingest.providers.decoding import ITEMS_MAX, check_density
from services.ingest.providers.meta_packed import pack_statuses
from services.ingest.providers.meta_payload import (
    WHATSAPP,
    Around,
    decode_statuses_body,
    only_number,
)
from services.ingest.providers.provider import Callback

# What decoding foreign bytes may raise: wrong JSON or types, no UTF-8, too deep.
_UNREADABLE: Final = (MsgspecError, ValueError, RecursionError)
_NUL: Final = b"\\u0000"


def read_packed(callback: Callback, account: Account) -> Reading | None:
    """Read a body of statuses in one pass, plain ones as bytes; None: not a plain one."""
    reading = empty_reading(callback, account)
    return reading if read_statuses_only(reading, callback.body, reading.pack()) else None


def read_statuses_only(reading: Reading, body: bytes, packed: PackedEvents | None = None) -> bool:
    """Read a body of statuses in one pass; False if it holds anything else or anything odd.

    With ``packed``, plain ones go there. After False, both hold a part of the body and must be
    thrown away.
    """
    try:
        check_density(body)
        decoded = decode_statuses_body(body)
    except _UNREADABLE:
        return False
    # One letter is found many times faster than six, and most bodies do not hold it.
    if decoded.object != WHATSAPP or (b"\\" in body and _NUL in body):
        return False
    add_status, is_known = meta_statuses.add_status, meta_statuses.is_known
    receive_time_us = reading.receive_time_us
    items_left = ITEMS_MAX - len(decoded.entry)
    for entry in decoded.entry:
        for change in entry.changes:
            if change.field != "messages":
                return False
            value = change.value
            items_left -= 1 + len(value.statuses)
            if items_left < 0:
                return False
            number = (value.metadata and value.metadata.display_phone_number) or ""
            around = Around(number, value.contacts) if value.contacts else only_number(number)
            statuses = value.statuses
            if packed is not None:
                statuses = pack_statuses(packed, statuses, receive_time_us, around)
            for status in statuses:
                if not is_known(status) or add_status(reading, status, around=around):
                    return False
    return True
