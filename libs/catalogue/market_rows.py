"""Reads the table of WhatsApp's price markets: which calling prefix belongs to which, and when."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from libs.catalogue.csv_tables import Row, read_rows, refuse_repeats

_COUNTRY = re.compile(r"[A-Z]{2}")
_PREFIX = re.compile(r"[1-9][0-9]{0,6}")
_ALWAYS_US = 2**62


class Market(NamedTuple):
    """The market of one calling prefix for some time."""

    country: str  # ISO 3166-1 alpha-2
    name: str
    from_us: int  # microseconds since 1970, UTC
    until_us: int  # this moment is no longer in it


def read_markets(text: str, name: str, problems: list[str]) -> dict[str, tuple[Market, ...]]:
    """Return the markets by calling prefix (digits only), oldest first."""
    markets: dict[str, tuple[Market, ...]] = {}
    seen: dict[object, str] = {}
    columns = ("country", "calling_prefix", "market", "valid_from", "valid_to")
    for row in read_rows(text, name, columns, problems):
        country, prefix = row.word("country"), row.word("calling_prefix").lstrip("+")
        if not _COUNTRY.fullmatch(country):
            row.complain("country must be two capital letters.")
        if not _PREFIX.fullmatch(prefix):
            row.complain("calling_prefix must be 1 to 7 digits.")
        first = _day_us(row, "valid_from", -_ALWAYS_US)
        until = _day_us(row, "valid_to", _ALWAYS_US, days=1)
        if first >= until:
            row.complain("valid_to is before valid_from.")
        refuse_repeats(seen, (country, prefix, first), row, lambda: "this time")
        one = Market(country, row.word("market"), first, until)
        markets[prefix] = (*markets.get(prefix, ()), one)
    return {prefix: tuple(sorted(found, key=_by_time)) for prefix, found in markets.items()}


def _by_time(market: Market) -> int:
    return market.from_us


def _day_us(row: Row, column: str, default: int, *, days: int = 0) -> int:
    """Return the begin of the day in ``column``, ``days`` later; ``default`` if it is empty."""
    text = row.text(column)
    if not text:
        return default
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        row.complain(f"{column} must be a date like 2026-07-01, or empty.")
        return default
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
