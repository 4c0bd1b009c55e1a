"""One run of all benchmarks on one machine that lives as long as the run."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import psutil

from libs.bench.dialects import measure_dialects
from libs.bench.door import measure_door
from libs.bench.machine import RunningMachine, ephemeral_machine
from libs.bench.pipeline import measure_pipeline
from libs.bench.results import Row
from libs.bench.sizes import Sizes
from libs.bench.whole import measure_end_to_end, measure_report, measure_visible, start_row

_PACKAGES = ("grpcio", "protobuf", "msgspec", "uvicorn", "uvloop", "asyncpg", "nats-py")
_PAST_S = 6 * 3600  # callbacks tell of a campaign of some hours ago


def run_benchmarks(
    sizes: Sizes, say: Callable[[str], None], watch: Callable[[Row], None]
) -> list[Row]:
    """Measure every path; `say` is told what is going on, `watch` each row once it is there.

    Raises:
        MachineFailed: nothing could be started.
        NotDrained, TimeoutError: a service did not do its work at all.
    """
    say("starting everything")
    rows: list[Row] = []
    with ephemeral_machine() as machine:
        for name, measure in _measurements(machine, sizes):
            say(name)
            for row in measure():
                rows.append(row)
                watch(row)
        say("stopping")
    return rows


def machine_facts() -> dict[str, str]:
    """What the figures depend on."""
    facts = {
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return facts | {name: version(name) for name in _PACKAGES}


def _measurements(
    machine: RunningMachine, sizes: Sizes
) -> list[tuple[str, Callable[[], list[Row]]]]:
    # The doors come last: what they leave in the stream would be others' work.
    start_time_s = int(time.time()) - _PAST_S
    return [
        ("start", lambda: [start_row(machine)]),
        ("one callback at a time", lambda: asyncio.run(measure_visible(machine, sizes))),
        (
            "report, direct and through the gateway",
            lambda: asyncio.run(measure_report(machine, sizes)),
        ),
        ("status and analytics", lambda: asyncio.run(measure_pipeline(machine, sizes))),
        (
            "callbacks through the whole",
            lambda: asyncio.run(measure_end_to_end(machine, sizes, start_time_s)),
        ),
        ("callback door, beside a bare one", lambda: measure_door(machine, sizes, start_time_s)),
        (
            "callback door, every provider beside Meta",
            lambda: measure_dialects(machine, sizes, start_time_s),
        ),
    ]
