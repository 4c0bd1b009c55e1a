"""The whole way: callbacks in at the door, numbers out of the gateway."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import TypeVar

import grpc
import grpc.aio
from bluetick.v1 import analytics_service_pb2, analytics_service_pb2_grpc

from libs.bench.door import PATH, SECRET, requests_of, send
from libs.bench.machine import RunningMachine
from libs.bench.results import Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.runtime.rpc_context import INTERNAL_TOKEN, REQUEST_ID, ROLE, TENANT
from libs.simulator.chaos import Emission
from libs.simulator.door import Door
from libs.simulator.facts import Fact, FactKind, Scenario
from libs.simulator.gateway import Gateway
from libs.simulator.meta import MetaProvider
from libs.simulator.provider import Subscription
from libs.simulator.records import message_record
from libs.simulator.scenario import Shares, build_scenario

T = TypeVar("T")
Report = analytics_service_pb2.GetCampaignReportResponse

_CAMPAIGN = "bench-whole"
_COMPLETE_MAX_S = 120.0
_VISIBLE_MAX_S = 20.0


async def measure_end_to_end(machine: RunningMachine, sizes: Sizes, start_time_s: int) -> list[Row]:
    """Callbacks a second until all of them are in the report, with everything running.

    One status a callback, as fast as the door takes them; the clock stops when the report says
    that it is complete, so a backlog counts against it.
    """
    async with Gateway(machine.gateway, machine.api_key) as gateway:
        await _record_one(gateway)
        with requests_of(1, sizes.door_requests * 4, start_time_s) as requests:
            started = time.time()
            answer = await asyncio.to_thread(
                send,
                machine.ingest,
                requests,
                seconds=sizes.end_to_end_s,
                connections=sizes.connections,
                rate=0.0,
            )
            answered_us = time.time_ns() // 1000
            await _until(gateway, lambda report: _is_complete(report, answered_us), _COMPLETE_MAX_S)
            seconds = time.time() - started
    return [
        Row(
            path="end to end: callbacks until all are visible",
            unit=Unit.PER_SECOND,
            ours=answer.answered / seconds,
            target=Target(10_000),
            notes={
                "callbacks": answer.answered,
                "door_p50_ms": answer.p50_ms,
                "door_p99_ms": answer.p99_ms,
                "backlog_s": seconds - answer.seconds,
            },
        )
    ]


async def measure_visible(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """From a callback's first byte to its count in the report, one at a time."""
    provider = MetaProvider(Subscription(secret=SECRET))
    scenario = _plain_scenario(provider, sizes.visible_probes)
    sent = [fact for fact in scenario.facts if fact.kind is FactKind.DELIVERED]
    async with Gateway(machine.gateway, machine.api_key) as gateway:
        await gateway.record_messages(
            [message_record(one, provider="meta", account="acct_1") for one in scenario.messages]
        )
        await _until(
            gateway,
            lambda report: report.counters["targeted"] >= len(scenario.messages),
            _VISIBLE_MAX_S,
            scenario.campaign_id,
        )
        latencies = await _probe(gateway, machine, provider, scenario.campaign_id, sent)
    return [
        _time_row("end to end: callback to visible, p50", latencies[len(latencies) // 2], None),
        _time_row(
            "end to end: callback to visible, p99",
            latencies[len(latencies) * 99 // 100],
            Target(2000),
        ),
    ]


async def measure_report(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """GetCampaignReport through the gateway, and the same call straight to analytics, in turns."""
    environment = machine.environment("analytics")
    token = environment["BLUETICK_INTERNAL_TOKEN"]
    inside = (
        (TENANT, machine.tenant),
        (ROLE, "READER"),
        (REQUEST_ID, "bench"),
        (INTERNAL_TOKEN, token),
    )
    outside = (("authorization", f"Bearer {machine.api_key}"),)
    analytics = f"127.0.0.1:{environment['BLUETICK_ANALYTICS_GRPC_PORT']}"
    direct: list[float] = []
    through: list[float] = []
    async with (
        grpc.aio.insecure_channel(analytics) as near,
        grpc.aio.insecure_channel(machine.gateway) as far,
    ):
        for _ in range(sizes.report_calls):
            direct.append(await _call_ms(near, inside))
            through.append(await _call_ms(far, outside))
    through.sort()
    return [
        Row(
            path="report through the gateway, p50",
            unit=Unit.MILLISECONDS,
            ours=median(through),
            floor=median(direct),
            floor_name="the same call straight to analytics",
            target=Target(4.0),
            notes={"ratio_target": 1.6},
        ),
        _time_row("report through the gateway, p99", through[len(through) * 99 // 100], Target(20)),
    ]


def start_row(machine: RunningMachine) -> Row:
    """From nothing to ready."""
    return Row(
        path="up: from nothing to ready",
        unit=Unit.SECONDS,
        ours=machine.start_s,
        target=Target(8),
    )


async def _record_one(gateway: Gateway) -> None:
    """A campaign needs a message before it has a report to ask for."""
    scenario = _plain_scenario(MetaProvider(Subscription(secret=SECRET)), 1, campaign_id=_CAMPAIGN)
    await gateway.record_messages(
        [message_record(one, provider="meta", account="acct_1") for one in scenario.messages]
    )
    await _until(gateway, lambda report: report.counters["targeted"] >= 1, _VISIBLE_MAX_S)


async def _until(
    gateway: Gateway,
    holds: Callable[[Report], bool],
    wait_max_s: float,
    campaign_id: str = _CAMPAIGN,
) -> None:
    deadline = time.monotonic() + wait_max_s
    while time.monotonic() < deadline:
        report = await gateway.report(campaign_id)
        if report is not None and holds(report):
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(f"the report of {campaign_id} did not get there in {wait_max_s:g} s")


def _is_complete(report: Report, answered_us: int) -> bool:
    if not report.HasField("complete_until_time"):
        return False
    return report.complete_until_time.ToMicroseconds() > answered_us


async def _probe(
    gateway: Gateway,
    machine: RunningMachine,
    provider: MetaProvider,
    campaign_id: str,
    facts: list[Fact],
) -> list[float]:
    """Milliseconds of each, sorted."""
    door = Door(machine.ingest + PATH)
    latencies = []
    try:
        for number, fact in enumerate(facts, start=1):
            emission = Emission(fact, 0.0, fact.occur_time_s)
            callback = provider.render([emission], random.Random(number))
            started = time.perf_counter()
            await door.deliver(callback)
            wanted = number

            def is_counted(report: Report, wanted: int = wanted) -> bool:
                return report.counters["delivered"] >= wanted

            await _until(gateway, is_counted, _VISIBLE_MAX_S, campaign_id)
            latencies.append((time.perf_counter() - started) * 1000)
    finally:
        await door.close()
    return sorted(latencies)


def _plain_scenario(
    provider: MetaProvider, messages: int, campaign_id: str = "bench-visible"
) -> Scenario:
    """Every message accepted and delivered, and nothing else."""
    return build_scenario(
        campaign_id=campaign_id,
        seed=1,
        message_count=messages,
        start_time_s=int(time.time()) - 6 * 3600,
        new_message_id=provider.new_message_id,
        shares=Shares(
            queued=0,
            dropped=0,
            told_before=0,
            strangers=0,
            pending=0,
            undelivered=0,
            recovered=0,
            read=0,
            clicked=0,
            replied=0,
            tapped=0,
            reacted=0,
            stopped=0,
        ),
    )


async def _call_ms(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> float:
    stub = analytics_service_pb2_grpc.AnalyticsServiceStub(channel)
    request = analytics_service_pb2.GetCampaignReportRequest(campaign_id="bench-visible")
    call: Awaitable[Report] = stub.GetCampaignReport(request, metadata=metadata, timeout=10)
    started = time.perf_counter()
    await call
    return (time.perf_counter() - started) * 1000


def _time_row(path: str, milliseconds: float, target: Target | None) -> Row:
    return Row(path=path, unit=Unit.MILLISECONDS, ours=milliseconds, target=target)
