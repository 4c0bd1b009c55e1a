"""Keeps the parts of a machine running: what ends unasked is started again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol

from libs.embedded.errors import EmbeddedError

_DELAY_FIRST_S = 0.1
_DELAY_MAX_S = 5.0
_LOOK_EVERY_S = 2.0
# What a new start did not help is not helped by more of them at once.
_THAW_S = 10.0
# Whoever ran this long starts again without a wait.
_STEADY_S = 30.0


class Part(Protocol):
    """A process with a name. ``start`` may be called again after it ended."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def pid(self) -> int | None:
        """None when it does not run."""

    async def start(self) -> None:
        """Start it, on the same ports and with the same data as before."""

    async def wait(self) -> int:
        """Return the exit code once it has ended; negative: a signal ended it."""

    async def stop(self) -> None:
        """End it in bounded time; also when it never started."""


class Freezing(Part, Protocol):
    """A part that may stop working without an end of its process."""

    async def frozen(self) -> str:
        """Why only a new start brings it back; "" when it needs none."""

    async def end(self) -> None:
        """End its process in bounded time; it will be started again."""


class Supervisor:
    """Watches parts that were started; ``say`` is told what happens, in a line for people."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._watches: list[asyncio.Task[None]] = []

    def watch(self, part: Part) -> None:
        """Start ``part`` again whenever it ends, until ``release``."""
        self._watches.append(asyncio.create_task(self._keep(part), name=f"watch_{part.name}"))

    def thaw(self, part: Freezing) -> None:
        """End ``part``, which is watched, whenever only a new start brings it back."""
        self._watches.append(asyncio.create_task(self._thaw(part), name=f"thaw_{part.name}"))

    async def release(self) -> None:
        """Watch no longer: whatever ends now, stays ended."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches.clear()

    async def _keep(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        delay_s = _DELAY_FIRST_S
        while True:
            started = loop.time()
            code = await part.wait()
            if loop.time() - started > _STEADY_S:
                delay_s = _DELAY_FIRST_S
            self._say(f"{part.name} ended ({_ending(code)}); it is started again")
            delay_s = await self._start_again(part, delay_s)
            self._say(f"{part.name} runs again (pid {part.pid})")

    async def _thaw(self, part: Freezing) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if reason := await part.frozen():
                self._say(f"{part.name} {reason}")
                await part.end()
                await asyncio.sleep(_THAW_S)

    async def _start_again(self, part: Part, delay_s: float) -> float:
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _DELAY_MAX_S)
            try:
                await part.start()
                return delay_s
            except (EmbeddedError, OSError) as error:
                self._say(f"{part.name} does not start: {error}")


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
