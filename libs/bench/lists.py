"""Pages of lists, first and far in, for filters of every kind; a campaign as a file."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import grpc.aio
from bluetick.v1 import common_pb2
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub

from libs.bench.inside import outside_metadata
from libs.bench.latencies import Latencies
from libs.bench.machine import RunningMachine
from libs.bench.numbers import NumbersDiffer, wait_for_numbers
from libs.bench.pipeline import bench_of
from libs.bench.processes import microseconds_each
from libs.bench.results import Row, Skipped, Target, Unit
from libs.bench.sizes import Sizes
from libs.bench.stored import StoredMessages

_WAIT_MAX_S = 900.0
_CALL_MAX_S = 30.0
_EXPORT_MAX_S = 900.0
_PAGE_P50_MS = 10.0
_ROWS_PER_S = 100_000
_MEMORY_MIB = 300
_PAGE, _FAR_PAGES, _WIDE_PAGE = 100, 1_000, 1_000
_WORK = ("status", "analytics", "gateway", "postgres")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A filter, and the counter that says how many messages it finds; empty: nobody counts them."""

    name: str
    where: pb.MessageFilter
    counter: str = ""


def _filters() -> list[_Asked]:
    where = pb.MessageFilter
    states = common_pb2.MESSAGE_STATE_ACCEPTED, common_pb2.MESSAGE_STATE_SENT
    return [
        _Asked("all", where(), "targeted"),
        _Asked("delivered", where(metric="delivered"), "delivered"),
        _Asked("states", where(states=states), "pending"),
        _Asked("none", where(metric="replied"), "replied"),
        _Asked("reason", where(reasons=[common_pb2.FAILURE_REASON_RATE_LIMITS]), "failed"),
        _Asked("link", where(link_id="none")),
        _Asked("channel", where(channels=[common_pb2.CHANNEL_WHATSAPP], metric="sent"), "sent"),
        _Asked("attempts", where(attempt_count_min=1, provider="meta"), "sent"),
    ]


async def measure_lists(machine: RunningMachine, sizes: Sizes) -> list[Row | Skipped]:
    """Store a campaign, page through it and export it.

    Raises:
        NotDrained: a service did not keep up at all.
        NumbersDiffer: a list is not as long as the counter says, or a file is none.
    """
    count = sizes.list_messages
    async with bench_of(machine) as bench:
        stored = StoredMessages(bench.control, machine.tenant, count)
        await stored.grow_to(count)
        truths = stored.truth()
        await wait_for_numbers(bench.gateway, truths, _WAIT_MAX_S, bench.control.is_idle)
    counters = truths[stored.campaign_id].counters
    async with grpc.aio.insecure_channel(machine.gateway) as channel:
        calls = _Calls(machine, channel, stored.campaign_id)
        rows = await _page_rows(calls, sizes, counters)
        rows += [
            await _export_row(machine, calls, form, count)
            for form in (common_pb2.FILE_FORMAT_CSV, common_pb2.FILE_FORMAT_PARQUET)
        ]
    memory = Row(
        path=f"lists: most memory of status while {count:,} messages are exported",
        unit=Unit.MEBIBYTES,
        ours=machine.peaks_mib()["status"],
        target=Target(_MEMORY_MIB),
    )
    return [*rows, memory]


class _Calls:
    """Asks for pages and files."""

    def __init__(
        self, machine: RunningMachine, channel: grpc.aio.Channel, campaign_id: str
    ) -> None:
        self.campaign_id = campaign_id
        self._metadata = outside_metadata(machine)
        self._stub = MessageServiceStub(channel)

    async def page(
        self, where: pb.MessageFilter, token: str = "", size: int = _PAGE
    ) -> pb.ListMessagesResponse:
        """Return one page."""
        request = pb.ListMessagesRequest(
            campaign_id=self.campaign_id, where=where, page_size=size, page_token=token
        )
        return await self._stub.ListMessages(request, metadata=self._metadata, timeout=_CALL_MAX_S)

    async def far(self, where: pb.MessageFilter, count: int) -> str:
        """Return the token of the thousandth page, or of one of the last that there are."""
        wide = max(_PAGE, min(_WIDE_PAGE, count // 4))
        token, page = "", await self.page(where, size=wide)
        for _ in range(_FAR_PAGES * _PAGE // wide):
            if not page.next_page_token:
                break
            token = page.next_page_token
            page = await self.page(where, token, wide)
        return token

    async def export(self, form: common_pb2.FileFormat.ValueType) -> tuple[int, int]:
        """Return how many rows and bytes a file has; its checksum is looked at."""
        request = pb.ExportMessagesRequest(
            campaign_id=self.campaign_id, format=form, kind=common_pb2.EXPORT_KIND_DETAILED
        )
        sha256, size, last = hashlib.sha256(), 0, pb.ExportMessagesResponse()
        stream = self._stub.ExportMessages(request, metadata=self._metadata, timeout=_EXPORT_MAX_S)
        async for last in stream:
            sha256.update(last.data)
            size += len(last.data)
        if last.sha256 != sha256.digest():
            raise NumbersDiffer("the file has another checksum than it should")
        return last.row_count, size


async def _page_rows(calls: _Calls, sizes: Sizes, counters: dict[str, int]) -> list[Row | Skipped]:
    first, far = dict[str, Latencies](), dict[str, Latencies]()
    for one in _filters():
        token = await calls.far(one.where, sizes.list_messages)
        first[one.name], far[one.name] = Latencies(), Latencies()
        for _ in range(sizes.report_calls // 10 + 1):
            started = time.monotonic()
            page = await calls.page(one.where)
            first[one.name].add(time.monotonic() - started)
            if one.counter and page.total_count != counters[one.counter]:
                told = f"{page.total_count} in the list, {counters[one.counter]} counted"
                raise NumbersDiffer(f"{one.name}: {told}")
            if token:
                started = time.monotonic()
                await calls.page(one.where, token)
                far[one.name].add(time.monotonic() - started)
    return [
        _page_row(f"lists: {what} of 100 among {sizes.list_messages:,}, slowest filter, p50", told)
        for what, told in (("first page", first), ("thousandth page, or last,", far))
    ]


def _page_row(path: str, told: dict[str, Latencies]) -> Row:
    by_filter = {name: latencies.at(50) for name, latencies in told.items() if len(latencies)}
    return Row(
        path=path,
        unit=Unit.MILLISECONDS,
        ours=max(by_filter.values(), default=0.0),
        target=Target(_PAGE_P50_MS),
        notes={f"{name}_ms": value for name, value in by_filter.items()},
    )


async def _export_row(
    machine: RunningMachine, calls: _Calls, form: common_pb2.FileFormat.ValueType, count: int
) -> Row:
    machine.forget_peaks()
    watch, started = machine.watch_cpu(), time.monotonic()
    row_count, size = await calls.export(form)
    seconds = time.monotonic() - started
    if row_count != count:
        raise NumbersDiffer(f"{row_count} rows in the file, {count} messages")
    name = common_pb2.FileFormat.Name(form).removeprefix("FILE_FORMAT_")
    cpu_us = microseconds_each(watch.stop(), count)
    return Row(
        path=f"lists: rows exported as {name}, all columns",
        unit=Unit.PER_SECOND,
        ours=count / seconds,
        target=Target(_ROWS_PER_S),
        cpu_us=cpu_us,
        per="row",
        notes={"bytes_a_row": size / count, "work_us": sum(cpu_us[part] for part in _WORK)},
    )
