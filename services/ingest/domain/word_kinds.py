"""What an account may say that a word of its provider means."""

from collections.abc import Mapping
from typing import Final

from bluetick.v1 import common_pb2 as pb

# Kinds that say all by themselves: an act of a person would need to tell who did what.
WORD_KINDS: Final[Mapping[str, int]] = {
    name: pb.EventKind.Value(f"EVENT_KIND_{name}")
    for name in (
        "ACCEPTED", "QUEUED", "SENT", "DELIVERED", "READ", "UNDELIVERED", "DROPPED", "DEFERRED",
        "CANCELED", "INFO",
    )
}  # fmt: skip
