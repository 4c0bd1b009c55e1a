"""The processes that send: started, ordered, asked for their CPU time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

from libs.bench.load_door import Answer, Order
from libs.bench.request_files import RequestFile


class LoadProcess:
    """A process that sends; one order after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Whose CPU time is the load's."""
        return self._process.pid

    def send(
        self,
        url: str,
        requests: RequestFile,
        *,
        seconds: float,
        connections: int,
        rate: float = 0.0,
        start_at_s: float = 0.0,
        lost: tuple[int, ...] = (),
    ) -> Answer:
        """Send what is left of the requests, each once, and return what came back; blocks.

        Args:
            url: of the door; the requests have the path.
            requests: those that were begun are marked as used.
            seconds: how long, without a rate; with one, how long it should take.
            connections: how many requests are under way at most.
            rate: requests a second, each with a time at which it is due; 0: as fast as possible.
            start_at_s: monotonic time at which to begin; the past: at once.
            lost: numbers of requests that are to be lost on the way, as a test of the accounting.
        """
        parts = urlsplit(url)
        order = Order(
            host=parts.hostname or "",
            port=parts.port or 80,
            requests_file=str(requests.file),
            lengths_file=str(requests.lengths_file),
            first=requests.used,
            count=requests.count - requests.used,
            seconds=seconds,
            connections=connections,
            rate=rate,
            start_at_s=start_at_s,
            lost=list(lost),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        answer = msgspec.json.decode(self._process.stdout.readline(), type=Answer)
        requests.used += answer.used
        return answer


@contextmanager
def load_process() -> Iterator[LoadProcess]:
    """A sending process, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "libs.bench.load_door"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield LoadProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            if process.poll() is None:
                process.terminate()
