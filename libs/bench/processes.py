"""CPU time and memory of processes, as the kernel accounts for them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MIB = 2**20


class ProcessGone(Exception):
    """A part ended while it was measured: no figure of that run means anything."""


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of one process, those that ended included.

    Raises:
        ProcessGone: there is no such process.
    """
    try:
        if sys.platform == "linux":
            # The clock of a process, exact to the nanosecond; /proc/PID/stat has the same in
            # steps of ten milliseconds. Number: clock_getcpuclockid(3).
            return time.clock_gettime((~pid << 3) | 2)
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    except (OSError, psutil.NoSuchProcess) as error:
        raise ProcessGone(f"process {pid} ended while it was measured") from error


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process, its descendants, and its children that ended.

    Raises:
        ProcessGone: the process itself is not there.
    """
    total = cpu_s(pid) + _ended_children_s(pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(ProcessGone):
                total += cpu_s(child.pid)
    return total


def peak_mib(pid: int) -> float:
    """Largest resident memory so far, or since `forget_peak`; MiB. Elsewhere than on Linux: now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / _MIB


def forget_peak(pid: int) -> None:
    """Let the peak begin anew; where that is not allowed it stays that since the start."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


class CpuWatch:
    """CPU seconds of every process from now on, by the part's name.

    `trees` are counted with their descendants, `alone` without: whoever started all others would
    count them twice.
    """

    def __init__(self, trees: Mapping[str, int], alone: Mapping[str, int]) -> None:
        self._trees = dict(trees)
        self._alone = dict(alone)
        self._before = self._read()

    def stop(self) -> dict[str, float]:
        """CPU seconds of each part since this was made; may be asked again.

        Raises:
            ProcessGone: a part ended meanwhile.
        """
        now = self._read()
        return {name: now[name] - before for name, before in self._before.items()}

    def _read(self) -> dict[str, float]:
        read = {name: tree_cpu_s(pid) for name, pid in self._trees.items()}
        return read | {name: cpu_s(pid) for name, pid in self._alone.items()}


def microseconds_each(cpu: Mapping[str, float], count: int) -> dict[str, float]:
    """CPU microseconds for each of `count` things, by part."""
    return {name: seconds / max(count, 1) * 1e6 for name, seconds in cpu.items()}


def mean_of(samples: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean of several rounds, by part."""
    rounds = list(samples)
    return {name: sum(one[name] for one in rounds) / len(rounds) for name in rounds[0]}


def _ended_children_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        # The name, field 2, may hold spaces and brackets; fields 16 and 17 are what is wanted.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
    return 0.0
