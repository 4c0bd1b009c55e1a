"""Serialized messages put together from serialized parts.

Protobuf allows the fields of a message in any order, so a part that is stored as bytes is put into
its frame without being parsed: half the cost of a change.
"""


def varint(number: int) -> bytes:
    """Return ``number`` (0 or more) in protobuf's variable length."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field_bytes(number: int, part: bytes) -> bytes:
    """Return ``part`` as field ``number`` (1 to 15) of a message, with its tag and length."""
    return bytes((number << 3 | 2,)) + varint(len(part)) + part
