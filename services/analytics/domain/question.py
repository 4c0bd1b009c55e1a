"""A question about one campaign, as a value: parsed and checked before anything is read."""

from collections.abc import Iterable, Mapping
from typing import cast

import msgspec
from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1.common_pb2 import TimeRange

from services.analytics.domain.dimensions import NAMES, channel_named
from services.analytics.domain.times import QUARTER_US, ClockName, NoTime, microseconds

VALUES_MAX = 100
FILTERS_MAX = 20
# Before the name of an attribute of the contact in a filter.
ATTRIBUTE = "attribute:"


class Problem(ValueError):
    """The question cannot be answered: ``field`` and what is wrong with it, with the cure."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


class Question(msgspec.Struct, frozen=True):
    """What to sum up."""

    campaign_id: str
    clock: ClockName
    # In us, whole quarters of an hour; None: open.
    start_us: int | None
    end_us: int | None
    # Dimension -> any of these values; channels as numbers.
    filters: Mapping[str, list[str] | list[int]]
    # Name of an attribute of the contact, and any of these values.
    attribute: tuple[str, list[str]] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is about the whole campaign, which the totals answer."""
        is_always = self.start_us is None and self.end_us is None
        return is_always and not self.filters and self.attribute is None


def question_of(request: pb.GetCampaignReportRequest) -> Question:
    """Return the question that a request asks.

    Raises:
        Problem: the first thing wrong with it.
    """
    if request.clock not in pb.Clock.values():
        raise Problem("clock", "Not a known clock; use EVENT_TIME or SEND_COHORT.")
    start_us, end_us = _range(request.time_range)
    filters = filters_of(request.filter)
    names = [name for name in filters if name.startswith(ATTRIBUTE)]
    if names and (len(filters) > 1 or start_us is not None or end_us is not None):
        raise Problem(
            "filter",
            f"{names[0]} is counted for the whole campaign and by itself; ask without a time range "
            "and without other filters.",
        )
    attribute = [(name.removeprefix(ATTRIBUTE), filters.pop(name)) for name in names]
    return Question(
        campaign_id(request.campaign_id),
        ClockName(request.clock or pb.CLOCK_EVENT_TIME),
        start_us,
        end_us,
        filters,
        cast(tuple[str, list[str]], attribute[0]) if attribute else None,
    )


def campaign_id(text: str) -> str:
    """Return ``text`` if it can be the id of a campaign.

    Raises:
        Problem: it is empty or holds what no id holds.
    """
    if not text or "\x00" in text:
        raise Problem("campaign_id", "Required, 1 to 128 characters; name the campaign.")
    return text


def _range(time_range: TimeRange) -> tuple[int | None, int | None]:
    ends: list[int | None] = []
    for name in ("start_time", "end_time"):
        if not time_range.HasField(name):
            ends.append(None)
            continue
        field = f"time_range.{name}"
        try:
            end_us = microseconds(getattr(time_range, name))
        except NoTime:
            raise Problem(field, "Outside the years 1 to 9999; correct it.") from None
        if end_us % QUARTER_US or getattr(time_range, name).nanos:
            raise Problem(field, "Not a whole quarter of an hour (UTC); round it down to one.")
        ends.append(end_us)
    start_us, end_us_or_none = ends
    if start_us is not None and end_us_or_none is not None and start_us >= end_us_or_none:
        raise Problem("time_range", "end_time is exclusive and must lie after start_time.")
    return start_us, end_us_or_none


def refuse_range(time_range: TimeRange, what: str) -> None:
    """Refuse a time range for numbers that are kept for the whole campaign only.

    Raises:
        Problem: there is one.
    """
    if time_range.HasField("start_time") or time_range.HasField("end_time"):
        text = f"{what} are counted for the whole campaign; ask without a time range."
        raise Problem("time_range", text)


def filters_of(
    asked: Iterable[pb.DimensionFilter], known: Iterable[str] = NAMES
) -> dict[str, list[str] | list[int]]:
    """Return dimension -> values, channels as numbers.

    Args:
        asked: what the request says.
        known: dimensions that may be asked for; attributes may if all of the catalogue may.

    Raises:
        Problem: the first thing wrong with it.
    """
    filters: dict[str, list[str] | list[int]] = {}
    names, has_attributes = tuple(known), known is NAMES
    for at, one in enumerate(asked):
        field = f"filter[{at}]"
        name, values = one.dimension, list(one.values)
        if at >= FILTERS_MAX:
            raise Problem("filter", f"At most {FILTERS_MAX} filters; put values of one together.")
        is_attribute = has_attributes and name.startswith(ATTRIBUTE) and name != ATTRIBUTE
        if name not in names and not is_attribute:
            more = f" or {ATTRIBUTE}NAME" if has_attributes else ""
            cure = f"use one of {', '.join(names)}{more}." if names else "ask without filters."
            raise Problem(f"{field}.dimension", f"Not a dimension of these numbers; {cure}")
        if name in filters:
            raise Problem(f"{field}.dimension", "Given twice; put all its values into one filter.")
        if not 1 <= len(values) <= VALUES_MAX:
            raise Problem(f"{field}.values", f"1 to {VALUES_MAX} values; {len(values)} were given.")
        if any("\x00" in value for value in (name, *values)):
            raise Problem(f"{field}.values", "No value holds a NUL character; correct it.")
        filters[name] = _channels(field, values) if name == "channel" else values
    return filters


def _channels(field: str, words: list[str]) -> list[int]:
    channels = [channel_named(word) for word in words]
    known = [channel for channel in channels if channel is not None]
    if len(known) < len(words):
        raise Problem(f"{field}.values", "Unknown channel; use WHATSAPP, SMS or EMAIL.")
    return known
