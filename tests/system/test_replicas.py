"""Two replicas of status and of analytics give the numbers that one gives."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.embedded.child_process import Command, launched
from libs.embedded.http_probe import answers_200
from libs.embedded.ports import free_port
from tests.system.load import Load
from tests.system.outside import Outside

pytestmark = pytest.mark.early


@pytest.fixture
async def second_replicas(machine: dict) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """One more status and one more analytics on the machine's broker and database."""
    processes = []
    for name in ("status", "analytics"):
        probe_port = free_port()
        environment = {
            **os.environ,
            "BLUETICK_NATS_URL": machine["nats"],
            "BLUETICK_DATABASE_URL": machine["postgres"],
            "BLUETICK_LOG_LEVEL": "warning",
            f"BLUETICK_{name.upper()}_GRPC_PORT": str(free_port()),
            f"BLUETICK_{name.upper()}_PROBE_PORT": str(probe_port),
        }
        command = Command(
            arguments=[sys.executable, "-m", f"services.{name}"],
            log=Path(os.devnull),
            environment=environment,
        )
        processes.append(subprocess.Popen(launched(command), env=environment))
        while not await answers_200(f"http://127.0.0.1:{probe_port}/readyz"):
            assert processes[-1].poll() is None
            await asyncio.sleep(0.05)
    yield processes
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(25) for process in processes] == [0] * len(processes)


async def test_two_replicas_give_the_same_numbers(
    outside: Outside, second_replicas: list[subprocess.Popen[bytes]]
) -> None:
    """Scaling is adding replicas: no assignment, no leases, no drift."""
    load = Load(outside, "replicas")

    await load.run_for(6)
    report = await outside.complete_report("replicas")

    assert {name: report.counters.get(name) for name in load.counters()} == load.counters()
    assert all(process.poll() is None for process in second_replicas)


async def test_a_replica_that_is_killed_leaves_nothing_behind(
    outside: Outside, second_replicas: list[subprocess.Popen[bytes]]
) -> None:
    """What it had in hand comes again to the other, and counts once."""
    load = Load(outside, "replica-killed")
    doomed = second_replicas.pop(0)

    async def kill() -> None:
        await asyncio.sleep(2)
        doomed.kill()
        doomed.wait()

    await asyncio.gather(load.run_for(4), kill())
    report = await outside.complete_report("replica-killed")

    assert {name: report.counters.get(name) for name in load.counters()} == load.counters()
