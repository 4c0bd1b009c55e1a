"""The one catalogue of rates: every name says its numerator and its denominator."""

import msgspec

from services.analytics.domain.wilson import wilson


class RateDefinition(msgspec.Struct, frozen=True):
    """One rate.

    ``is_distinct``: each thing below the line is hit at most once, so the rate lies in [0, 1] and
    has an interval. Else it counts events and may exceed 1.
    """

    name: str
    numerator: str
    denominator: str
    is_distinct: bool


class Rate(msgspec.Struct, frozen=True):
    """A rate with what it is made of; no value when nothing is below the line."""

    definition: RateDefinition
    numerator: int
    denominator: int
    value: float | None
    interval: tuple[float, float] | None


def _of(
    numerator: str, denominator: str, *, named: str = "", distinct: bool = True
) -> RateDefinition:
    name = f"{named or numerator}_per_{denominator}"
    return RateDefinition(name, numerator, denominator, distinct)


RATES: dict[str, RateDefinition] = {
    rate.name: rate
    for rate in (
        _of("sent", "targeted"),
        _of("sent", "addressable"),
        _of("dropped", "targeted"),
        _of("delivered", "sent"),
        _of("delivered", "targeted"),
        _of("undelivered", "sent"),
        _of("pending", "targeted"),
        _of("failed", "targeted"),
        _of("failed_addressable", "addressable"),
        _of("read", "delivered"),
        _of("read", "sent"),
        _of("read", "targeted"),
        _of("read_inferred", "delivered"),
        _of("human_read", "delivered"),
        _of("clicked", "delivered"),
        _of("clicks", "delivered", distinct=False),
        _of("human_clicked", "delivered"),
        _of("human_clicks", "delivered", distinct=False),
        _of("interacted", "delivered", named="interactions"),
        _of("replied", "delivered"),
        _of("replies", "delivered", distinct=False),
        # People over messages: never above 1, since whoever replied has a delivered message.
        _of("repliers", "delivered"),
        _of("quick_reply_taps", "delivered", distinct=False),
        _of("unsubscribed", "delivered"),
        _of("complained", "delivered"),
        _of("converted", "delivered"),
    )
}


def rate(definition: RateDefinition, numerator: int, denominator: int) -> Rate:
    """Return the rate of two counts; without value and interval when nothing is below the line.

    A part of a campaign on the clock EVENT_TIME may hold what happened to messages of another
    part: reads of yesterday's deliveries. Such a figure is no share, so it gets no interval.
    """
    if denominator <= 0:
        return Rate(definition, numerator, denominator, None, None)
    is_share = definition.is_distinct and 0 <= numerator <= denominator
    interval = wilson(numerator, denominator) if is_share else None
    return Rate(definition, numerator, denominator, numerator / denominator, interval)
