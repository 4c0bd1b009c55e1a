"""One of the four services as a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from libs.embedded.child_process import ChildProcess, Command
from libs.embedded.errors import EmbeddedError
from libs.embedded.http_probe import answers_200
from libs.embedded.ports import becomes_free

_READY_PATIENCE_S = 60.0
_PORT_PATIENCE_S = 10.0


class ServiceProcess:
    """``python -m services.<name>`` with its settings in the environment.

    ``ports`` are those it will listen on, by the name of the setting. ``ready_url`` answers 200
    when it takes work. ``stop_patience_s`` bounds its drain; after that it is killed.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str],
        ports: Mapping[str, int],
        ready_url: str,
        log: Path,
        stop_patience_s: float,
    ) -> None:
        self.name = name
        self._environment = environment
        self._ports = ports
        self._ready_url = ready_url
        self._log = log
        self._stop_patience_s = stop_patience_s
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        """None when it was not started."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the process; it is not ready yet when this returns.

        Raises:
            EmbeddedError: another program has one of its ports.
        """
        for setting, port in self._ports.items():
            # A process of a killed run may need a moment to let go.
            if not await becomes_free(port, patience_s=_PORT_PATIENCE_S):
                raise EmbeddedError(
                    f"Port {port} is taken by another program, {self.name} needs it.",
                    cure=f"Stop that program, or set {setting} to another port.",
                )
        self._child = await ChildProcess.start(
            Command(
                arguments=[sys.executable, "-m", f"services.{self.name}"],
                log=self._log,
                environment={**os.environ, "PYTHONPATH": _import_path(), **self._environment},
                death_signal=signal.SIGKILL,  # every line of a service may be its last
            )
        )

    async def wait_ready(self) -> None:
        """Return when it takes work.

        Raises:
            EmbeddedError: it ended, or was not ready within a minute.
        """
        assert self._child is not None, "start first"
        deadline = asyncio.get_running_loop().time() + _READY_PATIENCE_S
        while not await answers_200(self._ready_url):
            if self._child.exit_code is not None:
                raise EmbeddedError(
                    f"The service {self.name} ended while it was starting.",
                    cure=f"Its log is {self._log}. Its last words: {_tail(self._log)}",
                )
            if asyncio.get_running_loop().time() > deadline:
                raise EmbeddedError(
                    f"The service {self.name} is not ready after {_READY_PATIENCE_S:.0f} s.",
                    cure=f"Its log is {self._log}.",
                )
            await asyncio.sleep(0.05)

    async def wait(self) -> int:
        """Return the exit code once it has ended."""
        assert self._child is not None, "start first"
        return await self._child.wait()

    async def stop(self) -> None:
        """Let it drain within its time, then kill it."""
        if self._child is not None:
            await self._child.stop([(signal.SIGTERM, self._stop_patience_s)])
            self._child = None


def _import_path() -> str:
    """What makes the child import the same code as we did, installed or not."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-8:])
