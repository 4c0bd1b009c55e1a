"""A file that is written piece by piece, and can be gone on with at the end of a piece."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from services.status.domain.csv_file import CsvFile
from services.status.domain.export_columns import Column, Row
from services.status.domain.parquet_file import Group, ParquetFile

# Rows that are written together. A row group of Parquet is found faster the larger it is; rows that
# wait for it are held in memory.
CSV_ROWS: Final = 500
PARQUET_ROWS: Final = 10_000


class Place(msgspec.Struct, frozen=True):
    """Where a file stands at the end of a piece."""

    # Of the last message in it.
    number: int
    row_count: int
    byte_count: int
    # SHA-256 of all of it, to be copied before more is added.
    sha256: Any
    # Of Parquet: the row groups before the last one, and that one.
    groups: "tuple[Any, Group] | None" = None

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of all that was written."""
        digest: bytes = self.sha256.digest()
        return digest


class Written(msgspec.Struct, frozen=True):
    """Bytes, and where the file stands behind them."""

    data: bytes
    place: Place


class ExportFile(Protocol):
    """One form of file."""

    rows_max: int

    def begin(self) -> Written:
        """Return what the file begins with."""

    def add(self, place: Place, rows: Sequence[Row], number: int) -> Written:
        """Return rows behind a place; ``number`` is that of the last one."""

    def end(self, place: Place) -> Written:
        """Return what the file ends with."""


def _moved(place: Place, data: bytes, **more: Any) -> Written:
    sha256 = place.sha256.copy()
    sha256.update(data)
    byte_count = place.byte_count + len(data)
    told = msgspec.structs.replace(place, byte_count=byte_count, sha256=sha256, **more)
    return Written(data, told)


def _nowhere() -> Place:
    return Place(0, 0, 0, hashlib.sha256())


class CsvExport:
    """A file of CSV."""

    rows_max = CSV_ROWS

    def __init__(self, columns: Sequence[Column], *, with_byte_order_mark: bool) -> None:
        self._file = CsvFile(columns, with_byte_order_mark=with_byte_order_mark)

    def begin(self) -> Written:
        """See ExportFile.begin."""
        return _moved(_nowhere(), self._file.head())

    def add(self, place: Place, rows: Sequence[Row], number: int) -> Written:
        """See ExportFile.add."""
        count = place.row_count + len(rows)
        return _moved(place, self._file.rows(rows), number=number, row_count=count)

    def end(self, place: Place) -> Written:
        """See ExportFile.end."""
        return Written(b"", place)


class ParquetExport:
    """A file of Parquet, each piece a row group."""

    rows_max = PARQUET_ROWS

    def __init__(self, columns: Sequence[Column], metadata: Mapping[str, str]) -> None:
        self._file = ParquetFile(columns, metadata)

    def begin(self) -> Written:
        """See ExportFile.begin."""
        return _moved(_nowhere(), self._file.head())

    def add(self, place: Place, rows: Sequence[Row], number: int) -> Written:
        """See ExportFile.add."""
        data, group = self._file.group(rows, place.byte_count)
        count = place.row_count + len(rows)
        groups = place.groups, group
        return _moved(place, data, number=number, row_count=count, groups=groups)

    def end(self, place: Place) -> Written:
        """See ExportFile.end."""
        groups, last = list[Group](), place.groups
        while last is not None:
            groups.append(last[1])
            last = last[0]
        return _moved(place, self._file.foot(groups[::-1]))
