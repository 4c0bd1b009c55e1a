"""The callback door beside a bare one: the same requests, in turns, in the same run."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import msgspec
import psutil

from libs.bench.load_door import Answer, Order
from libs.bench.machine import RunningMachine
from libs.bench.results import Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.embedded.demo_accounts import ACCOUNT, signing_secret
from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS
from libs.simulator.meta import MetaProvider
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.scenario import build_scenario

SECRET = signing_secret("meta")
PATH = f"/callbacks/meta/{ACCOUNT}"


@dataclass(frozen=True, slots=True)
class Requests:
    """Ready-made HTTP requests in a file, each with `updates` statuses."""

    file: str
    lengths: list[int]
    updates: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the rounds of one door."""

    statuses_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_status: float


@contextmanager
def requests_of(updates: int, count: int, start_time_s: int) -> Iterator[Requests]:
    """Write `count` signed requests of Meta's with `updates` statuses each."""
    provider = MetaProvider(Subscription(secret=SECRET))
    with requests_by(provider, PATH, updates, count, start_time_s) as requests:
        yield requests


@contextmanager
def requests_by(
    provider: SimulatedProvider, path: str, updates: int, count: int, start_time_s: int
) -> Iterator[Requests]:
    """Write `count` requests of the provider's to `path` with `updates` statuses each."""
    callbacks = _callbacks(provider, updates, count, start_time_s)
    bodies = [_request(callback, path) for callback in callbacks]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requests")
        file.write_bytes(b"".join(bodies))
        yield Requests(str(file), [len(body) for body in bodies], updates)


def measure_door(machine: RunningMachine, sizes: Sizes, start_time_s: int) -> list[Row]:
    """Measure one and a hundred statuses a POST; the services behind are paused meanwhile."""
    rows = []
    with machine.paused(("status", "analytics", "gateway")), _floor_door() as (url, pid):
        for updates, count in ((1, sizes.door_requests), (100, sizes.door_requests // 20 or 1)):
            with requests_of(updates, count, start_time_s) as requests:
                floors, ours = [], []
                for _ in range(sizes.rounds):
                    floors.append(_round(url, pid, requests, sizes))
                    ours.append(_round(machine.ingest, machine.pids["ingest"], requests, sizes))
            rows.append(_row(updates, _medians(floors), _medians(ours)))
    return rows


def send(url: str, requests: Requests, *, seconds: float, connections: int, rate: float) -> Answer:
    """Send from a process of its own; blocks."""
    with load_process() as load:
        return load.send(url, requests, seconds=seconds, connections=connections, rate=rate)


class LoadProcess:
    """A process that sends; one order after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def send(
        self, url: str, requests: Requests, *, seconds: float, connections: int, rate: float
    ) -> Answer:
        """Send, and return what came back; blocks."""
        order = _order(url, requests, seconds=seconds, connections=connections, rate=rate)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Answer)


@contextmanager
def load_process() -> Iterator[LoadProcess]:
    """A sending process, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "libs.bench.load_door"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield LoadProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _order(url: str, requests: Requests, *, seconds: float, connections: int, rate: float) -> Order:
    parts = urlsplit(url)
    return Order(
        host=parts.hostname or "",
        port=parts.port or 80,
        requests_file=requests.file,
        lengths=requests.lengths,
        seconds=seconds,
        connections=connections,
        rate=rate,
    )


def _round(url: str, pid: int, requests: Requests, sizes: Sizes) -> Measured:
    before = psutil.Process(pid).cpu_times()
    answer = send(url, requests, seconds=sizes.round_s, connections=sizes.connections, rate=0.0)
    after = psutil.Process(pid).cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    statuses = max(answer.answered * requests.updates, 1)
    return Measured(
        statuses_per_s=statuses / answer.seconds,
        p50_ms=answer.p50_ms,
        p99_ms=answer.p99_ms,
        cpu_us_per_status=cpu_s / statuses * 1e6,
    )


def _medians(rounds: Sequence[Measured]) -> Measured:
    return Measured(
        statuses_per_s=median(one.statuses_per_s for one in rounds),
        p50_ms=median(one.p50_ms for one in rounds),
        p99_ms=median(one.p99_ms for one in rounds),
        cpu_us_per_status=median(one.cpu_us_per_status for one in rounds),
    )


def _row(updates: int, floor: Measured, ours: Measured) -> Row:
    # Half of the fastest server known (granian's own protocol, 1.43 times a bare uvicorn).
    target = Target(0.71, of_floor=True) if updates == 1 else Target(60_000)
    return Row(
        path=f"callback door, {updates} status{'es' if updates > 1 else ''} a POST",
        unit=Unit.PER_SECOND,
        ours=ours.statuses_per_s,
        floor=floor.statuses_per_s,
        floor_name="bare uvicorn: HMAC, decode, 200; nothing stored",
        target=target,
        notes={
            "p50_ms": ours.p50_ms,
            "p99_ms": ours.p99_ms,
            "cpu_us_per_status": ours.cpu_us_per_status,
            "floor_cpu_us_per_status": floor.cpu_us_per_status,
        },
    )


@contextmanager
def _floor_door() -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        [sys.executable, "-m", "libs.bench.floor_door", SECRET], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _callbacks(
    provider: SimulatedProvider, updates: int, count: int, start_time_s: int
) -> Iterator[Callback]:
    scenario = build_scenario(
        campaign_id=f"bench-door-{provider.name}-{provider.channel.value}-{updates}",
        seed=updates,
        message_count=max(1, updates * count // 2),
        start_time_s=start_time_s,
        new_message_id=provider.new_message_id,
        channel=provider.channel,
        failures=provider.failures,
    )
    chance = random.Random(updates)
    told = STATUS_KINDS & provider.kinds
    facts = [fact for fact in scenario.facts if fact.kind in told]
    emissions = [Emission(fact, 0.0, fact.occur_time_s) for fact in facts]
    for start in range(0, min(updates * count, len(emissions)), updates):
        yield provider.render(emissions[start : start + updates], chance)


def _request(callback: Callback, path: str) -> bytes:
    target = f"{path}?{callback.query}" if callback.query else path
    lines = [
        f"{callback.method} {target} HTTP/1.1",
        "Host: bench",
        f"Content-Length: {len(callback.body)}",
    ]
    lines += [f"{name}: {value}" for name, value in callback.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + callback.body
