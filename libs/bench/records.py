"""RecordMessages: how many records a second the gateway takes, and what each costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc
import grpc.aio
from bluetick.v1 import ingest_service_pb2

from libs.bench.broker_control import broker_control
from libs.bench.inside import inside_metadata, outside_metadata, service_address
from libs.bench.load_plan import LoadPlan, TruthOfPlan
from libs.bench.machine import RunningMachine
from libs.bench.numbers import require_numbers, wait_for_numbers
from libs.bench.processes import microseconds_each
from libs.bench.results import Floor, Row, Unit
from libs.bench.sizes import Sizes
from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM
from libs.simulator.gateway import Gateway, RecordRefused

RECORDS_A_CALL = 500
_METHOD = "/bluetick.v1.IngestService/RecordMessages"
_CALLS_UNDER_WAY = 4
_TIMEOUT_S = 30.0
_WAIT_MAX_S = 300.0


class Recorder:
    """Sends ready-made RecordMessages requests over one channel."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata
        self._call: Callable[..., Awaitable[ingest_service_pb2.RecordMessagesResponse]]
        self._call = channel.unary_unary(
            _METHOD,
            request_serializer=None,
            response_deserializer=ingest_service_pb2.RecordMessagesResponse.FromString,
        )

    async def record(self, request: bytes) -> None:
        """Record once; busy or away, again.

        Raises:
            RecordRefused: a record was rejected.
            grpc.aio.AioRpcError: refused for good.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                answer = await self._call(request, metadata=self._metadata, timeout=_TIMEOUT_S)
                break
            except grpc.aio.AioRpcError as error:
                codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
                if error.code() not in codes or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        for rejection in answer.rejections:
            raise RecordRefused(f"{rejection.reason}: {rejection.detail}")

    async def record_all(self, requests: Sequence[bytes]) -> float:
        """Record all, some calls at once; returns the seconds."""
        under_way = asyncio.Semaphore(_CALLS_UNDER_WAY)

        async def one(request: bytes) -> None:
            async with under_way:
                await self.record(request)

        started = time.monotonic()
        await asyncio.gather(*(one(request) for request in requests))
        return time.monotonic() - started


def record_request(plan: LoadPlan, messages: Sequence[int]) -> bytes:
    """One RecordMessages request with the records of these messages."""
    records = [plan.record(message) for message in messages]
    return ingest_service_pb2.RecordMessagesRequest(messages=records).SerializeToString()


async def measure_records(machine: RunningMachine, sizes: Sizes) -> list[Row]:
    """Record through the gateway, and straight to ingest, in turns; what follows is paused.

    Raises:
        NumbersDiffer: the reports do not count every record in the end.
    """
    plan = LoadPlan(
        name=f"bench-records-{time.time_ns()}",
        campaigns=2,
        start_time_s=int(time.time()) - 3600,
        spread=1,
    )
    half = sizes.records // 2
    truth = TruthOfPlan(plan)
    for message in range(2 * half):
        truth.add(message, ())
    async with (
        broker_control(machine.nats) as control,
        grpc.aio.insecure_channel(machine.gateway) as far,
        grpc.aio.insecure_channel(service_address(machine, "ingest")) as near,
    ):
        await control.drain(EVENTS_STREAM)
        async with control.paused(EVENTS_STREAM):
            direct = Recorder(near, inside_metadata(machine, "SENDER"))
            floor_s = await direct.record_all(_requests(plan, range(half)))
            requests = _requests(plan, range(half, 2 * half))
            watch = machine.watch_cpu()
            seconds = await Recorder(far, outside_metadata(machine)).record_all(requests)
            cpu_us = microseconds_each(watch.stop(), half)
        await control.drain(EVENTS_STREAM, _WAIT_MAX_S)
        await control.drain(CHANGES_STREAM, _WAIT_MAX_S)
        truths = {name: truth.truth(name) for name in plan.campaign_ids()}
        async with Gateway(machine.gateway, machine.api_key) as gateway:
            await wait_for_numbers(gateway, truths, _WAIT_MAX_S, control.is_idle)
            await require_numbers(gateway, truths)
    return [
        Row(
            path=f"records: {RECORDS_A_CALL} a call through the gateway",
            unit=Unit.PER_SECOND,
            ours=half / seconds,
            floors=(Floor("the same calls straight to ingest", half / floor_s),),
            cpu_us=cpu_us,
            per="record",
        )
    ]


def _requests(plan: LoadPlan, messages: range) -> list[bytes]:
    return [
        record_request(plan, messages[start : start + RECORDS_A_CALL])
        for start in range(0, len(messages), RECORDS_A_CALL)
    ]
