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
    Kind,
)
from services.analytics.domain.rates import RATES, Rate, rate

HEALTHY_DELIVERED_ABOVE = (95, 100)
INVESTIGATE_FAILED_ABOVE = (5, 100)
# Many people forbid pictures, so more have read it; machines fetch pictures, so fewer have.
OPENS_LOWER_BOUND = "EMAIL_OPENS_LOWER_BOUND"
OPENS_UPPER_BOUND = "EMAIL_OPENS_UPPER_BOUND"
OPENS_LOWER_AND_UPPER_BOUND = "EMAIL_OPENS_LOWER_AND_UPPER_BOUND"


class Health(IntEnum):
    """Verdict; the numbers are those of bluetick.v1.HealthVerdict."""

    NONE = 0
    HEALTHY = 1
    INVESTIGATE = 2


class ChannelSums(msgspec.Struct, frozen=True):
    """Sums over the cells of one channel."""

    # Stored counter -> sum; one that is missing is 0.
    stored: Mapping[str, int]


class Summed(msgspec.Struct, frozen=True):
    """Sums over the cells of a campaign, or of a part of it."""

    # Channel -> sums. Only channels of which anything was counted.
    channels: Mapping[int, ChannelSums]
    # Distinct counter -> count; None where it does not add up (a part of the campaign).
    distinct: Mapping[str, int] | None


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
    """Return the report of ``summed``.

    Both sides of a rate count the same channels: one that cannot tell the numerator is left out of
    the denominator too, and the rate's caveat says so.
    """
    present = frozenset(summed.channels)
    unavailable = _unavailable_counters(summed, present)
    counters = {
        # On a channel that cannot tell it, an act that proves it would be only half of it.
        name: _count(summed, name, present - absent_on(name))
        for name in (*STORED_NAMES, *(counter.name for counter in DERIVED))
    }
    counters.update(summed.distinct or {})
    counters = {name: n for name, n in counters.items() if name not in unavailable}
    rates, caveats = {}, dict[str, str]()
    for definition in RATES.values():
        parts = definition.numerator, definition.denominator
        missing = next((unavailable[part] for part in parts if part in unavailable), None)
        if missing is not None:
            unavailable[definition.name] = missing
            continue
        absent = frozenset[int]().union(*(absent_on(part) for part in parts)) & present
        counts = (_count(summed, part, present - absent) for part in parts)
        rates[definition.name] = rate(definition, *counts)
        if absent:
            caveats[definition.name] = f"WITHOUT_{_words(absent)}"
    for name in counters:
        if absent := absent_on(name) & present:
            caveats[name] = f"WITHOUT_{_words(absent)}"
    caveats |= _caveats(summed, [*counters, *rates])
    return Report(counters, rates, health(counters), unavailable, caveats)


def health(counters: Mapping[str, int]) -> Health:
    """Return the verdict on delivery; in whole numbers, so that exactly 95 % is not above 95 %.

    A stretch of time without sends, or with deliveries of what was sent in another, has none.
    """
    share, of = INVESTIGATE_FAILED_ABOVE
    failed, targeted = counters["failed"], counters["targeted"]
    if failed <= targeted and failed * of > targeted * share:
        return Health.INVESTIGATE
    share, of = HEALTHY_DELIVERED_ABOVE
    delivered, sent = counters["delivered"], counters["sent"]
    if delivered <= sent and delivered * of > sent * share:
        return Health.HEALTHY
    return Health.NONE


def absent_on(name: str) -> frozenset[int]:
    """Return the channels that can never tell a counter."""
    counter = CATALOGUE.get(name)
    if counter is None:
        return frozenset()
    return counter.absent_on.union(*(absent_on(part) for _, part in counter.formula))


def _count(summed: Summed, name: str, channels: frozenset[int]) -> int:
    counter = CATALOGUE[name]
    if counter.formula:
        return sum(sign * _count(summed, part, channels) for sign, part in counter.formula)
    if counter.kind is Kind.DISTINCT:
        return (summed.distinct or {}).get(name, 0)
    return sum(summed.channels[channel].stored.get(name, 0) for channel in channels)


def _unavailable_counters(summed: Summed, present: frozenset[int]) -> dict[str, str]:
    missing = dict(UNRECORDED)
    if summed.distinct is None:
        missing.update(dict.fromkeys(DISTINCT_NAMES, "NOT_ADDITIVE"))
    for name in CATALOGUE:
        if present and present <= absent_on(name):
            missing[name] = f"{_words(present)}_NO_RECEIPTS"
    return missing


def _caveats(summed: Summed, names: Iterable[str]) -> dict[str, str]:
    """Return which of the counters and rates called ``names`` count opened emails, and how far off.

    An email is "read" when its picture is fetched. Opens by machines are told apart in
    ``human_read``, which is a lower bound whatever they do.
    """
    if common_pb2.CHANNEL_EMAIL not in summed.channels:
        return {}
    bounds = {
        "read": _bound(summed.channels[common_pb2.CHANNEL_EMAIL].stored),
        "human_read": OPENS_LOWER_BOUND,
    }
    return {
        name: bound
        for name in names
        for counter, bound in bounds.items()
        if name == counter or name.startswith(f"{counter}_per_")
    }


def _bound(emails: Mapping[str, int]) -> str:
    if not emails.get("machine_reads", 0):
        return OPENS_LOWER_BOUND
    if emails.get("read", 0) >= emails.get("delivered", 0):
        # None is left that could have been read unseen.
        return OPENS_UPPER_BOUND
    return OPENS_LOWER_AND_UPPER_BOUND


def _words(channels: frozenset[int]) -> str:
    known = common_pb2.Channel.DESCRIPTOR.values_by_number
    words = sorted(known[one].name if one in known else str(one) for one in channels)
    return "_".join(word.removeprefix("CHANNEL_") for word in words)
