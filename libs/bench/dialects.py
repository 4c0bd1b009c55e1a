"""Every provider's format at the callback door, beside Meta's: what a dialect costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from libs.bench.door import LoadProcess, Requests, load_process, requests_by
from libs.bench.machine import RunningMachine
from libs.bench.results import Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.embedded.demo_accounts import ACCOUNT, signing_secret
from libs.simulator.facts import Channel
from libs.simulator.provider import Subscription
from libs.simulator.registry import PROVIDERS, every_channel

_META = ("meta", Channel.WHATSAPP)
_BATCH = 100
_WITHIN = 0.8  # of Meta's figure


def measure_dialects(machine: RunningMachine, sizes: Sizes, start_time_s: int) -> list[Row]:
    """Measure one status a request of every provider, and a hundred where it sends so many.

    Each short round has one of Meta's before it, so that a slow moment of the machine slows both;
    the services behind are paused meanwhile. Figures are per CPU second of the door alone.
    """
    with machine.paused(("status", "analytics", "gateway")), load_process() as load:
        door = _Door(machine, sizes, load)
        return [row for updates in (1, _BATCH) for row in _rows(door, sizes, updates, start_time_s)]


@dataclass(frozen=True, slots=True)
class _Door:
    """The door of a running machine, and who loads it."""

    machine: RunningMachine
    sizes: Sizes
    load: LoadProcess

    def statuses_per_cpu_s(self, requests: Requests) -> float:
        """Load it for one round; statuses for each second of the door's CPU time."""
        pid = self.machine.pids["ingest"]
        before = cpu_s(pid)
        answer = self.load.send(
            self.machine.ingest,
            requests,
            seconds=self.sizes.dialect_round_s,
            # Statuses under way stay within what a round takes.
            connections=max(1, self.sizes.connections // (8 if requests.updates > 1 else 1)),
            rate=0.0,
        )
        return answer.answered * requests.updates / max(cpu_s(pid) - before, 1e-6)


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process, as exact as the system has them."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, ValueError):
        # Another system, or a thread that ended: in steps of ten milliseconds.
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


def _rows(door: _Door, sizes: Sizes, updates: int, start_time_s: int) -> Iterator[Row]:
    with ExitStack() as stack:
        given = _requests(stack, door.machine, sizes, updates, start_time_s)
        metas = given.pop(_META)
        door.statuses_per_cpu_s(metas)
        for (name, channel), requests in given.items():
            pairs = [
                (door.statuses_per_cpu_s(metas), door.statuses_per_cpu_s(requests))
                for _ in range(sizes.dialect_rounds)
            ]
            meta = median(of_meta for of_meta, _ in pairs)
            share = median(own / of_meta if of_meta else 0.0 for of_meta, own in pairs)
            yield _row(name, channel, updates, meta * share, meta)


def _requests(
    stack: ExitStack, machine: RunningMachine, sizes: Sizes, updates: int, start_time_s: int
) -> dict[tuple[str, Channel], Requests]:
    count = max(1, sizes.dialect_requests // (10 if updates > 1 else 1))
    given = {}
    for name, channel in every_channel():
        path = f"/callbacks/{name}/{ACCOUNT}"
        subscription = Subscription(
            url=machine.ingest + path, secret=signing_secret(name), channel=channel
        )
        provider = PROVIDERS[name](subscription)
        if provider.updates_max >= updates:
            written = requests_by(provider, path, updates, count, start_time_s)
            given[name, channel] = stack.enter_context(written)
    return given


def _row(name: str, channel: Channel, updates: int, ours: float, meta: float) -> Row:
    return Row(
        path=f"door: {name}, {channel.value}, {updates} a request",
        unit=Unit.PER_CPU_SECOND,
        ours=ours,
        floor=meta,
        floor_name="Meta's format",
        target=Target(_WITHIN, of_floor=True),
    )
