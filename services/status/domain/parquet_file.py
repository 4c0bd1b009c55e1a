"""Parquet, written row group by row group in constant memory.

A file is its row groups and a footer that says where they are, so whoever knows the footers of the
groups written so far can go on with the file. One page a column and group, plainly encoded, gzip.
https://github.com/apache/parquet-format
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from struct import pack
from typing import Any, Final, NamedTuple

from services.status.domain.export_columns import Column, Kind, Row
from services.status.domain.thrift_compact import Type, struct, varint

MAGIC: Final = b"PAR1"
_LEVEL: Final = 1  # text compresses to a quarter, further levels cost more than they save
_GZIP: Final = 31  # zlib's word for the gzip format; its header names no time

# Numbers of the format: physical types, repetition, encodings, codec, page.
_BOOLEAN, _INT64, _DOUBLE, _BYTE_ARRAY = 0, 2, 5, 6
_OPTIONAL: Final = 1
_PLAIN, _RLE = 0, 3
_CODEC_GZIP: Final = 2
_DATA_PAGE: Final = 0
# Converted types: what a physical type stands for.
_UTF8, _DECIMAL, _TIMESTAMP_MICROS = 0, 5, 10
_MONEY_SCALE, _MONEY_PRECISION = 6, 18


class _Form(NamedTuple):
    physical: int
    converted: int | None = None


_FORMS: Final[Mapping[Kind, _Form]] = {
    Kind.TEXT: _Form(_BYTE_ARRAY, _UTF8),
    Kind.WORD: _Form(_BYTE_ARRAY, _UTF8),
    Kind.TIME: _Form(_INT64, _TIMESTAMP_MICROS),
    Kind.COUNT: _Form(_INT64),
    Kind.MONEY: _Form(_INT64, _DECIMAL),
    Kind.FLAG: _Form(_BOOLEAN),
    Kind.REAL: _Form(_DOUBLE),
}
# Where nothing was told, there is no value: a time of 0, an empty text.
_EMPTY: Final[Mapping[Kind, Any]] = {Kind.TEXT: "", Kind.WORD: "", Kind.TIME: 0}


class Group(NamedTuple):
    """A row group, as the footer tells of it."""

    footer: bytes
    row_count: int


class ParquetFile:
    """Writes one file, group by group."""

    def __init__(self, columns: Sequence[Column], metadata: Mapping[str, str]) -> None:
        self._columns = columns
        self._metadata = metadata

    def head(self) -> bytes:
        """Return what the file begins with."""
        return MAGIC

    def group(self, rows: Sequence[Row], offset: int) -> tuple[bytes, Group]:
        """Return the bytes of a row group that begins ``offset`` bytes into the file."""
        data, chunks, start = bytearray(), list[bytes](), offset
        for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
            page, plain_bytes = _page(column.kind, values)
            place = offset + len(data)
            data += page
            chunks.append(_chunk(column, len(values), place, plain_bytes, len(page)))
        footer = struct(
            (1, Type.LIST, (Type.STRUCT, chunks)),
            (2, Type.I64, offset + len(data) - start),
            (3, Type.I64, len(rows)),
        )
        return bytes(data), Group(footer, len(rows))

    def foot(self, groups: Sequence[Group]) -> bytes:
        """Return what the file ends with."""
        root = struct((4, Type.BINARY, "schema"), (5, Type.I32, len(self._columns)))
        told = [
            struct((1, Type.BINARY, name), (2, Type.BINARY, value))
            for name, value in self._metadata.items()
        ]
        footer = struct(
            (1, Type.I32, 1),
            (2, Type.LIST, (Type.STRUCT, [root, *map(_element, self._columns)])),
            (3, Type.I64, sum(group.row_count for group in groups)),
            (4, Type.LIST, (Type.STRUCT, [group.footer for group in groups])),
            (5, Type.LIST, (Type.STRUCT, told)),
            (6, Type.BINARY, "bluetick"),
        )
        return footer + pack("<I", len(footer)) + MAGIC


def _element(column: Column) -> bytes:
    form = _FORMS[column.kind]
    is_money = column.kind is Kind.MONEY
    return struct(
        (1, Type.I32, form.physical),
        (3, Type.I32, _OPTIONAL),
        (4, Type.BINARY, column.name),
        (6, Type.I32, form.converted),
        (7, Type.I32, _MONEY_SCALE if is_money else None),
        (8, Type.I32, _MONEY_PRECISION if is_money else None),
    )


def _chunk(column: Column, count: int, place: int, plain_bytes: int, page_bytes: int) -> bytes:
    meta = struct(
        (1, Type.I32, _FORMS[column.kind].physical),
        (2, Type.LIST, (Type.I32, [_PLAIN, _RLE])),
        (3, Type.LIST, (Type.BINARY, [column.name])),
        (4, Type.I32, _CODEC_GZIP),
        (5, Type.I64, count),
        (6, Type.I64, plain_bytes),
        (7, Type.I64, page_bytes),
        (9, Type.I64, place),
    )
    return struct((2, Type.I64, place), (3, Type.STRUCT, meta))


def _page(kind: Kind, values: Sequence[Any]) -> tuple[bytes, int]:
    """Return a page with its header, and how long it is before compression."""
    empty = _EMPTY.get(kind)
    told = [value for value in values if value is not None and value != empty]
    if len(told) == len(values):
        levels = varint(len(values) << 1) + b"\x01"
    elif not told:
        levels = varint(len(values) << 1) + b"\x00"
    else:
        levels = _levels(value is not None and value != empty for value in values)
    plain = pack("<I", len(levels)) + levels + _plain(kind, told)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    packed = packer.compress(plain) + packer.flush()
    data = struct(
        (1, Type.I32, len(values)),
        (2, Type.I32, _PLAIN),
        (3, Type.I32, _RLE),
        (4, Type.I32, _RLE),
    )
    header = struct(
        (1, Type.I32, _DATA_PAGE),
        (2, Type.I32, len(plain)),
        (3, Type.I32, len(packed)),
        (5, Type.STRUCT, data),
    )
    return header + packed, len(header) + len(plain)


def _levels(are_told: Iterable[bool]) -> bytes:
    """Return one bit a value: whether there is one."""
    bits = _bits(are_told)
    return varint(len(bits) << 1 | 1) + bits


def _bits(flags: Iterable[bool]) -> bytes:
    """Return flags as bits, the first one lowest, in whole bytes."""
    text = "".join("1" if flag else "0" for flag in flags)
    return int(text[::-1] or "0", 2).to_bytes((len(text) + 7) // 8, "little")


def _plain(kind: Kind, values: Sequence[Any]) -> bytes:
    form = _FORMS[kind]
    if form.physical == _BYTE_ARRAY:
        out = bytearray()
        for value in values:
            data = value.encode("utf-8", "replace")
            out += len(data).to_bytes(4, "little")
            out += data
        return bytes(out)
    if form.physical == _BOOLEAN:
        return _bits(values)
    return pack(f"<{len(values)}{'d' if form.physical == _DOUBLE else 'q'}", *values)
