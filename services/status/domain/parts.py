"""Parts of one message, each of which its provider reports: the whole arrived when all of them did.

Kept packed in the message: nearly none has any. Every part keeps its earliest times, so their order
cannot matter; what they say together is made anew from all of them.
"""

from typing import Final

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_SENT,
    MESSAGE_STATE_UNDELIVERED,
    MessageState,
)

from services.status.domain.merge_rules import earliest
from services.status.domain.message import Message

# Parts kept per message, the smallest ids: still a union in any order.
PARTS_MAX: Final = 64
# Reports of a part; of these, what is told of its end says nothing of the whole by itself.
PART_KINDS: Final = frozenset(
    (
        EVENT_KIND_ACCEPTED,
        EVENT_KIND_QUEUED,
        EVENT_KIND_SENT,
        EVENT_KIND_DELIVERED,
        EVENT_KIND_UNDELIVERED,
    )
)
END_KINDS: Final = frozenset((EVENT_KIND_DELIVERED, EVENT_KIND_UNDELIVERED))


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What was told of one part. Times: microseconds since 1970 UTC; 0: never."""

    part_id: str
    deliver_time_us: int = 0
    undeliver_time_us: int = 0

    @property
    def state(self) -> MessageState.ValueType:
        """How far it got."""
        if self.deliver_time_us:
            return MESSAGE_STATE_DELIVERED
        return MESSAGE_STATE_UNDELIVERED if self.undeliver_time_us else MESSAGE_STATE_SENT


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Part]).decode


def parts_of(message: Message) -> list[Part]:
    """Return what was told of the parts of a message, sorted by their ids."""
    return _decode(message.parts) if message.parts else []


def tell_part(message: Message, part_id: str, kind: int, time_us: int) -> None:
    """Note what was told of one part, and what all of them say of the message now."""
    parts = {part.part_id: part for part in parts_of(message)}
    known = parts.get(part_id, Part(part_id))
    parts[part_id] = Part(
        part_id,
        earliest(known.deliver_time_us, time_us if kind == EVENT_KIND_DELIVERED else 0),
        earliest(known.undeliver_time_us, time_us if kind == EVENT_KIND_UNDELIVERED else 0),
    )
    kept = [parts[name] for name in sorted(parts)[:PARTS_MAX]]
    message.parts = _encode(kept)
    lost = [part for part in kept if part.state == MESSAGE_STATE_UNDELIVERED]
    waiting = any(part.state == MESSAGE_STATE_SENT for part in kept)
    message.part_loss_time_us = min((part.undeliver_time_us for part in lost), default=0)
    message.is_part_awaited = waiting and not lost
    message.parts_report_time_us = (
        0 if lost or waiting else max(part.deliver_time_us for part in kept)
    )
