"""Somebody who means a callback door ill. A program of its own, as the load is.

`python -m libs.bench.hostile_load`: one JSON order on standard input; a JSON count of what was done
on standard output, once the order's time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec
import uvloop

_PIECE_BYTES = 64 * 1024


class Attack(msgspec.Struct, kw_only=True):
    """What to do to a door.

    ``connections`` are opened from ``address`` and opened again whenever they are closed. On each
    the bytes of ``file`` are sent; then again once that was answered or, with ``is_held``, never:
    one more byte each second, if ``is_trickling``. ``bytes_per_s``: of all together; 0: any.
    """

    host: str
    port: int
    address: str
    file: str
    seconds: float
    connections: int
    is_held: bool = False
    is_trickling: bool = False
    bytes_per_s: float = 0.0


class Done(msgspec.Struct, kw_only=True):
    """What was done: connections opened, requests begun, bytes sent, answers by their status."""

    opened: int = 0
    requests: int = 0
    bytes_sent: int = 0
    answers: dict[str, int] = {}


class Attacker:
    """One order under way."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._request = Path(attack.file).read_bytes()
        self._ends_at = time.monotonic() + attack.seconds
        self._began_at = time.monotonic()
        self.done = Done()

    async def run(self) -> Done:
        """Attack until the time is over."""
        tasks = [asyncio.create_task(self._connection()) for _ in range(self._attack.connections)]
        await asyncio.sleep(self._attack.seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self.done

    async def _connection(self) -> None:
        while time.monotonic() < self._ends_at:
            # Closed, reset, refused: all is tried again.
            with contextlib.suppress(OSError, EOFError):
                await self._talk()
            await asyncio.sleep(0.01)

    async def _talk(self) -> None:
        attack = self._attack
        reader, writer = await asyncio.open_connection(
            attack.host, attack.port, local_addr=(attack.address, 0)
        )
        self.done.opened += 1
        try:
            while True:
                await self._send(writer)
                if attack.is_held:
                    await self._hold(reader, writer)
                    return
                head = await reader.readuntil(b"\r\n\r\n")
                status = head[9:12].decode("latin-1")
                self.done.answers[status] = self.done.answers.get(status, 0) + 1
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        self.done.requests += 1
        for start in range(0, len(self._request), _PIECE_BYTES):
            piece = self._request[start : start + _PIECE_BYTES]
            writer.write(piece)
            await writer.drain()
            self.done.bytes_sent += len(piece)
            if self._attack.bytes_per_s:
                due_at = self._began_at + self.done.bytes_sent / self._attack.bytes_per_s
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(1.0):
                    if not await reader.read(1_024):
                        return
            except TimeoutError:
                if self._attack.is_trickling:
                    writer.write(b"x")
                    await writer.drain()


if __name__ == "__main__":
    # It stands for other machines: what it costs is not to be taken from this one's.
    os.nice(10)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Attack)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(Attacker(order).run())).decode(), flush=True)
