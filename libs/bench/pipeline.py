"""Status and analytics: events to states, changes to cells; floors in turns."""

from __future__ import annotations

import time
from statistics import median

import asyncpg
import nats
from nats.js import JetStreamContext

from libs.bench.backlog import (
    EVENTS_PER_MESSAGE,
    changes_since,
    drain,
    event_batches,
    last_sequence,
    publish_again,
    publish_events,
)
from libs.bench.floor_tables import copy_changes, drop, prepare, upsert_states
from libs.bench.machine import RunningMachine
from libs.bench.results import Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM

CAMPAIGN = "bench-pipeline"


class _Samples:
    """Per round: events or changes a second, and CPU microseconds for each."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.floor: list[float] = []
        self.cpu_us: list[float] = []
        self.postgres_cpu_us: list[float] = []

    def row(self, path: str, floor_name: str, target: Target) -> Row:
        return Row(
            path=path,
            unit=Unit.PER_SECOND,
            ours=median(self.ours),
            floor=median(self.floor),
            floor_name=floor_name,
            target=target,
            notes={
                "cpu_us_each": median(self.cpu_us),
                "postgres_cpu_us_each": median(self.postgres_cpu_us),
            },
        )


async def measure_pipeline(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Publish events and time status, with analytics behind it; then time analytics alone.

    Analytics gets what status made of the events once more, as those of another campaign. Nothing
    is paused: a paused consumer gets its messages again only after the broker's patience.

    Raises:
        NotDrained: a service did not keep up at all.
    """
    status, analytics = _Samples(), _Samples()
    broker = await nats.connect(machine.nats)
    database = await asyncpg.connect(machine.postgres)
    try:
        stream = broker.jetstream()
        await prepare(database)
        for _ in range(sizes.rounds):
            await _round(machine, sizes, stream, database, status, analytics)
        await drop(database)
    finally:
        await database.close()
        await broker.close()
    return [
        status.row(
            "status: events to states, published",
            "bare unnest upsert of the same events",
            Target(0.5, of_floor=True),
        ),
        analytics.row(
            "analytics: changes to cells",
            "bare COPY of as many rows, no index",
            Target(100_000),
        ),
    ]


async def _round(
    machine: RunningMachine,
    sizes: Sizes,
    stream: JetStreamContext,
    database: asyncpg.Connection,
    status: _Samples,
    analytics: _Samples,
) -> None:
    name = f"{time.time_ns()}"
    batches = event_batches(machine.tenant, CAMPAIGN, sizes.messages, name)
    events = sizes.messages * EVENTS_PER_MESSAGE
    seconds = await upsert_states(database, batches, sizes.floor_batch)
    status.floor.append(events / seconds)
    before = await last_sequence(stream, CHANGES_STREAM)
    watch = _Watch(machine, "status")
    await publish_events(stream, batches)
    await drain(stream, EVENTS_STREAM, "status")
    watch.stop(status, events)
    # Status publishes before it acknowledges, so that all changes are there now.
    found = await changes_since(stream, before)
    await drain(stream, CHANGES_STREAM, "analytics")
    watch = _Watch(machine, "analytics")
    changes = await publish_again(stream, found, f"{CAMPAIGN}-{name}")
    await drain(stream, CHANGES_STREAM, "analytics")
    watch.stop(analytics, changes)
    seconds = await copy_changes(database, changes)
    analytics.floor.append(changes / seconds)


class _Watch:
    """Wall and CPU time of one service and of the database, from now on."""

    def __init__(self, machine: RunningMachine, service: str) -> None:
        self._machine = machine
        self._service = service
        self._started = time.perf_counter()
        self._cpu_s = self._read()

    def stop(self, samples: _Samples, count: int) -> None:
        """Add a sample for `count` things."""
        seconds = time.perf_counter() - self._started
        service_s, postgres_s = (
            now - then for now, then in zip(self._read(), self._cpu_s, strict=True)
        )
        samples.ours.append(count / seconds)
        samples.cpu_us.append(service_s / count * 1e6)
        samples.postgres_cpu_us.append(postgres_s / count * 1e6)

    def _read(self) -> tuple[float, float]:
        has_postgres = "postgres" in self._machine.pids
        postgres_s = self._machine.cpu_s("postgres") if has_postgres else 0.0
        return self._machine.cpu_s(self._service), postgres_s
