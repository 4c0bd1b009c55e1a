"""How far the flow has come: the question that analytics asks status over the broker.

The answer says: everything that was answered OK before ``complete_until_us`` is in the CHANGES
stream at or before sequence ``changes_seq``.
"""

import msgspec

SUBJECT = "bluetick.progress.v1.status"
# Any replica can answer: all read the same consumer and the same table.
QUEUE = "status"


class Progress(msgspec.Struct, frozen=True):
    """The answer."""

    complete_until_us: int
    changes_seq: int


def encode(progress: Progress) -> bytes:
    """Return the answer as JSON bytes."""
    return msgspec.json.encode(progress)


def decode(data: bytes) -> Progress:
    """Return the answer; raises msgspec.MsgspecError if it is none."""
    return msgspec.json.decode(data, type=Progress)
