"""Reading quarantined callbacks again: what status asks ingest over the broker.

status owns the quarantine, ingest owns the reading. The question is the serialized
``bluetick.v1.Quarantined``. The answer comes when everything that could be read of it is durable
in EVENTS; until then the callback stays in quarantine, so that whoever is killed loses nothing and
the question may be asked again.
"""

import msgspec

SUBJECT = "bluetick.replay.v1.ingest"
# Any replica can answer: all run today's code.
QUEUE = "ingest"


class Reread(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    is_read: bool  # the quarantine need not keep it any longer
    event_count: int = 0
    reason: str = ""  # why it must stay
    detail: str = ""
    # The reason is the reading's own, so it is truer than the one kept; else it is about
    # something else (no such account) and says nothing about the callback.
    is_newer_reason: bool = False


def encode(answer: Reread) -> bytes:
    """Return the answer as JSON bytes."""
    return msgspec.json.encode(answer)


def decode(data: bytes) -> Reread:
    """Return the answer; raises msgspec.MsgspecError if it is none."""
    return msgspec.json.decode(data, type=Reread)
