"""kill -9 of each process under load: nothing answered OK is missing, nothing counts twice."""

import asyncio
import os
import signal

import pytest

from libs.testkit.up import running_up
from tests.system.load import Load
from tests.system.outside import Outside

pytestmark = pytest.mark.early

SETTLE_S = 3.0


async def test_each_of_the_six_processes_is_killed_under_load_and_no_number_is_wrong() -> None:
    """A machine can lose any process at any line; its users must not notice in their numbers."""
    async with running_up("--ephemeral") as up:
        await _kill_all_under_load(up.said)
        code, errors = await up.end()
    assert code == 0, errors


async def _kill_all_under_load(machine: dict) -> None:
    outside = Outside(machine)
    load = Load(outside, "kills")

    async def kill() -> None:
        for name in ("ingest", "status", "analytics", "gateway", "nats", "postgres"):
            await asyncio.sleep(SETTLE_S)
            os.kill(machine["pids"][name], signal.SIGKILL)

    await asyncio.gather(load.run_for(7 * SETTLE_S), kill())
    report = await outside.complete_report("kills", limit_s=90)
    await outside.close()

    assert load.message_count > 1_000
    found = {name: report.counters.get(name) for name in load.counters()}
    assert found == load.counters()
