"""Every provider's format at the callback door, beside Meta's: what a dialect costs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from statistics import median

from libs.bench.broker_control import broker_control
from libs.bench.door import PATH, meta_requests
from libs.bench.load_process import LoadProcess, load_process
from libs.bench.machine import RunningMachine
from libs.bench.processes import cpu_s
from libs.bench.request_files import RequestFile, request_file
from libs.bench.results import Floor, Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.embedded.demo_accounts import ACCOUNT, signing_secret
from libs.runtime.broker import EVENTS_STREAM
from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.registry import PROVIDERS, every_channel
from libs.simulator.scenario import build_scenario

DIALECT = "door: "  # how the paths of these rows begin
_META = ("meta", Channel.WHATSAPP)
_BATCH = 100
_WITHIN = 0.8  # of Meta's figure
_PAST_S = 6 * 3600  # callbacks tell of a campaign of some hours ago
# Statuses that Meta's format tells in a second of a door; the rounds end early if they run out.
_META_PER_S = {1: 30_000, _BATCH: 450_000}

Dialect = tuple[str, Channel]


def measure_dialects(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Measure one status a request of every provider, and a hundred where it sends so many.

    Each short round has one of Meta's before it, so that a slow moment of the machine slows both;
    the consumers behind are paused meanwhile. Figures are per CPU second of the door alone.
    """
    return asyncio.run(_measure(machine, sizes))


async def _measure(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    async with broker_control(machine.nats) as control, control.paused(EVENTS_STREAM):
        return await asyncio.to_thread(_all_rows, machine, sizes)


def _all_rows(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    with load_process() as load:
        door = _Door(machine, sizes, load)
        return [row for updates in (1, _BATCH) for row in _rows(door, updates)]


@dataclass(frozen=True, slots=True)
class _Door:
    """The door of a running machine, and who loads it."""

    machine: RunningMachine
    sizes: Sizes
    load: LoadProcess

    def statuses_per_cpu_s(self, requests: RequestFile) -> float:
        """Load it for one round; statuses for each second of the door's CPU time."""
        pid = self.machine.pids["ingest"]
        before = cpu_s(pid)
        answer = self.load.send(
            self.machine.ingest,
            requests,
            seconds=self.sizes.dialect_round_s,
            # Statuses under way stay within what a round takes.
            connections=max(1, self.sizes.connections // (8 if requests.updates > 1 else 1)),
        )
        return answer.answered * requests.updates / max(cpu_s(pid) - before, 1e-6)


def _rows(door: _Door, updates: int) -> Iterator[Row]:
    providers = {
        dialect: _provider(door.machine, *dialect)
        for dialect in every_channel()
        if dialect != _META
    }
    given = {one: each for one, each in providers.items() if each.updates_max >= updates}
    with _metas(door, updates, len(given)) as metas:
        for (name, channel), provider in given.items():
            with _requests(door, provider, updates) as requests:
                pairs = [
                    (door.statuses_per_cpu_s(metas), door.statuses_per_cpu_s(requests))
                    for _ in range(door.sizes.dialect_rounds)
                ]
            meta = median(of_meta for of_meta, _ in pairs)
            share = median(own / of_meta if of_meta else 0.0 for of_meta, own in pairs)
            yield _row(name, channel, updates, meta * share, meta)


def _metas(door: _Door, updates: int, dialects: int) -> AbstractContextManager[RequestFile]:
    """Meta's requests for one round before each of the others'."""
    sizes = door.sizes
    seconds = dialects * sizes.dialect_rounds * sizes.dialect_round_s
    count = int(seconds * _META_PER_S[updates] / updates) + sizes.connections
    return request_file(meta_requests(f"bench-meta-{time.time_ns()}", updates, count), updates)


def _provider(machine: RunningMachine, name: str, channel: Channel) -> SimulatedProvider:
    url = f"{machine.ingest}/callbacks/{name}/{ACCOUNT}"
    subscription = Subscription(url=url, secret=signing_secret(name), channel=channel)
    return PROVIDERS[name](subscription)


def _requests(
    door: _Door, provider: SimulatedProvider, updates: int
) -> AbstractContextManager[RequestFile]:
    count = max(1, door.sizes.dialect_requests // (6 if updates > 1 else 1))
    path = PATH.replace("/meta/", f"/{provider.name}/")
    callbacks = _callbacks(provider, updates, count)
    return request_file((_request(callback, path) for callback in callbacks), updates)


def _callbacks(provider: SimulatedProvider, updates: int, count: int) -> Iterator[Callback]:
    scenario = build_scenario(
        campaign_id=f"bench-door-{provider.name}-{provider.channel.value}-{time.time_ns()}",
        seed=time.time_ns(),
        message_count=max(1, updates * count // 2),
        start_time_s=int(time.time()) - _PAST_S,
        # Parts come one by one, and here lists are measured, too.
        carrier=replace(provider.carrier, reports_parts=False),
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


def _row(name: str, channel: Channel, updates: int, ours: float, meta: float) -> Row:
    return Row(
        path=f"{DIALECT}{name}, {channel.value}, {updates} a request",
        unit=Unit.PER_CPU_SECOND,
        ours=ours,
        floors=(Floor("Meta's format", meta),),
        target=Target(_WITHIN, of_floor=True),
    )
