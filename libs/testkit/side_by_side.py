"""pytest on several cores: whole files to each worker, long ones first, a failure repeatable.

Tests of one file stay together, since they share what is dear to start; those of tests/system share
one machine, and each file of tests/faults has one of its own, which it hurts. Each worker takes
files in the one shuffled order, so what it ran can be run again by naming its files: the summary of
a failed run says which.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

_TOGETHER = "tests/system/"
_PR_SET_PDEATHSIG = 1


class _ByFile(LoadScopeScheduling):  # type: ignore[misc] # xdist tells no types
    """Gives out files in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return _TOGETHER if nodeid.startswith(_TOGETHER) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give whole files to the workers."""
    config.option.loadscopereorder = False  # files with few tests may be the long ones
    return _ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Tie a worker's life to that of the run; keep the run's history elsewhere."""
    if hasattr(config, "workerinput"):
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == 1:  # the run was killed before the setting took hold
                os.kill(os.getpid(), signal.SIGKILL)
    else:
        config.pluginmanager.register(_History(), "side_by_side_history")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first, so that no worker is left with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


class _History:
    """Which files each worker ran until its first failure."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, None]] = {}
        self._failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note where a test ran."""
        node: WorkerController | None = getattr(report, "node", None)
        if node is None:
            return
        worker = node.gateway.id
        if worker not in self._failed:
            self._files.setdefault(worker, {})[report.nodeid.partition("::")[0]] = None
            if report.failed:
                self._failed[worker] = report.nodeid

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how to repeat each worker's first failure with all that ran before it."""
        for worker, test in sorted(self._failed.items()):
            terminalreporter.section(f"to repeat {worker} up to {test}", sep="-")
            terminalreporter.line(_repeating(self._files[worker]))


def _repeating(files: Iterable[str]) -> str:
    return shlex.join([sys.executable, "-m", "pytest", "--exitfirst", *files])
