"""Processes that an earlier, killed run left behind in a data folder."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

_PATIENCE_S = 5.0


def processes_in(folder: Path, program: str) -> list[int]:
    """Pids of running ``program``s whose working directory is ``folder`` (Linux; else none)."""
    found = []
    wanted = str(folder.resolve())
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()) != wanted:
                continue
            if (entry / "comm").read_text().strip() == program[:15]:
                found.append(int(entry.name))
        except OSError:
            continue  # it ended, or belongs to somebody else and so is none of ours
    return found


async def end_leftovers(folder: Path, program: str, first: signal.Signals) -> int:
    """End them by pid: ``first``, then SIGKILL; returns how many there were.

    The caller holds the folder's lock, so no living bluetick relies on these processes.
    """
    pids = processes_in(folder, program)
    count = len(pids)
    for number in (first, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while pids and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
            pids = processes_in(folder, program)
    return count
