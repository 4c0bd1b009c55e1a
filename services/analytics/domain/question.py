"""A question about one campaign, as a value: parsed and checked before anything is read."""

from collections.abc import Mapping

import msgspec
from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1.common_pb2 import TimeRange

from services.analytics.domain.cells import ClockName
from services.analytics.domain.dimensions import NAMES, channel_named
from services.analytics.domain.times import HOUR_US, NoTime, microseconds

VALUES_MAX = 100


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
    # In us, whole hours; None: open.
    start_us: int | None
    end_us: int | None
    # Dimension -> any of these values; channels as numbers.
    filters: Mapping[str, list[str] | list[int]]

    @property
    def is_whole(self) -> bool:
        """Whether it is about the whole campaign, which the totals answer."""
        return self.start_us is None and self.end_us is None and not self.filters


def question_of(request: pb.GetCampaignReportRequest) -> Question:
    """Return the question that a request asks.

    Raises:
        Problem: the first thing wrong with it.
    """
    if request.clock not in pb.Clock.values():
        raise Problem("clock", "Not a known clock; use EVENT_TIME or SEND_COHORT.")
    start_us, end_us = _range(request.time_range)
    return Question(
        campaign_id(request.campaign_id),
        ClockName(request.clock or pb.CLOCK_EVENT_TIME),
        start_us,
        end_us,
        _filters(request),
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
        if end_us % HOUR_US or getattr(time_range, name).nanos:
            raise Problem(field, "Not a whole hour (UTC); round it down to one.")
        ends.append(end_us)
    start_us, end_us_or_none = ends
    if start_us is not None and end_us_or_none is not None and start_us >= end_us_or_none:
        raise Problem("time_range", "end_time is exclusive and must lie after start_time.")
    return start_us, end_us_or_none


def _filters(request: pb.GetCampaignReportRequest) -> dict[str, list[str] | list[int]]:
    filters: dict[str, list[str] | list[int]] = {}
    for at, one in enumerate(request.filter):
        field = f"filter[{at}]"
        name, values = one.dimension, list(one.values)
        if name not in NAMES:
            raise Problem(f"{field}.dimension", f"Unknown; use one of {', '.join(NAMES)}.")
        if name in filters:
            raise Problem(f"{field}.dimension", "Given twice; put all its values into one filter.")
        if not 1 <= len(values) <= VALUES_MAX:
            raise Problem(f"{field}.values", f"1 to {VALUES_MAX} values; {len(values)} were given.")
        if any("\x00" in value for value in values):
            raise Problem(f"{field}.values", "No value holds a NUL character; correct it.")
        filters[name] = _channels(field, values) if name == "channel" else values
    return filters


def _channels(field: str, words: list[str]) -> list[int]:
    channels = [channel_named(word) for word in words]
    known = [channel for channel in channels if channel is not None]
    if len(known) < len(words):
        raise Problem(f"{field}.values", "Unknown channel; use WHATSAPP, SMS or EMAIL.")
    return known
