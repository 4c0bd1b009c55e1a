"""Load on a callback door. A program of its own, so that its cost is not the door's.

`python -m libs.bench.load_door`: JSON orders on standard input, one a line; a JSON answer to each
on standard output, one a line, once it is carried out.

With a rate every request has a time at which it is due, and is due then whether or not the door
has answered the ones before: its latency counts from there. No request is sent twice, unless the
door did not answer it 200; then it is told again, as providers do.
"""

from __future__ import annotations

import asyncio
import mmap
import sys
import time
from array import array
from collections import deque
from itertools import accumulate
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from libs.bench.latencies import Latencies

_TICK_S = 0.001
_AGAIN_AFTER_S = 0.2
_ANSWER_MAX_S = 30.0  # after the last request was due or, without a rate, the time was over


class Order(msgspec.Struct, kw_only=True):
    """What to send.

    `requests_file` holds whole HTTP requests one after the other, `lengths_file` their lengths as
    unsigned 32-bit numbers; those from `first` on are sent, `count` at most. `rate` is requests a
    second, each sent once; 0: as fast as they are answered, for `seconds`. `start_at_s` is when to
    begin, by the monotonic clock. Those in `lost` are never sent, though they count as answered: a
    test's way to see that somebody notices.
    """

    host: str
    port: int
    requests_file: str
    lengths_file: str
    first: int
    count: int
    seconds: float
    connections: int
    rate: float = 0.0
    start_at_s: float = 0.0
    lost: list[int] = []


class Answer(msgspec.Struct, kw_only=True):
    """What came back. Latencies in milliseconds, from when the request was due to its 200.

    `used` is how many requests were begun; `waiting` how many were due and not answered, once a
    second; `seconds` from the start to the last answer.
    """

    answered: int
    told_again: int
    unanswered: int
    used: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    waiting: list[int]


