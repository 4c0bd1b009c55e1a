"""The floors do the work that they stand for."""

import asyncpg
from bluetick.v1 import event_pb2

from libs.bench.backlog import EVENTS_PER_MESSAGE, event_batches
from libs.bench.floor_tables import copy_changes, drop, prepare, upsert_states


async def test_the_bare_upsert_ends_with_one_row_a_message(empty_database_url: str) -> None:
    """A floor that skips rows would make every service look slow."""
    batches = event_batches("demo", "bench", 50, "round")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await prepare(connection)
        await upsert_states(connection, batches, batch_events=30)
        rows = await connection.fetch("SELECT DISTINCT state FROM bench.states")
        count = await connection.fetchval("SELECT count(*) FROM bench.states")
        await copy_changes(connection, 70)
        copied = await connection.fetchval("SELECT count(*) FROM bench.changes")
        await drop(connection)
    finally:
        await connection.close()

    assert count == 50
    assert [row["state"] for row in rows] == [5]
    assert copied == 70


def test_the_backlog_tells_four_things_of_every_message() -> None:
    """The figures are per event: their number must be what the division says."""
    batches = event_batches("demo", "bench", 300, "round")

    events = [event for data in batches for event in event_pb2.EventBatch.FromString(data).events]
    assert len(events) == 300 * EVENTS_PER_MESSAGE
    assert len({event.message_key for event in events}) == 300
    assert sum(event.HasField("registration") for event in events) == 300
