"""The callback door beside bare ones: the same work, in turns, in the same run.

The consumers behind are paused meanwhile. Every status answered 200 must lie on the stream in the
end: a door that answers without keeping is a failed run.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from statistics import median

from bluetick.v1 import event_pb2

from libs.bench.broker_control import broker_control
from libs.bench.floor_door import FloorServer
from libs.bench.load_door import Answer
from libs.bench.load_plan import LoadPlan
from libs.bench.load_process import LoadProcess, load_process
from libs.bench.machine import RunningMachine
from libs.bench.meta_bodies import MetaBodies
from libs.bench.numbers import NumbersDiffer
from libs.bench.processes import cpu_s, mean_of, microseconds_each
from libs.bench.request_files import RequestFile, request_file
from libs.bench.results import Floor, Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.embedded.demo_accounts import ACCOUNT, signing_secret
from libs.runtime.broker import EVENTS_STREAM
from libs.simulator.facts import STATUS_KINDS

SECRET = signing_secret("meta")
PATH = f"/callbacks/meta/{ACCOUNT}"
_BATCH = 100
# More than our door answers in a second; a round ends early where they run out.
_PER_S_MAX = {1: 40_000, _BATCH: 3_000}
# Half of a bare uvicorn (0.71 of it would be half of granian's own protocol); statuses a second.
_TARGETS = {1: Target(0.5, of_floor=True), _BATCH: Target(200_000)}
_STEADY_RATE = 4_000  # statuses a second that a number with 1,000 messages a second brings
_STEADY_P50_MS, _STEADY_P99_MS = 25, 100


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one door."""

    answer: Answer
    statuses: int
    cpu_us: dict[str, float]  # for each status, by process

    @property
    def statuses_per_s(self) -> float:
        """Statuses answered 200, a second."""
        return self.statuses / self.answer.seconds


def meta_requests(name: str, updates: int, count: int) -> Iterator[bytes]:
    """`count` signed requests of Meta's with `updates` statuses each; no status comes twice."""
    bodies = MetaBodies(SECRET, PATH)
    start_time_s = int(time.time()) - 3600
    plan = LoadPlan(name=name, campaigns=1, start_time_s=start_time_s, spread=1_000)
    told = (one.told for one in plan.in_order(range(sys.maxsize)) if one.told.kind in STATUS_KINDS)
    for form in range(count):
        yield bodies.request(list(islice(told, updates)), form)


