"""Processes that an earlier, killed run left behind in a data folder."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from libs.embedded.errors import EmbeddedError

_PATIENCE_S = 5.0


def processes_in(folder: Path, program: str, mark: str = "") -> list[int]:
    """Pids of running ``program``s whose working directory is ``folder`` (Linux; else none).

    Root may be denied to see where another user's process works (no CAP_SYS_PTRACE): one that
    shows ``mark`` on its command line counts as well.
    """
    found = []
    wanted = str(folder.resolve())
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() != program[:15]:
                continue
            if _works_in(entry, wanted) or (mark and mark in (entry / "cmdline").read_text()):
                found.append(int(entry.name))
        except (OSError, UnicodeDecodeError):
            continue  # it ended, or belongs to somebody else and so is none of ours
    return found


async def end_leftovers(
    folder: Path, program: str, first: signal.Signals, *, mark: str = ""
) -> int:
    """End them by pid: ``first``, then SIGKILL; returns how many there were.

    The caller holds the folder's lock, so no living bluetick relies on these processes.

    Raises:
        EmbeddedError: one belongs to somebody whose processes we may not end.
    """
    pids = processes_in(folder, program, mark)
    count = len(pids)
    for number in (first, signal.SIGKILL):
        for pid in pids:
            _send(pid, number, program)
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while pids and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
            pids = processes_in(folder, program, mark)
    return count


def _works_in(entry: Path, wanted: str) -> bool:
    try:
        return str((entry / "cwd").readlink()) == wanted
    except PermissionError:
        return False


def _send(pid: int, number: signal.Signals, program: str) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself in between
    except PermissionError as error:
        raise EmbeddedError(
            f"A {program} that an earlier run left behind (pid {pid}) belongs to another user.",
            cure=f"End it as that user: kill {pid}.",
        ) from error
