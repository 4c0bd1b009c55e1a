"""The floors do the work that they stand for."""

from itertools import pairwise

import asyncpg
import pytest
from bluetick.v1 import event_pb2

from libs.bench.backlog import Mix, write_backlog
from libs.bench.floor_tables import copy_changes, drop, prepare, upsert_states


async def test_the_bare_upsert_ends_with_one_row_a_message(empty_database_url: str) -> None:
    """A floor that skips rows would make every service look slow."""
    backlog = write_backlog("demo", "bench", 50, Mix.EACH)
    connection = await asyncpg.connect(empty_database_url)
    try:
        await prepare(connection)
        await upsert_states(connection, backlog.payloads, batch_events=30)
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


@pytest.mark.parametrize(("mix", "each"), [(Mix.EACH, 4), (Mix.BATCH, 3), (Mix.REPEATS, 4)])
def test_a_backlog_has_as_many_events_as_it_says(mix: Mix, each: int) -> None:
    """The figures are per event: their number must be what the division says."""
    backlog = write_backlog("demo", "bench", 300, mix)

    events = [
        event for data in backlog.payloads for event in event_pb2.EventBatch.FromString(data).events
    ]
    assert backlog.event_count == len(events) == 300 * each
    assert len({event.message_key for event in events}) == 300
    assert sum(event.HasField("registration") for event in events) == 300
    assert len({(event.message_key, event.kind) for event in events}) == len(events)


def test_events_of_a_message_lie_together_only_where_they_should() -> None:
    """The two mixes cost differently: one must not be sold as the other."""

    def neighbours(mix: Mix) -> int:
        payloads = write_backlog("demo", "bench", 400, mix).payloads
        keys = [
            event.message_key
            for data in payloads
            for event in event_pb2.EventBatch.FromString(data).events
        ]
        return sum(one == other for one, other in pairwise(keys))

    assert neighbours(Mix.BATCH) == 2 * 400
    assert neighbours(Mix.EACH) < 40
