"""`bluetick rebuild` beside callbacks that keep coming, cut half-way, and begun again."""

import asyncio
import os
import signal

import grpc
import pytest
from bluetick.v1 import rebuild_service_pb2 as pb
from bluetick.v1.rebuild_service_pb2_grpc import RebuildServiceStub

from libs.testkit.up import running_up
from tests.faults.commands import bluetick, started
from tests.faults.killing import find
from tests.system.load import Load
from tests.system.outside import Outside

pytestmark = pytest.mark.early

_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,  # the call that was cut has not ended yet
)
# So small that there is time to cut a recount in the middle.
_PAGES = {"BLUETICK_ANALYTICS_REBUILD_PAGE_MESSAGES": "200"}


@pytest.mark.parametrize(
    ("seconds", "workers", "pause_s"),
    [
        pytest.param(2.0, 1, 0.2, id="short", marks=pytest.mark.long),
        # With four workers as many callbacks as the machine takes, some thousands a second.
        pytest.param(20.0, 4, 0.05, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_a_rebuild_beside_traffic_that_is_cut_twice_ends_in_equal_numbers(
    seconds: float, workers: int, pause_s: float
) -> None:
    """Neither a killed service nor a closed window costs what was counted, nor a number."""
    async with running_up("--ephemeral", **_PAGES) as up:
        outside = Outside(up.said)
        before = Load(outside, "rebuild-before")
        await before.run_for(seconds, workers)
        await outside.complete_report(before.campaign_id)

        beside = Load(outside, "rebuild-beside", pause_s=pause_s)
        telling = asyncio.create_task(beside.until_stopped(workers))
        try:
            at = await counted_until_half(outside)
            pid = find(up.process.pid, "analytics")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            again = await counted_on(outside)
            assert again >= at

            command = await started(up.said, "rebuild")
            await asyncio.sleep(2)
            if command.returncode is None:
                command.kill()  # a window that was closed
            await command.wait()
            await rebuilt(up.said)
            code, said = await bluetick(up.said, "verify", limit_s=300)
            assert code == 0, said
            told = beside.message_count * 5 // 2
            print(f"{told} callbacks' statuses beside, {before.message_count} messages before")
        finally:
            beside.stop()
            await telling

        for load in (before, beside):
            report = await outside.complete_report(load.campaign_id)
            found = {name: report.counters.get(name) for name in load.counters()}
            assert found == load.counters()
            assert not report.gaps
        code, said = await bluetick(up.said, "verify", limit_s=300)
        assert code == 0, said
        await outside.close()
        code, errors = await up.end()
    assert code == 0, errors


async def rebuilt(machine: dict) -> None:
    """Rebuild, once the service has noticed that the command before is gone."""
    for _ in range(50):
        code, said = await bluetick(machine, "rebuild", limit_s=300)
        if code == 0:
            return
        assert "Another call" in said, said
        await asyncio.sleep(0.2)
    raise AssertionError(said)


async def counted_until_half(outside: Outside) -> int:
    """Follow a rebuild until half of the messages are counted; return how many."""
    stub = RebuildServiceStub(outside.channel)
    call = stub.Rebuild(pb.RebuildRequest(), metadata=outside.key())
    async for told in call:
        assert told.phase != pb.REBUILD_PHASE_DONE, "it was too quick to be cut"
        if told.message_count >= max(1, told.message_count_expected // 2):
            # Not cancelled: the service is killed with the call under way.
            return int(told.message_count)
    raise AssertionError("it ended without a word")


async def counted_on(outside: Outside) -> int:
    """Return at how many messages the next call goes on; the service may be starting again."""
    stub = RebuildServiceStub(outside.channel)
    for _ in range(100):
        call = stub.Rebuild(pb.RebuildRequest(), metadata=outside.key())
        try:
            async for told in call:
                if told.message_count:
                    call.cancel()
                    return int(told.message_count)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING:
                raise
        await asyncio.sleep(0.2)
    raise AssertionError("the rebuild does not go on")
