"""A service ends cleanly on SIGTERM, in every phase of its life."""

import signal
import subprocess
import sys
import time

import pytest

from libs.testkit.tied import tied

SERVICE = """
import asyncio
from libs.runtime.lifecycle import Scope, run_service
from libs.runtime.settings import RuntimeSettings

class Settings(RuntimeSettings):
    shutdown_s: float = 2

async def build(scope, settings):
    async def close():
        print("closed", flush=True)
    scope.defer(close)
    {start}
    scope.ready()

print("started", flush=True)
run_service("test", Settings, build)
"""


def _run(start: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        tied(sys.executable, "-c", SERVICE.format(start=start)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    return process


@pytest.mark.parametrize("start", ["pass", "await asyncio.sleep(3600)"])
def test_sigterm_ends_a_service_that_runs_or_still_waits_to_start(start: str) -> None:
    """An orchestrator kills what does not go; then work in hand is cut."""
    process = _run(start)

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=5)

    assert process.returncode == 0, err
    assert "closed" in out


def test_a_part_that_crashes_ends_the_service_with_an_error() -> None:
    """Half a service that looks alive is worse than a restart."""
    process = _run(
        "scope.spawn(asyncio.sleep(-1, 1/0) if 0 else _boom(), 'part')".replace(
            "asyncio.sleep(-1, 1/0) if 0 else _boom()", "asyncio.open_connection('127.0.0.1', 1)"
        )
    )

    _, err = process.communicate(timeout=5)

    assert process.returncode == 1
    assert "task.crashed" in err


def test_a_closer_that_hangs_does_not_hold_the_process() -> None:
    """The drain is bounded by shutdown_s."""
    process = _run("scope.defer(lambda: asyncio.sleep(3600))")

    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=6)

    assert process.returncode == 1
    assert "service.stop_overdue" in err
