"""How much is measured: a quick look, a full run, or as little as a test needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Amounts of one run. Rounds are medians' odd numbers; 0 messages: the part is skipped."""

    rounds: int
    round_s: float  # of load on a door
    steady_door_s: float  # at the rate that is promised of a door
    connections: int
    dialect_rounds: int  # of each provider's format, each beside one of Meta's
    dialect_round_s: float
    dialect_requests: int  # at most, of each provider's format
    hostile_s: float  # of good callbacks beside each way to occupy the door
    hostile_connections: int
    messages: int  # in each round of status and fold
    floor_batch: int  # events in one bare upsert
    records: int
    report_calls: int
    visible_probes: int
    rate: float  # callbacks a second on the whole
    whole_s: float
    stored_few: int  # messages stored when growth is measured first
    stored_many: int  # and when it is measured again
    campaign_messages: int  # in the one large campaign; of those stored
    list_messages: int  # in the campaign that is listed and exported


QUICK = Sizes(
    rounds=3,
    round_s=0.5,
    steady_door_s=3.0,
    connections=64,
    dialect_rounds=3,
    dialect_round_s=0.08,
    dialect_requests=2_000,
    hostile_s=3.0,
    hostile_connections=4_000,
    messages=15_000,
    floor_batch=2_000,
    records=10_000,
    report_calls=300,
    visible_probes=30,
    rate=3_000.0,
    whole_s=8.0,
    stored_few=0,
    stored_many=0,
    campaign_messages=0,
    list_messages=20_000,
)
FULL = Sizes(
    rounds=5,
    round_s=3.0,
    steady_door_s=30.0,
    connections=64,
    dialect_rounds=5,
    dialect_round_s=0.5,
    dialect_requests=30_000,
    hostile_s=20.0,
    hostile_connections=4_000,
    messages=50_000,
    floor_batch=2_000,
    records=100_000,
    report_calls=2_000,
    visible_probes=200,
    rate=10_000.0,
    whole_s=300.0,
    stored_few=1_000_000,
    stored_many=20_000_000,
    campaign_messages=10_000_000,
    list_messages=1_000_000,
)
TINY = Sizes(
    rounds=1,
    round_s=0.2,
    steady_door_s=0.3,
    connections=4,
    dialect_rounds=1,
    dialect_round_s=0.02,
    dialect_requests=20,
    hostile_s=0.3,
    hostile_connections=32,
    messages=100,
    floor_batch=100,
    records=1_000,
    report_calls=5,
    visible_probes=2,
    rate=200.0,
    whole_s=1.0,
    stored_few=200,
    stored_many=1_000,
    campaign_messages=600,
    list_messages=600,
)
