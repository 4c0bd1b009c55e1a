"""How much is measured: a quick look, a full run, or as little as a test needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Amounts of one run. Rounds are medians' odd numbers."""

    rounds: int
    round_s: float  # of load on a door
    connections: int
    door_requests: int  # distinct requests, sent again and again
    dialect_rounds: int  # of each provider's format, each beside one of Meta's
    dialect_round_s: float
    dialect_requests: int
    messages: int  # in each round of status and analytics, four events each
    floor_batch: int  # events in one bare upsert
    report_calls: int
    visible_probes: int
    end_to_end_s: float  # of load on the whole


QUICK = Sizes(
    rounds=5,
    round_s=1.0,
    connections=64,
    door_requests=10_000,
    dialect_rounds=5,
    dialect_round_s=0.08,
    dialect_requests=300,
    messages=10_000,
    floor_batch=2_000,
    report_calls=300,
    visible_probes=40,
    end_to_end_s=6.0,
)
FULL = Sizes(
    rounds=7,
    round_s=5.0,
    connections=64,
    door_requests=40_000,
    dialect_rounds=7,
    dialect_round_s=2.0,
    dialect_requests=1_000,
    messages=50_000,
    floor_batch=2_000,
    report_calls=2_000,
    visible_probes=200,
    end_to_end_s=60.0,
)
TINY = Sizes(
    rounds=1,
    round_s=0.2,
    connections=4,
    door_requests=40,
    dialect_rounds=1,
    dialect_round_s=0.1,
    dialect_requests=5,
    messages=100,
    floor_batch=100,
    report_calls=5,
    visible_probes=2,
    end_to_end_s=0.3,
)
