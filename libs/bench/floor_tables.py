"""The least that a database can do with the same events: a bare upsert, a bare COPY."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import asyncpg
from bluetick.v1 import event_pb2

_SCHEMA = "bench"
_CREATE = f"""
CREATE SCHEMA IF NOT EXISTS {_SCHEMA};
CREATE TABLE IF NOT EXISTS {_SCHEMA}.states (
    message_key bytea PRIMARY KEY,
    state smallint NOT NULL,
    state_time_us bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS {_SCHEMA}.changes (
    tenant_id text NOT NULL,
    message_key bytea NOT NULL,
    version bigint NOT NULL,
    campaign_id text NOT NULL,
    message_ref text NOT NULL,
    provider_message_id text NOT NULL,
    state smallint NOT NULL,
    accept_time_us bigint NOT NULL,
    deliver_time_us bigint NOT NULL,
    read_time_us bigint NOT NULL,
    change_time_us bigint NOT NULL,
    person_key bytea NOT NULL
);
"""
_UPSERT = f"""
INSERT INTO {_SCHEMA}.states AS had (message_key, state, state_time_us)
SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bigint[])
ON CONFLICT (message_key) DO UPDATE
SET state = EXCLUDED.state, state_time_us = EXCLUDED.state_time_us
WHERE had.state < EXCLUDED.state
RETURNING had.message_key
"""  # noqa: S608 (a constant of this file)

State = tuple[bytes, int, int]


async def prepare(connection: asyncpg.Connection) -> None:
    """Make the tables of the floors, apart from the services' own."""
    await connection.execute(_CREATE)


async def drop(connection: asyncpg.Connection) -> None:
    """Remove them again."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")


async def upsert_states(
    connection: asyncpg.Connection, batches: Iterable[bytes], batch_events: int
) -> float:
    """Merge the events by message and upsert them in batches; returns the seconds it took."""
    events = [event for data in batches for event in event_pb2.EventBatch.FromString(data).events]
    merged = [
        _merge(events[start : start + batch_events])
        for start in range(0, len(events), batch_events)
    ]
    await connection.execute(f"TRUNCATE {_SCHEMA}.states")
    started = time.perf_counter()
    for rows in merged:
        keys, states, times = zip(*rows, strict=True)
        await connection.fetch(_UPSERT, keys, states, times)
    return time.perf_counter() - started


async def copy_changes(connection: asyncpg.Connection, count: int) -> float:
    """Copy as many rows as there were changes into a table without index; returns seconds."""
    keys = [index.to_bytes(16, "big") for index in range(count)]
    rows = [
        ("demo", key, 1, "bench", key.hex(), key.hex(), 5, *(1_785_900_000_000_000,) * 4, key)
        for key in keys
    ]
    await connection.execute(f"TRUNCATE {_SCHEMA}.changes")
    started = time.perf_counter()
    await connection.copy_records_to_table("changes", schema_name=_SCHEMA, records=rows)
    return time.perf_counter() - started


def _merge(events: Sequence[event_pb2.Event]) -> list[State]:
    """The highest state of each message, sorted by key as whoever fears deadlocks does."""
    best: dict[bytes, State] = {}
    for event in events:
        state = (event.message_key, int(event.kind), event.occur_time_us)
        if event.message_key not in best or best[event.message_key][1] < state[1]:
            best[event.message_key] = state
    return sorted(best.values())
