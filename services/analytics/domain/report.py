"""From summed cells to the report: which numbers exist, which rates, what is missing and why."""

from collections.abc import Iterable, Mapping
from enum import IntEnum

import msgspec
from bluetick.v1 import common_pb2

from services.analytics.domain.counters import (
    CATALOGUE,
    DERIVED,
    DISTINCT_NAMES,
    STORED_NAMES,
    UNRECORDED,
)
from services.analytics.domain.rates import RATES, Rate, rate

HEALTHY_DELIVERED_ABOVE = (95, 100)
INVESTIGATE_FAILED_ABOVE = (5, 100)
OPENS_LOWER_BOUND = "EMAIL_OPENS_LOWER_BOUND"


class Health(IntEnum):
    """Verdict; the numbers are those of bluetick.v1.HealthVerdict."""

    NONE = 0
    HEALTHY = 1
    INVESTIGATE = 2


class Summed(msgspec.Struct, frozen=True):
    """Sums over the cells of a campaign, or of a part of it."""

    # Stored counter -> sum.
    stored: Mapping[str, int]
    # Distinct counter -> count; None where it does not add up (a part of the campaign).
    distinct: Mapping[str, int] | None
    # Channels with messages.
    channels: frozenset[int]


class Report(msgspec.Struct, frozen=True):
    """Numbers of a campaign. What does not exist is in ``unavailable`` with its reason, not 0.

    What means less than its name is in ``caveats`` with its reason.
    """

    counters: dict[str, int]
    rates: dict[str, Rate]
    health: Health
    unavailable: dict[str, str]
    caveats: dict[str, str]


def report(summed: Summed) -> Report:
    """Return the report of ``summed``."""
    unavailable = _unavailable_counters(summed)
    counters = {name: summed.stored.get(name, 0) for name in STORED_NAMES}
    for counter in DERIVED:
        counters[counter.name] = sum(sign * counters[name] for sign, name in counter.formula)
    counters.update(summed.distinct or {})
    counters = {name: n for name, n in counters.items() if name not in unavailable}
    rates = {}
    for definition in RATES.values():
        parts = definition.numerator, definition.denominator
        missing = next((unavailable[part] for part in parts if part in unavailable), None)
        if missing is None:
            rates[definition.name] = rate(definition, *(counters[part] for part in parts))
        else:
            unavailable[definition.name] = missing
    caveats = _caveats(summed.channels, [*counters, *rates])
    return Report(counters, rates, health(counters), unavailable, caveats)


def health(counters: Mapping[str, int]) -> Health:
    """Return the verdict on delivery; in whole numbers, so that exactly 95 % is not above 95 %."""
    share, of = INVESTIGATE_FAILED_ABOVE
    if counters["failed"] * of > counters["targeted"] * share:
        return Health.INVESTIGATE
    share, of = HEALTHY_DELIVERED_ABOVE
    if counters["delivered"] * of > counters["sent"] * share:
        return Health.HEALTHY
    return Health.NONE


def _unavailable_counters(summed: Summed) -> dict[str, str]:
    missing = dict(UNRECORDED)
    if summed.distinct is None:
        missing.update(dict.fromkeys(DISTINCT_NAMES, "NOT_ADDITIVE"))
    for counter in CATALOGUE.values():
        if summed.channels and summed.channels <= counter.absent_on:
            missing[counter.name] = _absence(summed.channels)
    return missing


def _caveats(channels: frozenset[int], names: Iterable[str]) -> dict[str, str]:
    """Return which of the counters and rates called ``names`` count opened emails.

    An email is "read" when its picture is fetched: many people forbid that, so more have read it.
    """
    if common_pb2.CHANNEL_EMAIL not in channels:
        return {}
    return {
        name: OPENS_LOWER_BOUND for name in names if name == "read" or name.startswith("read_per_")
    }


def _absence(channels: frozenset[int]) -> str:
    words = sorted(
        common_pb2.Channel.Name(common_pb2.Channel.ValueType(channel)) for channel in channels
    )
    return "_".join(word.removeprefix("CHANNEL_") for word in words) + "_NO_RECEIPTS"
