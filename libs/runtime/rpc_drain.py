"""Stops a gRPC server without losing a call that has reached it.

gRPC's own stop cancels every call that waits in its queue, unseen by any handler: under a burst
that is a fifth to four fifths of it. So the server stops at a moment when that queue is empty. To
get there, calls that were taken are held at the gate for a moment (60 ms, at most 1.2 s): nothing
else runs, the queue empties, callers who wait for answers send no more. Then connections are told
to go, and the gate opens for those held.

What is not covered: a caller who keeps sending without waiting for answers can still hit the
instant in which the server closes; it gets CANCELLED for that one call. Where that matters, the
time between "not ready" and the stop is made longer than the age of connections.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

# The queue counts as empty after this many looks, one every _LOOK_S, without a new call: longer
# than a call is on its way from a caller whose machine is busy.
_QUIET_LOOKS = 12
_LOOK_S = 0.005
# With callers who do not wait for answers it is never quiet that long; then the first short gap.
_PATIENCE_S = 0.6
# For the last answer to leave, after the last handler has ended.
_LAST_LINES_S = 0.5


class Stoppable(Protocol):
    """A ``grpc.aio`` server."""

    async def stop(self, grace: float | None) -> None:
        """Send GOAWAY, take nothing new, cancel what runs after ``grace`` seconds."""


class Drain:
    """The calls and streams that run in one server, and the way to its end.

    Every handler calls ``enter`` first and ``leave`` last, whatever happens between.
    """

    def __init__(self) -> None:
        self.calls = 0  # that run now, streams included
        self.is_draining = False
        self._taken = 0
        self._gate: asyncio.Event | None = None
        self._ends: set[Callable[[], None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def enter(self) -> None:
        """Count a call; while the server looks for its moment to stop, hold it."""
        self.calls += 1
        self._taken += 1
        if self._gate is not None:
            await self._gate.wait()

    def leave(self) -> None:
        """Count a call off."""
        self.calls -= 1
        if not self.calls and self.is_draining:
            self._empty.set()

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._ends)

    def open_stream(self, end: Callable[[], None]) -> None:
        """Keep ``end``, which ends the stream with words for its caller, until it closes."""
        self._ends.add(end)

    def close_stream(self, end: Callable[[], None]) -> None:
        """Forget a stream that ended."""
        self._ends.discard(end)

    async def stop(self, server: Stoppable, within_s: float) -> None:
        """End all streams with words, let calls finish, stop ``server``; cancel after the time."""
        self.is_draining = True
        if self.calls:
            self._empty.clear()
        for end in tuple(self._ends):
            end()
        deadline = asyncio.get_running_loop().time() + within_s
        stopping = await self._close_the_door(server, deadline)
        await self._finish(stopping, server, within_s)

    async def _close_the_door(self, server: Stoppable, deadline: float) -> asyncio.Task[None]:
        clock = asyncio.get_running_loop().time
        self._gate = gate = asyncio.Event()
        try:
            await self._quiet(min(clock() + _PATIENCE_S, deadline))
            stopping = asyncio.create_task(server.stop(max(0.0, deadline - clock())))
            # The server closes in the first step of its stop; the calls at the gate are safe then.
            await asyncio.sleep(0)
        finally:
            gate.set()
            self._gate = None
        return stopping

    async def _quiet(self, patience_end: float) -> None:
        clock = asyncio.get_running_loop().time
        quiet, seen = 0, -1
        while quiet < _QUIET_LOOKS and clock() < patience_end + _PATIENCE_S:
            await asyncio.sleep(_LOOK_S)
            quiet = quiet + 1 if self._taken == seen else 0
            seen = self._taken
            if quiet and clock() > patience_end:
                return

    async def _finish(
        self, stopping: asyncio.Task[None], server: Stoppable, within_s: float
    ) -> None:
        idle = asyncio.create_task(self._empty.wait())
        await asyncio.wait({stopping, idle}, return_when=asyncio.FIRST_COMPLETED)
        # What still runs then is nobody's work: watches of health, open reflection.
        await server.stop(min(_LAST_LINES_S, within_s))
        await stopping
        # gRPC's stop returns before the last lines of handlers have run (grpc/grpc#37239).
        await asyncio.wait({idle}, timeout=_LAST_LINES_S)
        idle.cancel()
