"""What the clock does to messages, by day: the kinds of entries of ``status.due``.

Whoever writes a message notes the day on which it has to be looked at again; on that day it is
looked at, and what was settled meanwhile is passed over. So an entry is only ever a hint, is never
taken back, and may be there twice. Today one kind is used; a rule that adds a fact after 30 days
without a report, and the deletion of what is kept too long, are two more.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from services.status.domain.changes import Change
from services.status.domain.gather import Key

DAY_US: Final = 86_400_000_000
_KEY_BYTES: Final = 16


class Due(IntEnum):
    """What is done when the day comes."""

    # Remove the message, if the sender's record has not come: other software uses the same number.
    FORGET_UNRECORDED = 1


def day_of(time_us: int) -> int:
    """Return the day, counted from 1970 UTC."""
    return time_us // DAY_US


def unrecorded(changes: Iterable[Change]) -> list[Key]:
    """Return the messages that are new and without a record."""
    return [c.key for c in changes if c.known is None and c.new.record is None]


def keys_of(joined: bytes) -> Iterator[bytes]:
    """Yield the keys of an entry."""
    for start in range(0, len(joined), _KEY_BYTES):
        yield joined[start : start + _KEY_BYTES]
