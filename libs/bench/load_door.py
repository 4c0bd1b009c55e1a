"""Load on a callback door. A program of its own, so that its cost is not the door's.

`python -m libs.bench.load_door`: JSON orders on standard input, one a line; a JSON answer to each
on standard output, one a line, once it is carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import cast

import msgspec
import uvloop

_DRAIN_MAX_S = 2.0


class Order(msgspec.Struct, kw_only=True):
    """What to send: `requests_file` holds whole HTTP requests, one after the other.

    `rate` is requests a second, 0 as fast as they are answered; `seconds` how long; `connections`
    how many at once.
    """

    host: str
    port: int
    requests_file: str
    lengths: list[int]
    seconds: float
    connections: int
    rate: float = 0.0


class Answer(msgspec.Struct, kw_only=True):
    """What came back. Latencies in milliseconds, of the requests answered 200."""

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """One connection that sends the next request when the last one is answered."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count the answer once it is whole, then send the next request."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0 or len(self._buffer) < head_end + 4 + _content_length(self._buffer):
            return
        self._load.count(self._buffer[9:12] == b"200", time.perf_counter() - self._sent_at)
        self._buffer = b""
        wait_s = self._load.wait_s()
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing to do: an answer that never came is not counted."""

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None or self._transport is None:
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


class Load:
    """The requests of one order, and what became of them."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._requests = cycle(_split(Path(order.requests_file).read_bytes(), order.lengths))
        self._started = time.perf_counter()
        self._latencies: list[float] = []
        self._refused = 0
        self._begun = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> Answer:
        """Send for as long as ordered."""
        loop = asyncio.get_running_loop()
        order = self._order
        connections = [
            await loop.create_connection(lambda: Connection(self), order.host, order.port)
            for _ in range(order.connections)
        ]
        await asyncio.sleep(order.seconds)
        # The door has most of the cost of what is under way already: that counts, too.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _DRAIN_MAX_S)
        seconds = time.perf_counter() - self._started
        for transport, _ in connections:
            transport.close()
        ordered = sorted(self._latencies) or [0.0]
        return Answer(
            answered=len(self._latencies),
            refused=self._refused,
            seconds=seconds,
            p50_ms=ordered[len(ordered) // 2] * 1000,
            p99_ms=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
        )

    def next_request(self) -> bytes | None:
        """The next request, None when the time is over."""
        if time.perf_counter() - self._started > self._order.seconds:
            return None
        self._begun += 1
        self._idle.clear()
        return next(self._requests)

    def wait_s(self) -> float:
        """Seconds until the next request is due; 0 without a rate."""
        if not self._order.rate:
            return 0.0
        return self._started + self._begun / self._order.rate - time.perf_counter()

    def count(self, is_taken: bool, seconds: float) -> None:
        """Count one answer."""
        if is_taken:
            self._latencies.append(seconds)
        else:
            self._refused += 1
        if len(self._latencies) + self._refused == self._begun:
            self._idle.set()


def _content_length(answer: bytes) -> int:
    start = answer.lower().find(b"content-length:")
    return int(answer[start + 15 : answer.index(b"\r\n", start)]) if start >= 0 else 0


def _split(data: bytes, lengths: list[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


def main() -> None:
    """Read orders, carry each out, print its answer."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin.buffer:
            answer = runner.run(Load(msgspec.json.decode(line, type=Order)).run())
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
