"""What a network and a provider do to the order and number of things. Pure, seeded.

Loss is a choice of what is never told; whoever counts the truth counts what is left. All else
(order, repeats, delay, batching, clock skew) must not change a single number.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from libs.simulator.facts import ENGAGEMENT_KINDS, Fact, FactKind

T = TypeVar("T")

# Of these the last to happen counts: with another clock it would be another one.
_ORDERED_KINDS = frozenset({FactKind.REACTION, FactKind.REACTION_REMOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """How wild it gets. Shares are 0 to 1; positions are shares of the whole sequence."""

    lost_share: float
    repeated_share: float
    repeats_max: int
    shuffle_reach: float  # a thing may move this far to either side
    delayed_share: float  # moved to anywhere later
    skew_max_s: int  # seconds on either side, drawn anew for every copy
    batch_max: int  # updates in one callback, usually
    burst_share: float  # callbacks that carry up to `burst_max`
    burst_max: int
    late_record_share: float  # records told after (some of) their callbacks


LEVELS: dict[str, Chaos] = {
    "none": Chaos(
        lost_share=0.0,
        repeated_share=0.0,
        repeats_max=0,
        shuffle_reach=0.0,
        delayed_share=0.0,
        skew_max_s=0,
        batch_max=1,
        burst_share=0.0,
        burst_max=1,
        late_record_share=0.0,
    ),
    "mild": Chaos(
        lost_share=0.001,
        repeated_share=0.05,
        repeats_max=1,
        shuffle_reach=0.02,
        delayed_share=0.01,
        skew_max_s=2,
        batch_max=20,
        burst_share=0.005,
        burst_max=200,
        late_record_share=0.2,
    ),
    "wild": Chaos(
        lost_share=0.01,
        repeated_share=0.3,
        repeats_max=4,
        shuffle_reach=0.5,
        delayed_share=0.1,
        skew_max_s=90,
        batch_max=100,
        burst_share=0.02,
        burst_max=1000,
        late_record_share=0.6,
    ),
}


@dataclass(frozen=True, slots=True)
class Emission:
    """One telling of one fact. `position` orders it among all things told, 0 to 1."""

    fact: Fact
    position: float
    occur_time_s: int  # the fact's time with this copy's skew


def disturb(facts: Sequence[Fact], chaos: Chaos, chance: random.Random) -> list[Emission]:
    """Lose, repeat, delay, skew and reorder `facts`, given in their natural order."""
    told: list[Emission] = []
    for index, fact in enumerate(facts):
        # Only callbacks get lost: what the sender tells is answered, or told again.
        if fact.kind not in ENGAGEMENT_KINDS and chance.random() < chaos.lost_share:
            continue
        place = index / len(facts)
        first = _displace(place, chaos, chance)
        told.append(Emission(fact, first, _skew(fact, chaos, chance)))
        if chance.random() < chaos.repeated_share:
            for _ in range(chance.randint(1, chaos.repeats_max)):
                again = chance.uniform(min(first, 1.0), 1.0)
                told.append(Emission(fact, again, _skew(fact, chaos, chance)))
    told.sort(key=lambda emission: emission.position)
    return told


def told_facts(emissions: Iterable[Emission]) -> list[Fact]:
    """The distinct facts behind the emissions: what the truth is counted from."""
    return list({emission.fact.fact_id: emission.fact for emission in emissions}.values())


def batches(
    things: Sequence[T], chaos: Chaos, chance: random.Random, size_limit: int = 1_000
) -> Iterator[list[T]]:
    """Cut `things` into callbacks: mostly small, now and then a burst, none above `size_limit`."""
    start = 0
    while start < len(things):
        size_max = chaos.burst_max if chance.random() < chaos.burst_share else chaos.batch_max
        size = min(size_limit, max(1, round(size_max ** chance.random())))
        yield list(things[start : start + size])
        start += size


def _displace(place: float, chaos: Chaos, chance: random.Random) -> float:
    if chance.random() < chaos.delayed_share:
        return chance.uniform(place, 1.0)
    if not chaos.shuffle_reach:
        return place
    return min(1.0, max(0.0, place + chance.uniform(-chaos.shuffle_reach, chaos.shuffle_reach)))


def _skew(fact: Fact, chaos: Chaos, chance: random.Random) -> int:
    if fact.kind in _ORDERED_KINDS:
        return fact.occur_time_s
    return fact.occur_time_s + chance.randint(-chaos.skew_max_s, chaos.skew_max_s)
