"""The door's good callbacks while somebody means it ill: how long they take, and that none is lost.

A steady, open load of signed callbacks to one account, from its own address; beside it, from
another one, each way to occupy a door that costs a stranger little. Latency counts from when a
callback was due, and one that was not taken is told again, so a refused one is a late one.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from libs.bench.broker_control import broker_control
from libs.bench.door import PATH, meta_requests
from libs.bench.hostile_load import Attack, Done
from libs.bench.load_process import LoadProcess, load_process
from libs.bench.machine import RunningMachine
from libs.bench.request_files import request_file
from libs.bench.results import Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.embedded.demo_accounts import ACCOUNT, signing_secret
from libs.runtime.broker import EVENTS_STREAM
from libs.runtime.sizes import BODY_BYTES_MAX
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel
from libs.simulator.provider import Subscription
from libs.simulator.registry import PROVIDERS
from libs.simulator.scenario import build_scenario

_RATE = 500  # good callbacks a second
_P99_MS = 1_000.0
_STRANGER = "127.0.0.2"  # all of 127/8 is the loopback's
_LARGE_STATUSES = 8_000  # of 350 bytes
_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way to occupy a door: what is sent, on how many connections at once."""

    name: str
    request: bytes
    connections: int
    is_held: bool = False
    is_trickling: bool = False
    bytes_per_s: float = 0.0


def measure_hostile(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Measure the good callbacks alone, then beside each way to occupy the door."""
    return asyncio.run(_measure(machine, sizes))


async def _measure(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    async with broker_control(machine.nats) as control, control.paused(EVENTS_STREAM):
        return await asyncio.to_thread(_rows, machine, sizes)


def _rows(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    with load_process() as load:
        rows = [_row(machine, sizes, load, None)]
        rows += [_row(machine, sizes, load, way) for way in _ways(sizes)]
    return rows


def _ways(sizes: Sizes) -> Iterator[_Way]:
    many = sizes.hostile_connections
    body = random.Random(1).randbytes(BODY_BYTES_MAX)
    wrong = f"X-Hub-Signature-256: sha256={'0' * 64}"
    large = f"{_head(PATH, len(body))}{wrong}\r\n\r\n".encode() + body
    yield _Way(
        name="100 MB/s of 3 MiB bodies that nothing proves, to the same account",
        request=large,
        connections=32,
        bytes_per_s=100 * _MB,
    )
    yield _Way(
        name="100 MB/s of real bodies of 3 MiB, to another account",
        request=_real_large(),
        connections=32,
        bytes_per_s=100 * _MB,
    )
    small = f"{_head(PATH, 2)}{wrong}\r\n\r\n{{}}".encode()
    yield _Way(name="a flood of wrong signatures", request=small, connections=many // 8)
    yield _Way(name="the same, 200 in a packet", request=small * 200, connections=many // 16)
    fields = "".join(f"x-{n}: {'a' * 250}\r\n" for n in range(90))
    flood = f"{_head(PATH, 2)}{fields}{wrong}\r\n\r\n{{}}".encode()
    yield _Way(name="a flood of 90 headers of 250 bytes", request=flood, connections=many // 16)
    fields = "".join(f"x-{n}: 1\r\n" for n in range(10_000))
    flood = f"{_head(PATH, 2)}{fields}\r\n{{}}".encode()
    yield _Way(name="a flood of 10,000 headers", request=flood, connections=many // 16)
    yield _Way(
        name=f"{many:,} requests that come in byte by byte",
        request=f"POST {PATH} HTTP/1.1\r\nHost: b".encode(),
        connections=many,
        is_held=True,
        is_trickling=True,
    )
    yield _Way(name=f"{many:,} idle connections", request=b"", connections=many, is_held=True)


def _head(path: str, length: int) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n"


def _real_large() -> bytes:
    """A request of the largest size that another account's provider might really send."""
    name = "dialog360"
    path = PATH.replace("/meta/", f"/{name}/")
    subscription = Subscription(
        url=f"http://bench/callbacks/{name}/{ACCOUNT}",
        secret=signing_secret(name),
        channel=Channel.WHATSAPP,
    )
    provider = PROVIDERS[name](subscription)
    scenario = build_scenario(
        campaign_id=f"bench-hostile-{time.time_ns()}",
        seed=1,
        message_count=_LARGE_STATUSES // 2,
        start_time_s=int(time.time()) - 3_600,
        carrier=provider.carrier,
    )
    facts = [fact for fact in scenario.facts if fact.kind in STATUS_KINDS & provider.kinds]
    told = [Emission(fact, 0.0, fact.occur_time_s) for fact in facts[:_LARGE_STATUSES]]
    callback = provider.render(told, random.Random(1))
    fields = "".join(f"{field}: {value}\r\n" for field, value in callback.headers)
    return f"{_head(path, len(callback.body))}{fields}\r\n".encode() + callback.body


def _row(machine: RunningMachine, sizes: Sizes, load: LoadProcess, way: _Way | None) -> Row:
    count = int(sizes.hostile_s * _RATE)
    requests = meta_requests(f"bench-hostile-{time.time_ns()}", 1, count)
    with request_file(requests, 1) as file, _attacking(machine, sizes, way) as done:
        answer = load.send(
            machine.ingest,
            file,
            seconds=sizes.hostile_s,
            connections=sizes.connections,
            rate=_RATE,
        )
    notes: dict[str, float] = {
        "p50_ms": answer.p50_ms,
        "max_ms": answer.max_ms,
        "told_again": answer.told_again,
        "unanswered": answer.unanswered,
    }
    if done:
        notes |= {
            "hostile_opened": done[0].opened,
            "hostile_requests": done[0].requests,
            "hostile_mb": done[0].bytes_sent / _MB,
        } | {f"hostile_{status}": count for status, count in done[0].answers.items()}
    beside = f"beside {way.name}" if way else "alone"
    return Row(
        path=f"door: {_RATE} good callbacks a second {beside}, p99",
        unit=Unit.MILLISECONDS,
        ours=answer.p99_ms if not answer.unanswered else float("inf"),
        target=Target(_P99_MS),
        notes=notes,
    )


@contextmanager
def _attacking(machine: RunningMachine, sizes: Sizes, way: _Way | None) -> Iterator[list[Done]]:
    """Attack a moment before the block and in it; what was done is in the list after it."""
    done: list[Done] = []
    if way is None:
        yield done
        return
    parts = urlsplit(machine.ingest)
    with tempfile.NamedTemporaryFile(prefix="bluetick-bench-") as file:
        Path(file.name).write_bytes(way.request)
        attack = Attack(
            host=parts.hostname or "",
            port=parts.port or 80,
            address=_STRANGER,
            file=file.name,
            seconds=sizes.hostile_s + 1.0,
            connections=way.connections,
            is_held=way.is_held,
            is_trickling=way.is_trickling,
            bytes_per_s=way.bytes_per_s,
        )
        with subprocess.Popen(
            [sys.executable, "-m", "libs.bench.hostile_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(msgspec.json.encode(attack))
                process.stdin.close()
                time.sleep(1.0)
                yield done
                done.append(msgspec.json.decode(process.stdout.readline(), type=Done))
            finally:
                process.terminate()
