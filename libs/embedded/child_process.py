"""One child process: started so that it cannot outlive us, stopped in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from libs.embedded.identity import AS_WE_ARE, Identity

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_BYTES_MAX = 16 * 1024 * 1024
# What a child may know about its surroundings when it needs nothing of them.
BARE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

StopPlan = Sequence[tuple[signal.Signals, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run and how.

    ``death_signal`` is what the kernel sends the child when the thread that started it is gone,
    even by kill -9 (Linux). ``log`` is appended to; above 16 MiB it is set aside at start.
    ``standard_input`` is a file for it to read; nothing unless given.
    """

    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    directory: Path | None = None
    identity: Identity = AS_WE_ARE
    death_signal: signal.Signals = signal.SIGKILL
    standard_input: Path = Path(os.devnull)


class ChildProcess:
    """A running child. Made by ``start``; ``pid`` stays valid until ``wait`` has returned."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Command) -> ChildProcess:
        """Start ``command``; it may still fail on its own, see ``exit_code``."""
        set_aside_if_large(command.log)
        with (
            _opened(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as log,
            _opened(command.standard_input, os.O_RDONLY) as standard_input,
        ):
            process = await asyncio.create_subprocess_exec(
                *launched(command),
                stdin=standard_input,
                stdout=log,
                stderr=log,
                env=dict(command.environment),
                start_new_session=True,  # Ctrl-C reaches us alone: we stop the parts in order
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """Of the command itself: the launcher becomes it."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        return await self._process.wait()

    async def stop(self, plan: StopPlan) -> int:
        """Send each signal of ``plan`` and wait its seconds; SIGKILL after the last."""
        for number, patience_s in plan:
            if self.exit_code is not None:
                break
            self._signal(number)
            try:
                return await asyncio.wait_for(self.wait(), patience_s)
            except TimeoutError:
                continue
        self._signal(signal.SIGKILL)
        return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in between
            self._process.send_signal(number)


async def output_of(command: Command, *, patience_s: float) -> tuple[int, str]:
    """Run ``command`` to its end; returns (exit code, what it printed on both streams).

    Raises:
        TimeoutError: it took longer than ``patience_s``; it has been killed.
    """
    with _opened(command.standard_input, os.O_RDONLY) as standard_input:
        process = await asyncio.create_subprocess_exec(
            *launched(command),
            stdin=standard_input,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(command.environment),
            start_new_session=True,
        )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), patience_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, printed.decode(errors="replace").strip()


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor of ``path`` for a child to inherit; closed here at the end."""
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def set_aside_if_large(log: Path) -> None:
    """Keep a log that is appended to over many starts from growing for ever."""
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))


def launched(command: Command) -> list[str]:
    """The arguments that run ``command`` by way of the launcher, as a child of this process."""
    identity = command.identity
    plan = {
        "parent": os.getpid(),
        "death_signal": int(command.death_signal),
        "directory": str(command.directory) if command.directory else None,
        "uid": identity.uid,
        "gid": identity.gid,
        "namespace": identity.namespace,
    }
    return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(plan), *command.arguments]
