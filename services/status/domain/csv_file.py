"""CSV, RFC 4180: UTF-8, CRLF, a line of names first; no cell that a spreadsheet would run."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from services.status.domain.export_columns import Column, Kind, Row

BYTE_ORDER_MARK: Final = "\ufeff".encode()
# Spreadsheets take a cell for a formula by its first character, whatever quotes are around it. Tab
# and return are passed over before that one is looked at.
_RUNS: Final = frozenset("=+-@\t\r\n＝＋－＠")
# A number is harmless, and one with a plus is a phone's.
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MINUTE_US: Final = 60_000_000
_TIME_US_MAX: Final = 253_402_300_799_999_999
_MICROS: Final = 1_000_000
# Cells of a column that are remembered; bounds memory where nearly each is another.
_KNOWN_MAX: Final = 2_000


def harmless(text: str) -> str:
    """Return ``text`` with an apostrophe before what a spreadsheet would run."""
    if text and text[0] in _RUNS and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


@lru_cache(maxsize=65_536)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


def time_text(time_us: int) -> str:
    """Return RFC 3339 with microseconds; nothing for 0."""
    if not time_us:
        return ""
    minute, rest = divmod(min(max(time_us, 0), _TIME_US_MAX), _MINUTE_US)
    second, fraction = divmod(rest, _MICROS)
    return f"{_minute(minute)}{second:02}.{fraction:06}Z"


def money_text(micros: int) -> str:
    """Return an amount with six decimals."""
    units, rest = divmod(abs(micros), _MICROS)
    return f"{'-' if micros < 0 else ''}{units}.{rest:06}"


class _Known(dict[Any, str]):
    """Cells by their values: most columns have few, and asking again costs a tenth."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__({None: ""})
        self._write = write

    def __missing__(self, value: Any) -> str:
        if len(self) >= _KNOWN_MAX:
            self.clear()
            self[None] = ""
        cell = self[value] = self._write(value)
        return cell


def _flag(value: bool) -> str:
    return "true" if value else "false"


# Kinds that are not here are written as they are; None is nothing.
_WRITE: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: harmless,
    Kind.TIME: time_text,
    Kind.MONEY: money_text,
    Kind.FLAG: _flag,
}


class CsvFile:
    """Writes one file, piece by piece."""

    def __init__(self, columns: Sequence[Column], *, with_byte_order_mark: bool = False) -> None:
        self._names = [column.name for column in columns]
        self._mark = BYTE_ORDER_MARK if with_byte_order_mark else b""
        self._known = [
            _Known(_WRITE[column.kind]) if column.kind in _WRITE else None for column in columns
        ]

    def head(self) -> bytes:
        """Return what the file begins with."""
        return self._mark + self._lines([self._names])

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return rows. Column by column, which is quicker than row by row."""
        columns = [
            values if known is None else [known[value] for value in values]
            for known, values in zip(self._known, zip(*rows, strict=True), strict=False)
        ]
        return self._lines(zip(*columns, strict=True))

    def _lines(self, lines: Iterable[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(lines)
        return text.getvalue().encode("utf-8", "replace")
