"""The quick pass through one of Meta's bodies: clean statuses and nothing else."""

from collections.abc import Callable, Sequence
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
    Status,
    StatusesBody,
    decode_statuses_body,
    only_number,
)
from services.ingest.providers.provider import Callback

# What decoding foreign bytes may raise: wrong JSON or types, no UTF-8, too deep.
_UNREADABLE: Final = (MsgspecError, ValueError, RecursionError)
Decode = Callable[[bytes], StatusesBody]
# Changes statuses to Meta's form in place; False: one of them is odd.
Rename = Callable[[Sequence[Status]], bool]
_NUL: Final = b"\\u0000"


def read_packed(
    callback: Callback,
    account: Account,
    decode: Decode = decode_statuses_body,
    rename: Rename | None = None,
) -> Reading | None:
    """Read a body of statuses in one pass, plain ones as bytes; None: not a plain one."""
    reading = empty_reading(callback, account)
    is_read = read_statuses_only(reading, callback.body, reading.pack(), decode, rename)
    return reading if is_read else None


def read_statuses_only(
    reading: Reading,
    body: bytes,
    packed: PackedEvents | None = None,
    decode: Decode = decode_statuses_body,
    rename: Rename | None = None,
) -> bool:
    """Read a body of statuses in one pass; False if it holds anything else or anything odd.

    With ``packed``, plain ones go there. After False, both hold a part of the body and must be
    thrown away. ``rename`` gives statuses of a dialect the ids of it, if it can.
    """
    try:
        check_density(body)
        decoded = decode(body)
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
            if rename is not None and not rename(statuses):
                return False
            if packed is not None:
                statuses = pack_statuses(packed, statuses, receive_time_us, around)
            for status in statuses:
                if not is_known(status) or add_status(reading, status, around=around):
                    return False
    return True
