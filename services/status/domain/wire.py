"""Serialized messages put together from serialized parts.

Protobuf allows the fields of a message in any order, so a part that is stored as bytes is put into
its frame without being parsed: half the cost of a change.
"""

from struct import Struct
from typing import Final

fixed64: Final = Struct("<Q").pack


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# The varints below 4,096, which nearly all lengths are.
SMALL: Final = tuple(_varint(number) for number in range(1 << 12))
_SMALL_MAX: Final = len(SMALL)


def varint(number: int) -> bytes:
    """Return ``number`` (0 or more) in protobuf's variable length; quick where it is small."""
    return SMALL[number] if number < _SMALL_MAX else _varint(number)


VARINT: Final = 0
LENGTH_DELIMITED: Final = 2


def tag(number: int, wire_type: int = LENGTH_DELIMITED) -> bytes:
    """Return the tag of field ``number`` of a message."""
    return varint(number << 3 | wire_type)


def field_bytes(number: int, part: bytes) -> bytes:
    """Return ``part`` as field ``number`` (1 to 15) of a message, with its tag and length."""
    return bytes((number << 3 | 2,)) + varint(len(part)) + part


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at ``at``, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
