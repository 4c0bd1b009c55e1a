"""From a callback's due time to its count in the report, while everything else goes on."""

from __future__ import annotations

import asyncio
import time

from libs.bench.door import PATH, SECRET
from libs.bench.latencies import Latencies
from libs.bench.load_plan import LoadPlan, TruthOfPlan
from libs.bench.meta_bodies import MetaBodies, Told
from libs.bench.numbers import NumbersDiffer, wait_for_counter
from libs.bench.plain_post import PlainPoster
from libs.bench.sizes import Sizes
from libs.simulator.facts import FactKind
from libs.simulator.gateway import Gateway
from libs.simulator.truth import Truth

_EVERY_S = 0.2
_POLL_S = 0.01
_VISIBLE_MAX_S = 60.0


class Probes:
    """A campaign of its own, whose messages are delivered one after the other.

    Each delivery has its time, whether or not the one before is visible; the n-th is visible when
    the report counts n.
    """

    def __init__(self, gateway: Gateway, ingest: str, plan: LoadPlan, count: int) -> None:
        self._gateway = gateway
        self._ingest = ingest
        self._plan = plan
        self._count = count  # messages recorded
        self._told_count = 0  # of them, those whose delivery was told
        self._bodies = MetaBodies(SECRET, PATH)
        self._due: list[float] = []

    @classmethod
    async def prepare(cls, gateway: Gateway, ingest: str, sizes: Sizes) -> Probes:
        """Record the messages, and wait until they are counted."""
        plan = LoadPlan(
            name=f"bench-visible-{time.time_ns()}",
            campaigns=1,
            start_time_s=int(time.time()) - 3600,
            spread=1,
        )
        count = max(2, round(sizes.whole_s / _EVERY_S), sizes.visible_probes)
        for start in range(0, count, 500):
            part = range(start, min(start + 500, count))
            await gateway.record_messages([plan.record(message) for message in part])
        await wait_for_counter(gateway, plan.campaign_id(0), "targeted", count)
        return cls(gateway, ingest, plan, count)

    async def run(self, start_at_s: float, seconds: float) -> Latencies:
        """Probe for so long; returns when all are visible.

        Raises:
            NumbersDiffer: one never became visible.
        """
        count = max(2, round(seconds / _EVERY_S))
        watching = asyncio.create_task(self._watch(count, start_at_s + seconds + _VISIBLE_MAX_S))
        poster = PlainPoster(self._ingest)
        tasks = []
        for number in range(count):
            due_s = start_at_s + number * _EVERY_S
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._due.append(due_s)
            tasks.append(asyncio.create_task(poster.post(self._request(number))))
        await asyncio.gather(*tasks)
        return await watching

    def truth(self) -> dict[str, Truth]:
        """What the report of the campaign must say when all that was begun is visible."""
        truth = TruthOfPlan(self._plan)
        for message in range(self._count):
            truth.add(message, [self._told(message)] if message < self._told_count else ())
        campaign_id = self._plan.campaign_id(0)
        return {campaign_id: truth.truth(campaign_id)}

    async def one_at_a_time(self, count: int) -> Latencies:
        """Probe an idle system: the next when the last is visible."""
        latencies = Latencies()
        poster = PlainPoster(self._ingest)
        for number in range(count):
            started = time.monotonic()
            await poster.post(self._request(number))
            await self._until(number + 1, started + _VISIBLE_MAX_S)
            latencies.add(time.monotonic() - started)
        return latencies

    def _request(self, message: int) -> bytes:
        self._told_count = max(self._told_count, message + 1)
        return self._bodies.request([self._told(message)], message)

    def _told(self, message: int) -> Told:
        record = self._plan.record(message)
        return Told(
            FactKind.DELIVERED,
            record.provider_message_id,
            record.address,
            record.accepted.accept_time.seconds + 5,
        )

    async def _watch(self, count: int, deadline_s: float) -> Latencies:
        latencies = Latencies()
        while len(latencies) < count:
            visible = await self._until(len(latencies) + 1, deadline_s)
            now = time.monotonic()
            for due_s in self._due[len(latencies) : visible]:
                latencies.add(now - due_s)
        return latencies

    async def _until(self, least: int, deadline_s: float) -> int:
        campaign_id = self._plan.campaign_id(0)
        while True:
            report = await self._gateway.report(campaign_id)
            visible = report.counters["delivered"] if report is not None else 0
            if visible >= least:
                return visible
            if time.monotonic() > deadline_s:
                raise NumbersDiffer(f"{campaign_id}: delivered is {visible}, must be {least}")
            await asyncio.sleep(_POLL_S)
