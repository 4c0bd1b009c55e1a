"""The load and the bare door measure something real."""

from libs.bench.door import _floor_door, requests_of, send

START_S = 1_785_900_000


def test_the_bare_door_takes_signed_callbacks_from_the_load() -> None:
    """A floor that refuses its requests would be fast and mean nothing."""
    with _floor_door() as (url, _), requests_of(3, 20, START_S) as requests:
        answer = send(url, requests, seconds=0.3, connections=4, rate=0.0)

    assert answer.answered > 0
    assert answer.refused == 0
    assert 0 < answer.p50_ms <= answer.p99_ms


def test_the_load_keeps_to_a_rate() -> None:
    """A latency at full load says nothing about the load that is promised."""
    with _floor_door() as (url, _), requests_of(1, 20, START_S) as requests:
        answer = send(url, requests, seconds=0.5, connections=2, rate=40)

    assert 1 <= answer.answered <= 25
