"""Finding values in a body by configured names, and reading configured times and SMPP receipts."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.ingest.domain.times import is_possible, iso_us, seconds_us

# One place in a body: names of fields and indices of lists. "^" first: from the body's top.
Path = tuple[str | int, ...]
# Several places; the first that holds something counts.
Paths = tuple[Path, ...]

TOP: Final = "^"
TIME_FORMATS: Final = ("s", "ms", "iso", "YYMMDDhhmm", "YYYY-MM-DD HH:MM:SS")
# SMPP 3.4, appendix B. What follows "text:" is the message's own text.
_RECEIPT: Final = re.compile(
    r"\b(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat(?:us|e)?|err|text):[ ]?(\S*)",
    re.IGNORECASE,
)
# Some centres leave "stat:" out and write the state alone.
_STATE: Final = re.compile(
    r"(?<![\w:])(DELIVRD|UNDELIV|EXPIRED|DELETED|REJECTD|ACCEPTD|ENROUTE|UNKNOWN)(?![\w:])"
)
_RECEIPT_NAMES: Final = {
    "state": "stat", "status": "stat", "submitdate": "submit_date", "donedate": "done_date",
}  # fmt: skip
# By the number of digits: some centres write seconds, some the whole year.
_CENTRE_FORMS: Final = {12: "%y%m%d%H%M%S", 14: "%Y%m%d%H%M%S"}
_RECEIPT_CHARACTERS_MAX: Final = 1_000
_ZONE_AT_END: Final = re.compile(r"(?:[Zz]|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)$")
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
# Receipts that come together tell few moments, most of them in whole minutes.
_MOMENTS_KEPT: Final = 2_048
# Options name few paths, and accounts are few.
_NAMES_KEPT: Final = 1_024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def paths_of(text: str) -> Paths:
    """Read "data.to.0.status|status": dots go deeper, digits into lists, "|" tries the next."""
    return tuple(
        tuple(int(step) if step.isdecimal() and step.isascii() else step for step in one.split("."))
        for one in (part.strip() for part in text.split("|"))
        if one
    )


def value_at(item: Any, top: Any, paths: Paths) -> Any:
    """Return the first value or list at ``paths`` that is not empty; None if there is none."""
    for path in paths:
        if (found := _found_at(item, top, path)) is not None:
            return found
    return None


def text_at(item: Any, top: Any, paths: Paths) -> str:
    """Return the first plain value at ``paths`` as text; empty if there is none."""
    for path in paths:
        found = _found_at(item, top, path)
        if isinstance(found, str):
            return found.strip()
        if type(found) is int or type(found) is float:
            return str(found)
    return ""


def _found_at(item: Any, top: Any, path: Path) -> Any:
    first = path[0]
    if first == TOP:
        found = _walk(top, path[1:])
    elif len(path) == 1 and type(item) is dict:
        found = item.get(str(first))
    else:
        found = _walk(item, path)
    # Zero and False are values.
    return found if found or isinstance(found, int | float) else None


def _walk(value: Any, path: Path) -> Any:
    # Asking whether a class is a Mapping costs more than all the rest.
    if len(path) > 1 and (type(value) is dict or isinstance(value, Mapping)):
        # A form may have a dot in the name itself.
        whole = _whole_name(path)
        if whole in value:
            return value[whole]
    for step in path:
        if type(value) is dict or isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


@lru_cache(maxsize=_NAMES_KEPT)
def _whole_name(path: Path) -> str:
    return ".".join(map(str, path))


def receipt_fields(text: str) -> dict[str, str]:
    """Return the fields of an SMPP delivery receipt, blanks in names as "_"; empty: it is none."""
    text = text[:_RECEIPT_CHARACTERS_MAX]
    lower = text.lower()
    # Every text of a body is asked, and the search for all fields is slow.
    if "stat:" not in lower and not (
        "id:" in lower and ("date:" in lower or "status:" in lower or "state:" in lower)
    ):
        return {}
    fields: dict[str, str] = {}
    end = len(text)
    for found in _RECEIPT.finditer(text):
        name = _RECEIPT_NAMES.get(name := found.group(1).lower().replace(" ", "_"), name)
        if name == "text":
            end = found.start()
            break
        fields.setdefault(name, found.group(2))
    if not fields.get("stat") and "id" in fields and (state := _STATE.search(text, 0, end)):
        fields["stat"] = state.group()
    return fields if fields.get("stat") else {}


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name or offset ("+03:00").

    Raises:
        ValueError, OSError, KeyError: there is none of that name.
    """
    if offset := _OFFSET.fullmatch(name):
        sign, hours, minutes = offset.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-delta if sign == "-" else delta)
    return ZoneInfo(name)


def time_us_at(
    value: Any, formats: tuple[str, ...], zone: tzinfo, receive_time_us: int
) -> int | None:
    """Return the first reading of ``value`` by ``formats`` that can be true; None: there is none.

    Digits alone may be seconds or YYMMDDhhmm: only one of them lies near the time of receipt.
    """
    for name in formats:
        time_us = _time_us(value, name, zone)
        if time_us is not None and is_possible(time_us, receive_time_us):
            return time_us
    return None


def _time_us(value: Any, name: str, zone: tzinfo) -> int | None:
    if name == "s":
        return seconds_us(value)
    if name == "ms":
        time_us = seconds_us(value)
        return None if time_us is None else time_us // 1_000
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if name == "YYMMDDhhmm":
        return _local_us(text, _CENTRE_FORMS.get(len(text), "%y%m%d%H%M"), zone)
    if name == "iso" and _ZONE_AT_END.search(text[10:]):
        return iso_us(text)
    return _local_us(text.replace("T", " ").partition(".")[0], "%Y-%m-%d %H:%M:%S", zone)


def _local_us(text: str, form: str, zone: tzinfo) -> int | None:
    if not text.isascii() or len(text) > 32:
        return None
    return _strptime_us(text, form, zone)


@lru_cache(maxsize=_MOMENTS_KEPT)
def _strptime_us(text: str, form: str, zone: tzinfo) -> int | None:
    try:
        local = datetime.strptime(text, form).replace(tzinfo=zone)
        return (local - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
