"""One run of the benchmarks, each part on its own or one after the other on one machine."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from libs.bench.dialects import measure_dialects
from libs.bench.door import measure_door
from libs.bench.growth import measure_stored
from libs.bench.hostile import measure_hostile
from libs.bench.lists import measure_lists
from libs.bench.machine import RunningMachine, ephemeral_machine
from libs.bench.pipeline import measure_pipeline
from libs.bench.records import measure_records
from libs.bench.report import measure_idle
from libs.bench.results import PartResult, Row, Skipped, Target, Unit
from libs.bench.sizes import Sizes
from libs.bench.whole import measure_end_to_end

_PACKAGES = ("grpcio", "protobuf", "msgspec", "uvicorn", "granian", "uvloop", "asyncpg", "nats-py")
_START_S = 8.0

Measure = Callable[[RunningMachine, Sizes], Sequence[Row | Skipped]]

# By name, in the order of a whole run: what leaves much behind comes last. Value: for people.
PARTS: dict[str, tuple[str, Measure]] = {
    "start": ("from nothing to ready", lambda machine, sizes: [start_row(machine)]),
    "idle": (
        "one callback at a time, and the report of a small campaign",
        lambda machine, sizes: asyncio.run(measure_idle(machine, sizes)),
    ),
    "records": (
        "records through the gateway",
        lambda machine, sizes: asyncio.run(measure_records(machine, sizes)),
    ),
    "pipeline": (
        "status and fold, each alone",
        lambda machine, sizes: asyncio.run(measure_pipeline(machine, sizes)),
    ),
    "lists": (
        "pages of lists, and campaigns as files",
        lambda machine, sizes: asyncio.run(measure_lists(machine, sizes)),
    ),
    "whole": (
        "a steady load on the whole",
        lambda machine, sizes: measure_end_to_end(machine, sizes),
    ),
    "door": ("callback door, beside bare ones", measure_door),
    "hostile": ("callback door, while somebody means it ill", measure_hostile),
    "dialects": ("callback door, every provider beside Meta", measure_dialects),
    "stored": (
        "growth with stored messages, and a large campaign",
        lambda machine, sizes: asyncio.run(measure_stored(machine, sizes)),
    ),
}


def run_benchmarks(
    sizes: Sizes,
    only: Sequence[str],
    say: Callable[[str], None],
    watch: Callable[[Row | Skipped], None],
) -> list[PartResult]:
    """Measure the parts in `only`, all if it is empty.

    A part that fails is told with its reason and has no rows; the others are measured all the same.

    Args:
        sizes: how much.
        only: names of `PARTS`.
        say: told what is going on.
        watch: told each row once it is there.

    Raises:
        MachineFailed: nothing could be started.
    """
    say("starting everything")
    parts = []
    with ephemeral_machine() as machine:
        for name, (what, measure) in PARTS.items():
            if not only or name in only:
                say(what)
                parts.append(_measure(name, measure, machine, sizes, watch))
        say("stopping")
    return parts


def start_row(machine: RunningMachine) -> Row:
    """From nothing to ready."""
    return Row(
        path="up: from nothing to ready",
        unit=Unit.SECONDS,
        ours=machine.start_s,
        target=Target(_START_S),
    )


def machine_facts() -> dict[str, str]:
    """What the figures depend on."""
    facts = {
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    return facts | {name: version(name) for name in _PACKAGES}


def _measure(
    name: str,
    measure: Measure,
    machine: RunningMachine,
    sizes: Sizes,
    watch: Callable[[Row | Skipped], None],
) -> PartResult:
    part = PartResult(name)
    started = time.monotonic()
    try:
        for one in measure(machine, sizes):
            watch(one)
            if isinstance(one, Row):
                part.rows.append(one)
            else:
                part.skipped.append(one)
    except Exception as error:
        # Whatever it was: an hour of other parts is not lost with it, and the run has failed.
        part.failure = f"{type(error).__name__}: {error}"
    part.seconds = time.monotonic() - started
    return part


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
