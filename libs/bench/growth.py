"""Many stored messages: what an event costs then, and a report over ten million of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

from libs.bench.backlog import Backlog, Mix, write_backlog
from libs.bench.machine import RunningMachine
from libs.bench.numbers import NumbersDiffer, require_numbers, wait_for_numbers
from libs.bench.pipeline import Bench, bench_of, drain_status
from libs.bench.processes import mean_of, microseconds_each
from libs.bench.report import report_rows, time_reports
from libs.bench.results import Floor, Row, Skipped, Target, Unit
from libs.bench.sizes import Sizes
from libs.bench.stored import StoredMessages
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM

_GROWTH_TIMES = 1.3
_WAIT_MAX_S = 900.0
_PEERS = ("duckdb", "chdb")
_PEER_MAX_S = 900.0


async def measure_stored(machine: RunningMachine, sizes: Sizes) -> list[Row | Skipped]:
    """Cost of an event with few and with many messages stored, and the large campaign's report.

    Raises:
        NotDrained: a service did not keep up at all.
        NumbersDiffer: the reports do not say what was told.
    """
    if not sizes.stored_many:
        return [Skipped("growth and the large campaign", "only with --full, or --stored")]
    async with bench_of(machine) as bench:
        stored = StoredMessages(bench.control, machine.tenant, sizes.campaign_messages)
        seconds = await stored.grow_to(sizes.stored_few)
        few = await _cost(bench, sizes)
        seconds += await stored.grow_to(sizes.campaign_messages)
        rows: list[Row | Skipped] = list(await _campaign_rows(bench, sizes, stored))
        seconds += await stored.grow_to(sizes.stored_many)
        many = await _cost(bench, sizes)
        await require_numbers(bench.gateway, stored.truth())
    return [
        _growth_row(sizes, few, many),
        Row(
            path=f"stored: {sizes.stored_many:,} messages brought in, two events each",
            unit=Unit.PER_SECOND,
            ours=sizes.stored_many / seconds,
        ),
        *rows,
    ]


async def _cost(bench: Bench, sizes: Sizes) -> dict[str, float]:
    """CPU microseconds a change by process, status and fold together; new messages."""
    rounds = []
    for number in range(sizes.rounds):
        name = f"bench-growth-{time.time_ns()}-{number}"
        backlog = write_backlog(bench.machine.tenant, name, sizes.messages, Mix.EACH)
        rounds.append(await _drain_all(bench, backlog))
    return mean_of(rounds)


async def _drain_all(bench: Bench, backlog: Backlog) -> dict[str, float]:
    await bench.control.drain(EVENTS_STREAM)
    await bench.control.drain(CHANGES_STREAM)
    async with bench.control.paused(CHANGES_STREAM):
        drained = await drain_status(bench, backlog)
        watch = bench.machine.watch_cpu()
    await bench.control.drain(CHANGES_STREAM, _WAIT_MAX_S)
    fold = watch.stop()
    truths = {backlog.campaign_id: backlog.truth}
    await wait_for_numbers(bench.gateway, truths, _WAIT_MAX_S, bench.control.is_idle)
    both = {name: drained.cpu[name] + fold[name] for name in fold}
    return microseconds_each(both, drained.changes)


def _growth_row(sizes: Sizes, few: dict[str, float], many: dict[str, float]) -> Row:
    return Row(
        path=f"growth: CPU a change with {sizes.stored_many:,} messages stored, "
        f"as a multiple of that with {sizes.stored_few:,}",
        unit=Unit.TIMES,
        ours=_work(many) / _work(few),
        target=Target(_GROWTH_TIMES),
        cpu_us=many,
        per="change",
        notes={f"few_{name}_us": value for name, value in few.items()}
        | {"few_us": _work(few), "many_us": _work(many)},
    )


def _work(cpu_us: dict[str, float]) -> float:
    """What services and servers took; we only look whether they are done."""
    return sum(us for name, us in cpu_us.items() if name != "bench")


async def _campaign_rows(bench: Bench, sizes: Sizes, stored: StoredMessages) -> list[Row | Skipped]:
    truths = stored.truth()
    await wait_for_numbers(bench.gateway, truths, _WAIT_MAX_S, bench.control.is_idle)
    times = await time_reports(bench.machine, stored.campaign_id, sizes.report_calls)
    peers, skipped = [], []
    expected = truths[stored.campaign_id].counters
    for name in _PEERS:
        found = await asyncio.to_thread(_ask_peer, name, sizes.campaign_messages)
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        for counter in ("targeted", "delivered", "pending"):
            if found[counter] != expected[counter]:
                raise NumbersDiffer(f"{name}: {counter} is {found[counter]}: not the same facts")
        peers.append(Floor(f"{name} that scans the facts", found["p50_ms"]))
    rows = report_rows(f"report of a campaign of {sizes.campaign_messages:,}", times, tuple(peers))
    return [*rows, *skipped]


def _ask_peer(name: str, messages: int) -> dict[str, float] | Skipped:
    """Have a database scan the facts in a process of its own."""
    path = f"{name} scanning the facts of {messages:,} messages"
    done = subprocess.run(  # noqa: S603 (our own interpreter and module)
        [sys.executable, "-m", "libs.bench.peers", name, str(messages)],
        capture_output=True,
        text=True,
        timeout=_PEER_MAX_S,
        check=False,
    )
    if done.returncode == 2:
        return Skipped(path, f"the package {name} is not installed")
    if done.returncode:
        return Skipped(path, f"it failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found
