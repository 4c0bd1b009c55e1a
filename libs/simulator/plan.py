"""The order in which a campaign is told: records, engagements and callbacks, mixed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from libs.simulator.chaos import Chaos, Emission, batches, disturb, told_facts
from libs.simulator.facts import ENGAGEMENT_KINDS, Fact, FactKind, Scenario, SimulatedMessage
from libs.simulator.records import earlier_record

RECORDS_MIN, RECORDS_MAX = 500, 1000  # records in one RecordMessages, which takes 1,000
ENGAGEMENTS_MAX = 200


@dataclass(frozen=True, slots=True)
class TellRecords:
    """One RecordMessages."""

    position: float
    messages: tuple[SimulatedMessage, ...]


@dataclass(frozen=True, slots=True)
class TellEngagements:
    """One RecordEngagements."""

    position: float
    emissions: tuple[Emission, ...]


@dataclass(frozen=True, slots=True)
class TellCallback:
    """One HTTP callback."""

    position: float
    emissions: tuple[Emission, ...]
    is_fallback: bool = False  # of the provider to which messages fall back


Step = TellRecords | TellEngagements | TellCallback


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything to be told, in order, and what is left to be counted of it."""

    steps: tuple[Step, ...]
    told: tuple[Fact, ...]  # distinct facts
    callback_count: int
    update_count: int  # updates in callbacks, repeats included
    repeat_count: int
    lost_count: int


def plan_telling(
    scenario: Scenario,
    chaos: Chaos,
    chance: random.Random,
    *,
    by_sender: frozenset[FactKind] = ENGAGEMENT_KINDS,
    updates_max: int = 1_000,
    fallback_by_sender: frozenset[FactKind] = ENGAGEMENT_KINDS,
    fallback_updates_max: int = 1,
) -> Plan:
    """Decide what is told when. Lost facts are in no step and not in `told`.

    Args:
        scenario: what happened.
        chaos: how wild the telling gets.
        chance: source of it.
        by_sender: facts that the sender's own systems tell.
        updates_max: updates in one callback.
        fallback_by_sender: the same of messages that fell back to another provider.
        fallback_updates_max: the same of its callbacks.
    """
    emissions = disturb(scenario.facts, chaos, chance)
    told = told_facts(emissions)
    of_sender = (by_sender, fallback_by_sender)
    callbacks, engagements = list[Emission](), list[Emission]()
    for one in emissions:
        is_told_by_sender = one.fact.kind in of_sender[one.fact.message.is_fallback]
        (engagements if is_told_by_sender else callbacks).append(one)
    steps: list[Step] = list(_record_steps(scenario.messages, chaos, chance))
    for start in range(0, len(engagements), ENGAGEMENTS_MAX):
        part = engagements[start : start + ENGAGEMENTS_MAX]
        steps.append(TellEngagements(part[0].position, tuple(part)))
    limits = (updates_max, fallback_updates_max)
    callback_steps = [
        TellCallback(part[0].position, tuple(part), is_fallback)
        for is_fallback, is_part in ((False, False), (False, True), (True, False), (True, True))
        for part in batches(
            [one for one in callbacks if _door(one) == (is_fallback, is_part)],
            chaos,
            chance,
            # Who reports parts sends one report at a time.
            1 if is_part else limits[is_fallback],
        )
    ]
    steps += callback_steps
    steps.sort(key=lambda step: step.position)
    return Plan(
        steps=tuple(steps),
        told=tuple(told),
        callback_count=len(callback_steps),
        update_count=len(callbacks),
        repeat_count=len(emissions) - len(told),
        lost_count=len(scenario.facts) - len(told),
    )


def _door(emission: Emission) -> tuple[bool, bool]:
    """Whether it is told by the provider of fallbacks, and whether it is of a part."""
    return emission.fact.message.is_fallback, emission.fact.part > 0


def _record_steps(
    messages: Sequence[SimulatedMessage], chaos: Chaos, chance: random.Random
) -> list[TellRecords]:
    """Records of a campaign: at the very start, or anywhere among and after the callbacks."""
    recorded = [message for message in messages if message.is_recorded]
    earlier = [record for message in recorded if (record := earlier_record(message))]
    again = [message for message in recorded if chance.random() < chaos.repeated_share / 10]
    chance.shuffle(again)
    steps: list[TellRecords] = []
    for records in (earlier, recorded, again):
        start = 0
        while start < len(records):
            size = chance.randint(RECORDS_MIN, RECORDS_MAX)
            is_late = chance.random() < chaos.late_record_share
            position = chance.uniform(0.0, 1.05) if is_late else -1.0
            steps.append(TellRecords(position, tuple(records[start : start + size])))
            start += size
    return steps
