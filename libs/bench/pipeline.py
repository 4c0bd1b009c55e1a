"""Status and analytics, each alone: a backlog drained against the clock, floors in turns.

While one works the other's consumer is paused, and so is its own while the backlog is published:
nobody's publishing or copying is in the timed part.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import asyncpg

from libs.bench.backlog import Backlog, Mix, count_changes, write_backlog
from libs.bench.broker_control import BrokerControl, broker_control
from libs.bench.floor_tables import copy_changes, drop, prepare, upsert_states
from libs.bench.machine import RunningMachine
from libs.bench.numbers import NumbersDiffer, require_numbers, wait_for_numbers
from libs.bench.processes import mean_of, microseconds_each
from libs.bench.results import Floor, Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM, EVENTS_SUBJECT
from libs.simulator.gateway import Gateway

# Events a second, by how they lie; or else so much CPU a change over all processes.
_TARGETS = {Mix.EACH: 43_000, Mix.BATCH: 50_000}
_CPU_US_COMPILED, _CPU_US_PLAIN = 24, 32
_FOLD_TARGET = 200_000
_WAIT_MAX_S = 300.0


@dataclass(slots=True)
class Samples:
    """What the rounds of one mix, or of the fold, came to."""

    rate: list[float] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)
    changes_per_event: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Drained:
    """One backlog worked off by status; its changes wait on their stream."""

    seconds: float
    cpu: dict[str, float]  # seconds, by process
    publish_s: float
    changes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A running machine with its levers."""

    machine: RunningMachine
    control: BrokerControl
    gateway: Gateway
    database: asyncpg.Connection


@asynccontextmanager
async def bench_of(machine: RunningMachine) -> AsyncIterator[Bench]:
    """The levers of a machine, and the tables of the floors, until the block ends."""
    async with (
        broker_control(machine.nats) as control,
        Gateway(machine.gateway, machine.api_key) as gateway,
    ):
        database = await asyncpg.connect(machine.postgres)
        try:
            await prepare(database)
            yield Bench(machine, control, gateway, database)
            await drop(database)
        finally:
            await database.close()


async def measure_pipeline(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Drain backlogs of every mix through status, and the changes of each through analytics.

    Raises:
        NotDrained: a service did not keep up at all.
        NumbersDiffer: the reports do not say what was told.
    """
    samples = {mix: Samples() for mix in Mix}
    fold = Samples()
    async with bench_of(machine) as bench:
        for number in range(sizes.rounds):
            told_us = time.time_ns() // 1_000
            campaign_id = f"bench-pipeline-{told_us}-{number}"
            for mix in Mix:
                name = campaign_id if mix is not Mix.BATCH else f"{campaign_id}-batch"
                backlog = write_backlog(machine.tenant, name, sizes.messages, mix, told_us=told_us)
                await _round(bench, sizes, mix, backlog, samples[mix], fold)
    rows = [row for mix in Mix for row in _status_rows(machine, mix, samples[mix])]
    return [*rows, _fold_row(fold)]


async def drain_status(bench: Bench, backlog: Backlog) -> Drained:
    """Publish a backlog, then have status work it off while analytics is given nothing.

    The changes wait until the caller's block with `CHANGES_STREAM` paused ends.
    """
    before = await bench.control.last_sequence(CHANGES_STREAM)
    async with bench.control.paused(EVENTS_STREAM) as pause:
        started = time.monotonic()
        await bench.control.publish(EVENTS_SUBJECT, backlog.payloads)
        publish_s = time.monotonic() - started
        watch = bench.machine.watch_cpu()
    seconds = await bench.control.drain_after(pause, _WAIT_MAX_S)
    # Status publishes before it acknowledges: all changes are there now.
    return Drained(seconds, watch.stop(), publish_s, await count_changes(bench.control, before))


async def _round(
    bench: Bench, sizes: Sizes, mix: Mix, backlog: Backlog, status: Samples, fold: Samples
) -> None:
    seconds = await upsert_states(bench.database, backlog.payloads, sizes.floor_batch)
    status.floor.append(backlog.event_count / seconds)
    await bench.control.drain(EVENTS_STREAM)
    await bench.control.drain(CHANGES_STREAM)
    async with bench.control.paused(CHANGES_STREAM) as pause:
        drained = await drain_status(bench, backlog)
        if mix is Mix.REPEATS and drained.changes:
            raise NumbersDiffer(f"repeats made {drained.changes} changes, must make none")
        watch = bench.machine.watch_cpu()
    if drained.changes:
        seconds = await bench.control.drain_after(pause, _WAIT_MAX_S)
        fold.rate.append(drained.changes / seconds)
        fold.cpu_us.append(microseconds_each(watch.stop(), drained.changes))
        fold.floor.append(drained.changes / await copy_changes(bench.database, drained.changes))
    truths = {backlog.campaign_id: backlog.truth}
    await wait_for_numbers(bench.gateway, truths, _WAIT_MAX_S, bench.control.is_idle)
    await require_numbers(bench.gateway, truths)
    # Events that were merged into one change are one where the row is about changes.
    count = drained.changes if mix is Mix.EACH else backlog.event_count
    status.rate.append(count / drained.seconds)
    status.published.append(backlog.event_count / drained.publish_s)
    status.changes_per_event.append(drained.changes / backlog.event_count)
    status.cpu_us.append(microseconds_each(drained.cpu, count))


def _status_rows(machine: RunningMachine, mix: Mix, samples: Samples) -> list[Row]:
    cpu_us = mean_of(samples.cpu_us)
    rows = [
        Row(
            path=f"status: {mix.value}",
            unit=Unit.PER_SECOND,
            ours=median(samples.rate),
            floors=(
                Floor("bare unnest upsert of the same events", median(samples.floor)),
                Floor("the broker alone takes them", median(samples.published)),
            ),
            target=Target(_TARGETS[mix]) if mix in _TARGETS else None,
            cpu_us=cpu_us,
            per="change" if mix is Mix.EACH else "event",
            notes={"changes_per_event": median(samples.changes_per_event)},
        )
    ]
    if mix is Mix.EACH:
        is_compiled = machine.is_compiled("status")
        rows.append(
            Row(
                path="status: CPU a change, services and servers"
                + (", compiled" if is_compiled else ", nothing compiled"),
                unit=Unit.MICROSECONDS,
                # We only look whether it is done; that is no part of the work.
                ours=sum(us for name, us in cpu_us.items() if name != "bench"),
                target=Target(_CPU_US_COMPILED if is_compiled else _CPU_US_PLAIN),
                notes={"is_compiled": float(is_compiled)},
            )
        )
    return rows


def _fold_row(samples: Samples) -> Row:
    return Row(
        path="fold: changes to cells",
        unit=Unit.PER_SECOND,
        ours=median(samples.rate),
        floors=(Floor("bare COPY of as many rows, no index", median(samples.floor)),),
        target=Target(_FOLD_TARGET),
        cpu_us=mean_of(samples.cpu_us),
        per="change",
    )