def measure_door(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Measure one and a hundred statuses a POST, then one a POST at a steady rate.

    Raises:
        NumbersDiffer: a status that was answered 200 is not on the stream.
    """
    return asyncio.run(_measure(machine, sizes))


async def _measure(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    async with broker_control(machine.nats) as control:
        await control.drain(EVENTS_STREAM)
        before = await control.last_sequence(EVENTS_STREAM)
        async with control.paused(EVENTS_STREAM):
            door = _Doors(machine, sizes)
            rows = await asyncio.to_thread(door.rows)
            kept: set[tuple[str, int]] = set()
            async for payload in control.read(EVENTS_STREAM, before):
                events = event_pb2.EventBatch.FromString(payload).events
                kept.update((event.provider_message_id, event.kind) for event in events)
        if len(kept) < door.answered:
            raise NumbersDiffer(
                f"{door.answered} statuses were answered 200, {len(kept)} are on the stream"
            )
    return rows


class _Doors:
    """Ours and the bare ones, loaded in turns."""

    def __init__(self, machine: RunningMachine, sizes: Sizes) -> None:
        self._machine = machine
        self._sizes = sizes
        self._run = f"bench-door-{time.time_ns()}"
        self.answered = 0  # statuses, by our door

    def rows(self) -> list[Row]:
        """One status a POST, a hundred, and one at a steady rate."""
        with load_process() as load, ExitStack() as stack:
            bare = {server: stack.enter_context(floor_door(server)) for server in FloorServer}
            rows = [self._row(load, bare, updates) for updates in (1, _BATCH)]
        return rows + self._steady_rows()

    def _row(
        self, load: LoadProcess, bare: Mapping[FloorServer, tuple[str, int]], updates: int
    ) -> Row:
        ours: list[Measured] = []
        floors: dict[FloorServer, list[Measured]] = {server: [] for server in FloorServer}
        for number in range(self._sizes.rounds):
            with self._requests(f"{updates}-{number}", updates) as requests:
                for server, (url, pid) in bare.items():
                    floors[server].append(self._floor(load, url, pid, requests))
                    requests.used = 0  # a bare door keeps nothing
                ours.append(self._ours(load, requests, self._sizes.round_s))
        return _row(updates, ours, floors)

    def _steady_rows(self) -> list[Row]:
        """At the rate that is promised: how long an answer takes from when it was due."""
        seconds = self._sizes.steady_door_s
        count = int(seconds * _STEADY_RATE)
        requests = meta_requests(f"{self._run}-steady", 1, count)
        with load_process() as load, request_file(requests, 1) as file:
            answer = self._ours(load, file, seconds, rate=_STEADY_RATE).answer
        path = f"callback door, {_STEADY_RATE:,} statuses a second, from due to 200"
        notes = {"p999_ms": answer.p999_ms, "max_ms": answer.max_ms}
        return [
            _time_row(f"{path}, p50", answer.p50_ms, Target(_STEADY_P50_MS), notes),
            _time_row(f"{path}, p99", answer.p99_ms, Target(_STEADY_P99_MS), notes),
        ]

    @contextmanager
    def _requests(self, name: str, updates: int) -> Iterator[RequestFile]:
        count = int(_PER_S_MAX[updates] * self._sizes.round_s) + self._sizes.connections
        requests = meta_requests(f"{self._run}-{name}", updates, count)
        with request_file(requests, updates) as file:
            yield file

    def _ours(
        self, load: LoadProcess, requests: RequestFile, seconds: float, rate: float = 0.0
    ) -> Measured:
        watch = self._machine.watch_cpu(load=load.pid)
        answer = load.send(
            self._machine.ingest,
            requests,
            seconds=seconds,
            connections=self._sizes.connections,
            rate=rate,
        )
        statuses = answer.answered * requests.updates
        self.answered += statuses
        return Measured(answer, statuses, microseconds_each(watch.stop(), statuses))

    def _floor(self, load: LoadProcess, url: str, pid: int, requests: RequestFile) -> Measured:
        before = cpu_s(pid)
        answer = load.send(
            url,
            requests,
            seconds=self._sizes.round_s,
            connections=self._sizes.connections,
        )
        statuses = answer.answered * requests.updates
        cpu = {"door": cpu_s(pid) - before}
        return Measured(answer, statuses, microseconds_each(cpu, statuses))


@contextmanager
def floor_door(server: FloorServer) -> Iterator[tuple[str, int]]:
    """A bare door's URL and pid, until the block ends."""
    with ExitStack() as stack:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            [sys.executable, "-m", "libs.bench.floor_door", server.value, SECRET],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        assert process.stdout is not None
        stack.enter_context(process.stdout)
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid


def _row(updates: int, ours: Sequence[Measured], floors: dict[FloorServer, list[Measured]]) -> Row:
    return Row(
        path=f"callback door, {updates} status{'es' if updates > 1 else ''} a POST",
        unit=Unit.PER_SECOND,
        ours=median(one.statuses_per_s for one in ours),
        floors=tuple(
            Floor(
                f"bare {server.value}: HMAC, decode, 200; nothing stored",
                median(one.statuses_per_s for one in rounds),
            )
            for server, rounds in floors.items()
        ),
        target=_TARGETS[updates],
        cpu_us=mean_of(one.cpu_us for one in ours),
        per="status",
        notes={
            "p50_ms": median(one.answer.p50_ms for one in ours),
            "p99_ms": median(one.answer.p99_ms for one in ours),
        }
        | {
            f"{server.value}_cpu_us": median(one.cpu_us["door"] for one in rounds)
            for server, rounds in floors.items()
        },
    )


def _time_row(path: str, milliseconds: float, target: Target, notes: dict[str, float]) -> Row:
    return Row(path=path, unit=Unit.MILLISECONDS, ours=milliseconds, target=target, notes=notes)
