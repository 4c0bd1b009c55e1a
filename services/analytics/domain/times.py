"""Units of time, clocks, and timestamps of the API as microseconds since 1970."""

from enum import IntEnum

from google.protobuf.timestamp_pb2 import Timestamp

MINUTE_US = 60_000_000
# Every time zone of the world is whole quarters away from UTC.
QUARTER_US = 15 * MINUTE_US
HOUR_US = 4 * QUARTER_US
# 0001-01-01 and 9999-12-31T23:59:59, the limits of a Timestamp.
_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799


class ClockName(IntEnum):
    """Clock of a cell; the numbers are those of bluetick.v1.Clock."""

    EVENT_TIME = 1
    SEND_COHORT = 2


class NoTime(ValueError):
    """The timestamp lies outside the years 1 to 9999."""


def microseconds(timestamp: Timestamp) -> int:
    """Return microseconds since 1970, UTC.

    Raises:
        NoTime: outside the years 1 to 9999.
    """
    if not _SECONDS_MIN <= timestamp.seconds <= _SECONDS_MAX or not 0 <= timestamp.nanos < 10**9:
        raise NoTime
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1_000


def timestamp_of(time_us: int) -> Timestamp:
    """Return the timestamp of microseconds since 1970, UTC."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(time_us)
    return timestamp