class Connection(asyncio.Protocol):
    """One connection; it has one request under way at most."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._under_way: tuple[int, float] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast(asyncio.Transport, transport)
        self._load.take_back(self)

    def send(self, request: bytes, index: int, due_s: float) -> None:
        """Send one request."""
        assert self._transport is not None
        self._under_way = index, due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count the answer once it is whole, and be ready again."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0 or len(self._buffer) < head_end + 4 + _content_length(self._buffer):
            return
        is_taken = self._buffer[9:12] == b"200"
        self._buffer = b""
        assert self._under_way is not None
        index, due_s = self._under_way
        self._under_way = None
        self._load.count(index, due_s, is_taken=is_taken)
        self._load.take_back(self)

    def connection_lost(self, error: Exception | None) -> None:
        """A request without an answer is told again, on another connection."""
        if self._under_way is not None:
            index, due_s = self._under_way
            self._load.count(index, due_s, is_taken=False)
        self._load.replace(self)

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()


class Load:
    """The requests of one order, and what became of them."""

    def __init__(self, order: Order) -> None:
        self._order = order
        lengths = array("I", Path(order.lengths_file).read_bytes())
        self._ends = array("Q", accumulate(lengths))
        with Path(order.requests_file).open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._last = min(order.first + order.count, len(lengths))
        self._next = order.first
        self._lost = frozenset(order.lost)
        self._again: deque[tuple[int, float]] = deque()
        self._free: deque[Connection] = deque()
        self._connections: set[Connection] = set()
        self._connecting: set[asyncio.Future[None]] = set()
        self._latencies = array("d")
        self._told_again = 0
        self._skipped = 0
        self._started = 0.0
        self._last_answer_at = 0.0
        self._done = asyncio.Event()
        self._waiting: list[int] = []

    async def run(self) -> Answer:
        """Send what was ordered; returns when all is answered, or the patience is over."""
        order = self._order
        await asyncio.gather(*(self._connect() for _ in range(order.connections)))
        await asyncio.sleep(max(0.0, order.start_at_s - time.monotonic()))
        # Whoever comes late to the beginning is late with what was due meanwhile.
        self._started = order.start_at_s or time.monotonic()
        self._tick()
        sampler = asyncio.create_task(self._sample())
        # A door that falls behind is waited for: what it took late was late, not lost.
        patience_s = order.seconds * (3 if order.rate else 1) + _ANSWER_MAX_S
        try:
            await asyncio.wait_for(self._done.wait(), patience_s)
        except TimeoutError:
            self._done.set()
        sampler.cancel()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
        return self._answer()

    def take_back(self, connection: Connection) -> None:
        """The connection is free: give it the next request that is due."""
        self._connections.add(connection)
        self._free.append(connection)
        self._send_due()

    def replace(self, connection: Connection) -> None:
        """The connection is gone: make another, unless all is done."""
        self._connections.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if not self._done.is_set():
            asyncio.get_running_loop().call_later(_AGAIN_AFTER_S, self._reconnect)

    def count(self, index: int, due_s: float, *, is_taken: bool) -> None:
        """Count one answer."""
        now = time.monotonic()
        if is_taken:
            self._latencies.append(now - due_s)
            self._last_answer_at = now
        else:
            self._told_again += 1
            again = index, due_s
            asyncio.get_running_loop().call_later(_AGAIN_AFTER_S, self._again.append, again)

    def _tick(self) -> None:
        self._send_due()
        if not self._done.is_set():
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _send_due(self) -> None:
        if not self._started:
            return
        now = time.monotonic()
        due = self._due(now)
        while self._free and (self._again or self._next < due):
            index, due_s = self._again.popleft() if self._again else self._take(now)
            if index in self._lost:
                self._skipped += 1
                continue
            start = self._ends[index - 1] if index else 0
            self._free.popleft().send(self._data[start : self._ends[index]], index, due_s)
        if self._is_over(now) and len(self._latencies) + self._skipped == self._begun:
            self._done.set()

    def _take(self, now: float) -> tuple[int, float]:
        index = self._next
        self._next += 1
        rate = self._order.rate
        return index, self._started + (index - self._order.first) / rate if rate else now

    def _due(self, now: float) -> int:
        """Requests before this one are due."""
        passed_s = now - self._started
        if not self._order.rate:
            return self._last if passed_s < self._order.seconds else self._next
        return min(self._last, self._order.first + int(passed_s * self._order.rate) + 1)

    def _is_over(self, now: float) -> bool:
        is_late = not self._order.rate and now - self._started >= self._order.seconds
        return self._next >= self._last or is_late

    @property
    def _begun(self) -> int:
        return self._next - self._order.first

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(1)
            due = self._due(time.monotonic()) - self._order.first
            self._waiting.append(due - len(self._latencies) - self._skipped)

    async def _connect(self) -> None:
        order = self._order
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Connection(self), order.host, order.port)

    def _reconnect(self) -> None:
        task = asyncio.ensure_future(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Future[None]) -> None:
        self._connecting.discard(task)
        if task.exception() is not None and not self._done.is_set():
            asyncio.get_running_loop().call_later(_AGAIN_AFTER_S, self._reconnect)

    def _answer(self) -> Answer:
        latencies = Latencies(self._latencies)
        answered = len(self._latencies) + self._skipped
        return Answer(
            answered=answered,
            told_again=self._told_again,
            unanswered=self._begun - answered,
            used=self._begun,
            seconds=max(self._last_answer_at - self._started, 1e-6),
            p50_ms=latencies.at(50),
            p99_ms=latencies.at(99),
            p999_ms=latencies.at(99.9),
            max_ms=latencies.at(100),
            waiting=self._waiting,
        )


def _content_length(answer: bytes) -> int:
    start = answer.lower().find(b"content-length:")
    return int(answer[start + 15 : answer.index(b"\r\n", start)]) if start >= 0 else 0


def main() -> None:
    """Read orders, carry each out, print its answer."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin.buffer:
            answer = runner.run(Load(msgspec.json.decode(line, type=Order)).run())
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
