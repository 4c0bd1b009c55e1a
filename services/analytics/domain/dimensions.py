"""What numbers can be broken down by."""

from hashlib import blake2b
from typing import NamedTuple

import msgspec
from bluetick.v1 import change_pb2, common_pb2

# Longer values are cut, so that no value can outgrow an index row and hold up its neighbours;
# the doors refuse such values long before.
_TEXT_CHARACTERS_MAX = 400

# Distinct values of one dimension in one campaign; what comes later is counted as OTHER.
VALUES_MAX = 200
# Combinations of values in one campaign; what comes later is OTHER in all but its channel.
SCOPES_MAX = 20_000
# Names of contact attributes that one campaign is broken down by, and distinct values of each.
ATTRIBUTES_MAX = 8
ATTRIBUTE_VALUES_MAX = 200
OTHER = "(other)"


class Dimensions(NamedTuple):
    """One combination of values, named as in ``bluetick.v1.Scope``; empty text: not said."""

    channel: int
    provider: str
    account: str
    sender: str
    template: str
    language: str
    category: str
    variant: str
    flow_id: str
    branch_id: str
    step_id: str
    segment: str
    country: str
    market: str
    time_zone: str


NAMES = Dimensions._fields
assert {"campaign_id", *NAMES} == {field.name for field in change_pb2.Scope.DESCRIPTOR.fields}


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
