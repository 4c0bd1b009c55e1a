"""The load and the bare doors measure something real."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from libs.bench.door import floor_door, meta_requests
from libs.bench.floor_door import FloorServer
from libs.bench.load_process import load_process
from libs.bench.request_files import RequestFile, request_file


@pytest.fixture
def requests() -> Iterator[RequestFile]:
    with request_file(meta_requests("bench-test", 3, 400), 3) as file:
        yield file


@pytest.mark.parametrize("server", list(FloorServer))
def test_a_bare_door_takes_signed_callbacks_from_the_load(
    server: FloorServer, requests: RequestFile
) -> None:
    """A floor that refuses its requests would be fast and mean nothing."""
    with floor_door(server) as (url, _), load_process() as load:
        answer = load.send(url, requests, seconds=0.2, connections=4)

    assert answer.answered > 0
    assert answer.told_again == 0
    assert answer.unanswered == 0
    assert 0 < answer.p50_ms <= answer.p99_ms <= answer.max_ms


def test_no_request_is_sent_again_when_they_run_out(requests: RequestFile) -> None:
    """A door that sees the same callbacks again has an easier life."""
    with floor_door(FloorServer.UVICORN) as (url, _), load_process() as load:
        first = load.send(url, requests, seconds=30, connections=4)
        second = load.send(url, requests, seconds=0.1, connections=4)

    assert first.answered == requests.count
    assert first.seconds < 30
    assert second.answered == 0


def test_a_door_that_stands_still_is_late_for_all_that_was_due_meanwhile(
    requests: RequestFile,
) -> None:
    """Whoever waits for an answer before asking again never notices how long others wait."""
    still_s = 0.5
    with floor_door(FloorServer.UVICORN) as (url, pid), load_process() as load:
        os.kill(pid, signal.SIGSTOP)
        start_at_s = time.monotonic()
        going_on = threading.Timer(still_s, os.kill, (pid, signal.SIGCONT))
        going_on.start()
        answer = load.send(url, requests, seconds=2, connections=4, rate=200, start_at_s=start_at_s)
        going_on.join()

    # A quarter of the time nobody answered: of 400 requests 100 were late, 4 of them under way.
    assert answer.answered == requests.count
    assert answer.p99_ms > still_s * 1000 / 2


def test_what_is_lost_on_the_way_counts_as_sent(requests: RequestFile) -> None:
    """The load must not know; only the numbers can."""
    with floor_door(FloorServer.UVICORN) as (url, _), load_process() as load:
        answer = load.send(url, requests, seconds=0.2, connections=2, rate=2000, lost=(3, 5))

    assert answer.answered == requests.count
    assert answer.unanswered == 0
