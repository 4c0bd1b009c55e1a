"""A whole machine for tests: ``bluetick up --json`` as a process that ends with the test run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from libs.embedded.child_process import Command, launched
from libs.embedded.surroundings import without_servers

_START_PATIENCE_S = 90.0
_END_PATIENCE_S = 60.0


class UpFailed(Exception):
    """It ended before it was ready; the text is what it said on stderr."""


class Up:
    """A running ``bluetick up --json`` and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, line: str) -> None:
        self.process = process
        self.said: dict[str, Any] = json.loads(line)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end; returns its exit code and all that it said on stderr."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        errors = await asyncio.wait_for(self.process.stderr.read(), _END_PATIENCE_S)
        return await self.process.wait(), errors.decode()


@asynccontextmanager
async def running_up(*options: str, **environment: str) -> AsyncIterator[Up]:
    """Run it with ``options`` until the block ends; ``said`` is its line of JSON.

    No server that the caller's environment names reaches it, only what is given here.

    Raises:
        UpFailed: it did not start.
    """
    command = Command(
        arguments=[sys.executable, "-m", "libs.cli.main", "up", "--json", *options],
        log=Path(os.devnull),
        environment={**without_servers(os.environ), **environment},
        death_signal=signal.SIGTERM,
    )
    process = await asyncio.create_subprocess_exec(
        *launched(command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(command.environment),
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stdout.readline(), _START_PATIENCE_S)
        if not line:
            raise UpFailed((await process.stderr.read()).decode())
        yield Up(process, line.decode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
