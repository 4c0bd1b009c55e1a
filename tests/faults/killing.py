"""Ends processes of a running machine without asking, as a kernel without memory does."""

import asyncio
import os
import random
import signal
from pathlib import Path

# What the command line of each process of a machine holds, the first one of its kind.
MARKS = {
    "ingest": "services.ingest",
    "status": "services.status",
    "analytics": "services.analytics",
    "gateway": "services.gateway",
    "nats": "nats-server",
    "postgres": "/postgres\0-D",
}


def find(up_pid: int, name: str) -> int | None:
    """Return the pid that a part of a machine has now; None: it is just being started again."""
    mark = MARKS[name]
    for pid in _children(up_pid):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            continue
        if mark in line:
            return pid
        # The server's first process may run below one that holds its files together.
        if (below := find(pid, name)) is not None:
            return below
    return None


async def kill_again_and_again(
    up_pid: int, chance: random.Random, pause_s: tuple[float, float]
) -> dict[str, int]:
    """Kill -9 parts at random until cancelled; the result grows while it runs."""
    killed = dict.fromkeys(MARKS, 0)
    try:
        while True:
            await asyncio.sleep(chance.uniform(*pause_s))
            # The one that was spared most often so far, by chance among equals.
            name = min(MARKS, key=lambda part: (killed[part], chance.random()))
            if (pid := find(up_pid, name)) is not None:
                os.kill(pid, signal.SIGKILL)
                killed[name] += 1
    except asyncio.CancelledError:
        return killed


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
