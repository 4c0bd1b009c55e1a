"""What a sender's record must be like. Only what cannot work is turned away, with the cure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import available_timezones

from google.protobuf.timestamp_pb2 import Timestamp

from services.ingest.domain.times import (
    AHEAD_S_MAX,
    EARLIEST_US,
    SECOND_US,
    is_believable,
    is_possible,
)

_PROVIDER = re.compile(r"[a-z0-9_]{1,32}")
_TIME_ZONES: Final = available_timezones()
# Messages without a provider's id are keyed by the word "ref" in the provider's place.
_RESERVED_PROVIDERS: Final = frozenset({"ref"})


class Fault(NamedTuple):
    """Why a record is not stored."""

    reason: str  # stable word
    detail: str  # field, limit and cure; never a value


class Faulty(Exception):
    """A record breaks a rule."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, detail)


def check_texts(record: Any, limits: Iterable[tuple[str, int]]) -> None:
    """Check that each text of ``record`` can be stored.

    Raises:
        Faulty: a text is longer than its limit, or holds NUL.
    """
    for name, limit in limits:
        text = getattr(record, name)
        # Nearly all are right, and a call for each would be a quarter of a record's cost.
        if text and (len(text) > limit or "\x00" in text):
            check_text(name, text, limit)


def check_text(name: str, text: str, characters_max: int) -> None:
    """Check one text; as ``check_texts``."""
    if len(text) > characters_max:
        raise Faulty(
            f"{_word(name)}_TOO_LONG",
            f"{name}: {len(text)} characters, the limit is {characters_max}; shorten it.",
        )
    if "\x00" in text:
        raise Faulty(
            "INVALID_TEXT", f"{name}: holds a NUL character, which no text can; remove it."
        )


def check_required(name: str, value: object, cure: str) -> None:
    """Check that ``value`` is there.

    Raises:
        Faulty: it is empty.
    """
    if not value:
        raise Faulty(f"{_word(name)}_MISSING", f"{name}: empty; {cure}")


def check_time_zone(name: str) -> None:
    """Check that ``name`` is empty or a zone of the IANA database.

    Raises:
        Faulty: it is neither.
    """
    if name and name not in _TIME_ZONES:
        raise Faulty(
            "TIME_ZONE_UNKNOWN",
            'time_zone: no IANA zone; send a name such as "Europe/Berlin", or leave it out.',
        )


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Check the attributes of a contact: at most 32, names 1 to 64, values up to 256 characters.

    Raises:
        Faulty: a limit is broken.
    """
    if len(attributes) > 32:
        raise Faulty(
            "ATTRIBUTES_TOO_MANY",
            f"attributes: {len(attributes)}, the limit is 32; send those that reports need.",
        )
    for name, value in attributes.items():
        if not name:
            raise Faulty("ATTRIBUTE_NAME_MISSING", "attributes: a name is empty; name it.")
        check_text("attributes (name)", name, 64)
        check_text("attributes (value)", value, 256)


def provider_name(text: str) -> str:
    """Return a provider's name in lower case; empty stays empty.

    A provider that Bluetick has no dialect for is taken: its messages count, its callbacks do not
    come.

    Raises:
        Faulty: it is no name.
    """
    name = text.lower()
    if name and (not _PROVIDER.fullmatch(name) or name in _RESERVED_PROVIDERS):
        raise Faulty(
            "PROVIDER_MALFORMED",
            "provider: 1 to 32 letters, digits and underscores, and not 'ref'; use the name in "
            'the callback\'s address ("meta").',
        )
    return name


class ToldTime(NamedTuple):
    """When something happened, as far as it is believed."""

    time_us: int
    # The time that was told lies further ahead than clocks differ, so that of receipt stands.
    is_clamped: bool


def occur_time(name: str, record: Any, now_us: int) -> ToldTime:
    """Return the time in the field ``name`` of ``record`` in microseconds; now, if it is absent.

    Raises:
        Faulty: it is before 2009 or more than a day ahead.
    """
    if not record.HasField(name):
        return ToldTime(now_us, is_clamped=False)
    time: Timestamp = getattr(record, name)
    time_us = time.seconds * SECOND_US + time.nanos // 1_000
    if not is_possible(time_us, now_us):
        raise Faulty(
            "TIME_OUT_OF_RANGE",
            f"{name}: not between {EARLIEST_US // SECOND_US} (2009) and one day from now; send "
            "seconds since 1970, UTC, or leave it out for now.",
        )
    if not is_believable(time_us, now_us, AHEAD_S_MAX * SECOND_US):
        return ToldTime(now_us, is_clamped=True)
    return ToldTime(time_us, is_clamped=False)


def _word(name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
