"""A backlog that grows is called one, also when it is worked off afterwards."""

from libs.bench.latencies import Latencies
from libs.bench.load_door import Answer
from libs.bench.whole_rows import BacklogSample, Outcome, backlog_growth, rows_of

SECONDS = 20


def an_outcome(waiting: list[int], pending: list[int], rate: float = 100.0) -> Outcome:
    """Twenty seconds of load; one callback in each broker message, no records."""
    return Outcome(
        rate=rate,
        answer=Answer(
            answered=round(rate) * SECONDS,
            told_again=0,
            unanswered=0,
            used=round(rate) * SECONDS,
            seconds=SECONDS,
            p50_ms=1.0,
            p99_ms=2.0,
            p999_ms=3.0,
            max_ms=4.0,
            waiting=waiting,
        ),
        records=0,
        record_latencies=Latencies([0.01]),
        visible=Latencies([0.1, 0.2]),
        backlog=[
            BacklogSample(
                at_s=number + 1.0,
                events_pending=each,
                changes_pending=0,
                events_stored=round(rate * (number + 1)),
            )
            for number, each in enumerate(pending)
        ],
        settle_s=0.1,
        cpu={"status": 4.0, "load": 1.0},
        peaks_mib={"status": 100.0, "nats": 300.0},
    )


def test_a_level_backlog_does_not_grow() -> None:
    """Work under way is no backlog that grows."""
    assert abs(backlog_growth(an_outcome([7, 8] * 10, [40, 41] * 10))) < 0.1


def test_a_backlog_at_the_door_or_in_a_stream_grows() -> None:
    """A load that is only just behind is never right in the end."""
    at_door = an_outcome([5 * second for second in range(SECONDS)], [0] * SECONDS)
    in_stream = an_outcome([0] * SECONDS, [3 * second for second in range(SECONDS)])

    assert abs(backlog_growth(at_door) - 5) < 0.1
    assert abs(backlog_growth(in_stream) - 3) < 0.1


def test_what_is_worked_off_after_the_load_makes_up_for_nothing() -> None:
    """Seconds without a load always empty a backlog."""
    grows = [5 * second for second in range(SECONDS)]
    shrinks = [90 - 10 * second for second in range(9)]

    outcome = an_outcome(grows + shrinks, [0] * (SECONDS + 9))

    assert backlog_growth(outcome) > 4.5


def test_cpu_is_each_callbacks_and_memory_has_a_target_for_services_only() -> None:
    """The table says what is divided by what."""
    rows = {row.path: row for row in rows_of(an_outcome([0] * SECONDS, [0] * SECONDS))}

    (whole,) = (row for path, row in rows.items() if path.startswith("end to end: recorded"))
    assert whole.cpu_us == {"status": 2000.0, "load": 500.0}
    assert whole.is_met is True
    assert rows["end to end: most memory of status"].is_met is True
    assert rows["end to end: most memory of nats"].is_met is None
