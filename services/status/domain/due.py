"""What the clock does to messages, by time: the kinds of entries of ``status.due``.

Whoever writes a message notes the time at which it has to be looked at again; then it is looked at,
and what was settled meanwhile is passed over. So an entry is only ever a hint, is never taken back,
and may be there twice. The deletion of what is kept too long will be one more kind.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from services.status.domain.changes import Change
from services.status.domain.gathered import Key

DAY_US: Final = 86_400_000_000
_KEY_BYTES: Final = 16


class Due(IntEnum):
    """What is done when the day comes."""

    # Remove the message, if the sender's record has not come: other software uses the same number.
    FORGET_UNRECORDED = 1
    # Tell that no report came, if none did; see ``domain.silence``.
    TELL_SILENCE = 2


def unrecorded(changes: Iterable[Change]) -> list[Key]:
    """Return the messages that are new and without a record."""
    return [c.key for c in changes if c.known is None and c.new.record is None]


def keys_of(joined: bytes) -> Iterator[bytes]:
    """Yield the keys of an entry."""
    for start in range(0, len(joined), _KEY_BYTES):
        yield joined[start : start + _KEY_BYTES]
