"""GetCampaignReport through the gateway, beside the same call straight to analytics, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

import grpc
import grpc.aio
from bluetick.v1 import analytics_service_pb2, analytics_service_pb2_grpc

from libs.bench.inside import Metadata, inside_metadata, outside_metadata, service_address
from libs.bench.latencies import Latencies
from libs.bench.machine import RunningMachine
from libs.bench.numbers import wait_for_numbers
from libs.bench.probes import Probes
from libs.bench.processes import microseconds_each
from libs.bench.results import Floor, Row, Target, Unit
from libs.bench.sizes import Sizes
from libs.simulator.gateway import Gateway

_P50_MS, _P99_MS = 4.0, 20.0
_GATEWAY_TIMES = 1.6
_PEER_TIMES = 0.1
_VISIBLE_P99_MS = 2_000
_WAIT_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class ReportTimes:
    """Latencies of one campaign's report, and CPU microseconds of a call through the gateway."""

    through: Latencies
    direct: Latencies
    cpu_us: dict[str, float]


async def measure_idle(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """One callback at a time until it is visible; then the report of that small campaign."""
    async with Gateway(machine.gateway, machine.api_key) as gateway:
        probes = await Probes.prepare(gateway, machine.ingest, sizes)
        visible = await probes.one_at_a_time(sizes.visible_probes)
        truths = probes.truth()
        await wait_for_numbers(gateway, truths, _WAIT_MAX_S)
    (campaign_id,) = truths
    times = await time_reports(machine, campaign_id, sizes.report_calls)
    return [
        _row("idle: callback to visible, p50", visible.at(50), None),
        _row("idle: callback to visible, p99", visible.at(99), _VISIBLE_P99_MS),
        *report_rows("report of a small campaign", times),
    ]


async def time_reports(machine: RunningMachine, campaign_id: str, calls: int) -> ReportTimes:
    """Call in turns, one after the other; CPU is that of the calls through the gateway alone."""
    inside, outside = inside_metadata(machine, "READER"), outside_metadata(machine)
    direct, through = Latencies(), Latencies()
    async with (
        grpc.aio.insecure_channel(service_address(machine, "analytics")) as near,
        grpc.aio.insecure_channel(machine.gateway) as far,
    ):
        for _ in range(calls):
            direct.add(await _call_s(near, inside, campaign_id))
            through.add(await _call_s(far, outside, campaign_id))
        watch = machine.watch_cpu()
        for _ in range(calls):
            await _call_s(far, outside, campaign_id)
        await asyncio.sleep(0)
        cpu_us = microseconds_each(watch.stop(), calls)
    return ReportTimes(through, direct, cpu_us)


def report_rows(name: str, times: ReportTimes, peers: tuple[Floor, ...] = ()) -> list[Row]:
    """Median and 99th percentile through the gateway; `peers` scan the same facts instead."""
    through, direct = times.through, times.direct
    return [
        Row(
            path=f"{name}, p50",
            unit=Unit.MILLISECONDS,
            ours=through.at(50),
            floors=(Floor("the same call straight to analytics", direct.at(50)),),
            target=Target(_P50_MS),
            cpu_us=times.cpu_us,
            per="call",
        ),
        Row(
            path=f"{name}, gateway beside none, p50",
            unit=Unit.MILLISECONDS,
            ours=through.at(50),
            floors=(Floor("the same call straight to analytics", direct.at(50)),),
            target=Target(_GATEWAY_TIMES, of_floor=True),
        ),
        Row(
            path=f"{name}, p99",
            unit=Unit.MILLISECONDS,
            ours=through.at(99),
            floors=(Floor("the same call straight to analytics", direct.at(99)),),
            target=Target(_P99_MS),
        ),
        *(
            Row(
                path=f"{name}, {peer.name} instead, p50",
                unit=Unit.MILLISECONDS,
                ours=through.at(50),
                floors=(peer,),
                target=Target(_PEER_TIMES, of_floor=True),
            )
            for peer in peers
        ),
    ]


async def _call_s(channel: grpc.aio.Channel, metadata: Metadata, campaign_id: str) -> float:
    stub = analytics_service_pb2_grpc.AnalyticsServiceStub(channel)
    request = analytics_service_pb2.GetCampaignReportRequest(campaign_id=campaign_id)
    call: Awaitable[analytics_service_pb2.GetCampaignReportResponse] = stub.GetCampaignReport(
        request, metadata=metadata, timeout=10
    )
    started = time.perf_counter()
    await call
    return time.perf_counter() - started


def _row(path: str, milliseconds: float, target: float | None) -> Row:
    return Row(
        path=path,
        unit=Unit.MILLISECONDS,
        ours=milliseconds,
        target=Target(target) if target else None,
    )
