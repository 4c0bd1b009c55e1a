"""Provider times: what they look like, and when they are beyond belief."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
# A number of seconds as large as this lies 3,000 years ahead; milliseconds passed it in 1973.
MILLISECONDS_FROM = 100_000_000_000
# 2009-01-01: no provider that Bluetick reads existed before, so an earlier time is a zero or a bug.
EARLIEST_US = 1_230_768_000 * SECOND_US
# How far ahead of its receipt a time may lie to be a time at all: the zone of its writer may be
# wrong, the day cannot be.
POSSIBLE_AHEAD_US_MAX = DAY_US
# A clock that runs ahead by no more than this is taken at its word.
AHEAD_S_MAX = 120

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ISO_SECOND = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})")
_ISO_SECOND_CHARACTERS = 19
# The zone is "Z", "-04:00", "-0400", "+02" or missing; the fraction has any number of digits.
_ISO_REST = re.compile(r"(?:[.,]([0-9]{1,12}))? ?(?:[Zz]|UTC|GMT|([+-])([0-9]{2}):?([0-9]{2})?)?")
_ISO_CHARACTERS_MAX = 40
# Callbacks that come together tell few seconds and few zones, so both halves are kept.
_KEPT = 4_096
_SECONDS = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,9})?")


def seconds_us(value: object) -> int | None:
    """Return Unix seconds, written as text or as a number, in microseconds; None if it is neither.

    Text with a fraction is read too. True and False are no times.
    """
    if type(value) is str:
        if len(value) < 20 and value.isascii() and value.isdecimal():
            return int(value) * SECOND_US
        return _float_us(float(value)) if _SECONDS.fullmatch(value) else None
    if type(value) is int:
        return value * SECOND_US
    if type(value) is float and isfinite(value):
        return _float_us(value)
    return None


def _float_us(seconds: float) -> int:
    # The product of a large number and a million may be infinite.
    whole = int(seconds)
    return whole * SECOND_US + round((seconds - whole) * SECOND_US)


def milliseconds_or_seconds_us(value: object) -> int | None:
    """Return Unix seconds or milliseconds, number or text, in microseconds; None if it is neither.

    No provider tells a time in the year 5000, which is what milliseconds are as seconds.
    """
    time_us = seconds_us(value)
    if time_us is not None and time_us >= MILLISECONDS_FROM * SECOND_US:
        return time_us // 1_000
    return time_us


def iso_us(value: object) -> int | None:
    """Return an ISO 8601 date and time in microseconds since 1970, UTC; None if it is none.

    Without a zone it is taken as UTC. Digits beyond microseconds are cut off: Postmark sends seven.
    """
    if type(value) is not str or len(value) > _ISO_CHARACTERS_MAX:
        return None
    second_us = _iso_second_us(value[:_ISO_SECOND_CHARACTERS])
    rest_us = _iso_rest_us(value[_ISO_SECOND_CHARACTERS:])
    return None if second_us is None or rest_us is None else second_us + rest_us


@lru_cache(maxsize=_KEPT)
def _iso_second_us(text: str) -> int | None:
    """Return the time of a date and a whole second, as if in UTC."""
    found = _ISO_SECOND.fullmatch(text)
    if found is None:
        return None
    date, time = found.groups()
    try:
        return (datetime.fromisoformat(f"{date}T{time}+00:00") - _EPOCH) // _MICROSECOND
    except ValueError:
        return None


@lru_cache(maxsize=_KEPT)
def _iso_rest_us(text: str) -> int | None:
    """Return what the fraction and the zone add to a second."""
    found = _ISO_REST.fullmatch(text)
    if found is None:
        return None
    fraction, sign, hours, minutes = found.groups()
    fraction_us = int((fraction or "")[:6].ljust(6, "0"))
    if not sign:
        return fraction_us
    offset_us = (int(hours) * 60 + int(minutes or 0)) * 60 * SECOND_US
    return fraction_us + (offset_us if sign == "-" else -offset_us)


def is_possible(time_us: int, receive_time_us: int) -> bool:
    """Say whether ``time_us`` can be a time of what was received at ``receive_time_us`` at all."""
    return EARLIEST_US <= time_us <= receive_time_us + POSSIBLE_AHEAD_US_MAX


def is_believable(time_us: int, receive_time_us: int, ahead_us_max: int) -> bool:
    """Say whether something received at ``receive_time_us`` can have happened at ``time_us``.

    Nothing is told before it happens: what lies further ahead than clocks differ is a wrong zone.
    """
    return EARLIEST_US <= time_us <= receive_time_us + ahead_us_max
