"""Messages and records as the bytes that a row keeps: a version, then an array in field order.

A field that is added has a default, so rows of before read on. Whoever changes what a field means,
or takes one away, gives the packing a new version and reads the old one, too.
"""

from typing import Final

import msgspec

from services.status.domain.message import Message, Record

VERSION: Final = b"\x01"

_encode = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder(Message).decode
_decode_record = msgspec.msgpack.Decoder(Record).decode


class UnknownPacking(Exception):
    """A row was packed by a later release, or is damaged. Nothing may be made of it."""


def pack(message: Message) -> bytes:
    """Return the message as stored; its record is stored beside it, since it hardly ever moves."""
    record, message.record = message.record, None
    packed = VERSION + _encode(message)
    message.record = record
    return packed


def unpack(data: bytes, record: bytes | None) -> Message:
    """Return the message that was packed.

    Raises:
        UnknownPacking: it is of no version that is known here.
    """
    if data[:1] != VERSION:
        raise UnknownPacking(f"A message is packed as version {data[:1].hex() or 'none'}.")
    try:
        message = _decode_message(data[1:])
    except msgspec.MsgspecError as error:
        raise UnknownPacking(f"A message cannot be unpacked: {error}") from error
    if record is not None:
        message.record = unpack_record(record)
    return message


def pack_record(record: Record) -> bytes:
    """Return the record as stored."""
    return VERSION + _encode(record)


def unpack_record(data: bytes) -> Record:
    """Return the record that was packed.

    Raises:
        UnknownPacking: it is of no version that is known here.
    """
    if data[:1] != VERSION:
        raise UnknownPacking(f"A record is packed as version {data[:1].hex() or 'none'}.")
    try:
        return _decode_record(data[1:])
    except msgspec.MsgspecError as error:
        raise UnknownPacking(f"A record cannot be unpacked: {error}") from error
