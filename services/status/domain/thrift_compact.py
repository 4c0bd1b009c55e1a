"""Thrift's compact protocol, as far as the footers of Parquet need it.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any


class Type(IntEnum):
    """Types of fields."""

    I32 = 5
    I64 = 6
    BINARY = 8
    LIST = 9
    STRUCT = 12


# (id, type, value); a value of None is left out. A list's value is (type, members).
Field = tuple[int, Type, Any]


def varint(number: int) -> bytes:
    """Return an unsigned number."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def struct(*fields: Field) -> bytes:
    """Return a struct; its fields come by ascending ids."""
    out, last = bytearray(), 0
    for number, kind, value in fields:
        if value is None:
            continue
        step = number - last
        assert step > 0, "fields come by ascending ids"
        out += bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + _signed(number)
        out += _value(kind, value)
        last = number
    return bytes(out) + b"\x00"


def _signed(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _value(kind: Type, value: Any) -> bytes:
    if kind in (Type.I32, Type.I64):
        return _signed(value)
    if kind is Type.BINARY:
        data = value if isinstance(value, bytes) else value.encode()
        return varint(len(data)) + data
    if kind is Type.STRUCT:
        return bytes(value)
    return _list(*value)


def _list(kind: Type, members: Sequence[Any]) -> bytes:
    count = len(members)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return head + b"".join(_value(kind, member) for member in members)
