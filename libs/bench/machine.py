"""A whole Bluetick for as long as it is needed: started as a program, paused part by part."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from libs.bench.processes import CpuWatch, forget_peak, peak_mib
from libs.embedded.child_process import Command, launched
from libs.embedded.surroundings import without_servers

UP = (sys.executable, "-m", "libs.cli.main", "up", "--ephemeral", "--json")
SERVICES = ("ingest", "status", "analytics", "gateway")
SERVERS = ("nats", "postgres")

_STOP_S = 30.0
_LOG_TAIL_BYTES = 4000


class MachineFailed(Exception):
    """The machine ended before it was ready; the text is the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningMachine:
    """Where a running machine is reached. `start_s` is the time it took to be ready."""

    gateway: str
    ingest: str
    nats: str
    postgres: str
    tenant: str
    api_key: str  # of an ADMIN
    pids: dict[str, int]
    up_pid: int  # of the program that keeps the others running
    start_s: float

    def environment(self, service: str) -> dict[str, str]:
        """What the service was given: its ports and the secret between services."""
        return dict(psutil.Process(self.pids[service]).environ())

    def watch_cpu(self, **senders: int) -> CpuWatch:
        """CPU time of every process from now on: services, servers, whoever keeps them, and us.

        `senders` are the pids of load generators, by name.
        """
        alone = {"up": self.up_pid, "bench": os.getpid(), **senders}
        return CpuWatch({name: self.pids[name] for name in (*SERVICES, *SERVERS)}, alone)

    def forget_peaks(self) -> None:
        """Let every service's largest memory begin anew."""
        for name in SERVICES:
            forget_peak(self.pids[name])

    def peaks_mib(self) -> dict[str, float]:
        """Largest resident memory of each service, and of the broker, MiB."""
        return {name: peak_mib(self.pids[name]) for name in (*SERVICES, "nats")}

    def is_compiled(self, service: str) -> bool:
        """Whether the service runs code of its own that was compiled."""
        with contextlib.suppress(psutil.Error):
            files = [one.path for one in psutil.Process(self.pids[service]).memory_maps()]
            return any(_is_our_extension(file, service) for file in files)
        return False


@contextlib.contextmanager
def ephemeral_machine() -> Iterator[RunningMachine]:
    """Run `bluetick up --ephemeral`; everything is gone when the block ends.

    It brings its own database and broker, whatever the environment names.

    Raises:
        MachineFailed: it ended before it was ready.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        command = Command(
            arguments=UP,
            log=Path(os.devnull),
            environment=without_servers(os.environ),
            death_signal=signal.SIGTERM,  # it ends with us, in order, also when we are killed
        )
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            launched(command),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=dict(command.environment),
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("{"):
                raise MachineFailed(_tail(log, line))
            yield _read(line, process.pid, time.monotonic() - started)
        finally:
            _stop(process)


def _is_our_extension(file: str, service: str) -> bool:
    return file.endswith(".so") and (f"services/{service}/" in file or "bluetick" in file)


def _read(line: str, up_pid: int, start_s: float) -> RunningMachine:
    said = json.loads(line)
    return RunningMachine(
        gateway=said["gateway"],
        ingest=said["ingest"],
        nats=said["nats"],
        postgres=said["postgres"],
        tenant=said["tenant"],
        api_key=said["api_keys"]["admin"],
        pids={name: pid for name, pid in said["pids"].items() if pid},
        up_pid=up_pid,
        start_s=start_s,
    )


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _tail(log: IO[str], first_line: str) -> str:
    size = log.seek(0, 2)
    log.seek(max(0, size - _LOG_TAIL_BYTES))
    return f"{first_line}{log.read()}".strip()
