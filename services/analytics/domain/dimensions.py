"""What numbers can be broken down by, and the short key of one combination of values."""

from hashlib import blake2b
from typing import NamedTuple

import msgspec
from bluetick.v1 import common_pb2

# Longer values are cut, so that no value can outgrow an index row and hold up its neighbours;
# the doors refuse such values long before.
_TEXT_CHARACTERS_MAX = 400


class Dimensions(NamedTuple):
    """One combination of values; the empty text means not said."""

    channel: int
    provider: str
    sender: str
    template: str
    language: str
    category: str
    variant: str
    flow_id: str
    step_id: str
    segment: str
    country: str


NAMES = Dimensions._fields


def dimension_key(dimensions: Dimensions) -> bytes:
    """Return 16 bytes that stand for the combination, the same in every process."""
    return blake2b(msgspec.msgpack.encode(tuple(dimensions)), digest_size=16).digest()


def storable(text: str) -> str:
    """Return ``text`` as PostgreSQL can take it: no NUL, bounded."""
    return text.replace("\x00", "\ufffd")[:_TEXT_CHARACTERS_MAX]


def channel_named(word: str) -> int | None:
    """Return the channel that a caller names ("sms", "CHANNEL_SMS"), None if there is none."""
    name = word.upper() if word.upper().startswith("CHANNEL_") else f"CHANNEL_{word.upper()}"
    return dict(common_pb2.Channel.items()).get(name)
