"""What was told about a message, packed into its row: each report once, with its first receipt.

A serialized ``repeated`` field of (receive time as fixed64 = 1, event = 2), so entries are put
together by joining bytes. The newest comes first: what was there stays the end of the row, and the
log of the database skips it.
"""

from collections.abc import Iterator
from typing import Final

from services.status.domain.wire import SMALL, fixed64, read_varint, varint

# From here on what is told goes into a table of its own: a row that is rewritten must stay small.
BYTES_MAX: Final = 1_400
# With the event's own bytes; what frames them has 15 at most.
_ROOM: Final = BYTES_MAX - 15
_ENTRY: Final = b"\x0a"
_TIME: Final = b"\x09"
_EVENT: Final = b"\x12"


def entries(packed: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield (event, receive time in microseconds)."""
    at, end = 0, len(packed)
    while at < end:
        _, at = read_varint(packed, at + 1)
        receive_us = int.from_bytes(packed[at + 1 : at + 9], "little")
        size, at = read_varint(packed, at + 10)
        yield packed[at : at + size], receive_us
        at += size


def add(packed: bytes, event: bytes, receive_us: int) -> bytes | None:
    """Return ``packed`` with the report, or ``packed`` itself if it says so already.

    None: there is no room. The packed part only grows, so what once did not fit never fits later,
    and a repeat always meets its first copy.
    """
    # Bytes that look the same may still be a part of another event.
    if event in packed and (again := _again(packed, event, receive_us)) is not None:
        return again
    size = len(event)
    if len(packed) + size > _ROOM:
        new = _entry(event, receive_us)
        return new + packed if len(packed) + len(new) <= BYTES_MAX else None
    # As ``_entry``, in one go.
    parts = (
        _ENTRY, SMALL[size + len(SMALL[size]) + 10],
        _TIME, fixed64(receive_us),
        _EVENT, SMALL[size], event,
        packed,
    )  # fmt: skip
    return b"".join(parts)


def _again(packed: bytes, event: bytes, receive_us: int) -> bytes | None:
    """Return ``packed`` with the first receipt of a report that it has; None: it has it not."""
    found = list(entries(packed))
    for at, (told, first_us) in enumerate(found):
        if told == event:
            if receive_us >= first_us:
                return packed
            found[at] = (event, receive_us)
            return b"".join(_entry(*one) for one in found)
    return None


def _entry(event: bytes, receive_us: int) -> bytes:
    frame = _TIME + fixed64(receive_us) + _EVENT + varint(len(event)) + event
    return _ENTRY + varint(len(frame)) + frame
