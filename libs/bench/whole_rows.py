"""What a steady load came to, as rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from libs.bench.latencies import Latencies
from libs.bench.load_door import Answer
from libs.bench.machine import SERVICES
from libs.bench.processes import microseconds_each
from libs.bench.results import Row, Target, Unit

_CALLBACKS_TARGET = 10_000
_KEPT_UP = 0.99  # of the rate that was offered, where that is less than the target
_VISIBLE_P99_MS = 2_000
_SETTLE_S = 2.0
_GROWTH_SHARE = 0.01  # of the rate: what a backlog may seem to grow by and still be called flat
_MEMORY_MIB = 250


@dataclass(frozen=True, slots=True)
class BacklogSample:
    """What waited in the streams, in broker messages, so many seconds after the start."""

    at_s: float
    events_pending: int
    changes_pending: int
    events_stored: int  # broker messages with events since the start


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of a steady load, all numbers checked. `cpu` is in seconds, by process."""

    rate: float
    answer: Answer
    records: int
    record_latencies: Latencies
    visible: Latencies
    backlog: Sequence[BacklogSample]
    settle_s: float
    cpu: Mapping[str, float]
    peaks_mib: Mapping[str, float]


def rows_of(outcome: Outcome) -> list[Row]:
    """Everything that the run says."""
    return [
        _rate_row(outcome),
        _ms("callback answered, from when it was due, p99", outcome.answer.p99_ms),
        _ms("callback to visible, p50", outcome.visible.at(50)),
        _ms("callback to visible, p99", outcome.visible.at(99), _VISIBLE_P99_MS),
        Row(
            path="end to end: backlog in callbacks, growth",
            unit=Unit.MORE_PER_SECOND,
            ours=backlog_growth(outcome),
            target=Target(_GROWTH_SHARE * outcome.rate),
            notes=_thirds(_backlog(outcome)),
        ),
        Row(
            path="end to end: from the last answer until every number is right",
            unit=Unit.SECONDS,
            ours=outcome.settle_s,
            target=Target(_SETTLE_S),
        ),
        *(_memory_row(name, mib) for name, mib in outcome.peaks_mib.items()),
    ]


def backlog_growth(outcome: Outcome) -> float:
    """Callbacks a second by which the backlog grew: slope of the straight line through it.

    The first tenth is left out, in which it comes to its level.
    """
    points = list(enumerate(_backlog(outcome)))
    points = points[len(points) // 10 :]
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def _backlog(outcome: Outcome) -> list[float]:
    """Callbacks and records that waited, once a second: at the door and in both streams.

    Only as long as there was a load: what is worked off afterwards would make up for it.
    """
    waiting = outcome.answer.waiting
    load_s = outcome.answer.used / outcome.rate
    told_a_s = outcome.rate * (1 + outcome.records / max(outcome.answer.answered, 1))
    series = []
    for number, one in enumerate(outcome.backlog):
        if one.at_s > load_s:
            break
        each = told_a_s * one.at_s / max(one.events_stored, 1)  # events in a broker message
        at_door = waiting[number] if number < len(waiting) else 0
        series.append(at_door + (one.events_pending + one.changes_pending) * each)
    return series


def _thirds(series: Sequence[float]) -> dict[str, float]:
    """The most, and the medians of the first and of the last third."""
    third = max(1, len(series) // 3)
    return {
        "most": max(series, default=0.0),
        "first_third": median(series[:third] or (0.0,)),
        "last_third": median(series[-third:] or (0.0,)),
    }


def _rate_row(outcome: Outcome) -> Row:
    answer = outcome.answer
    is_enough = outcome.rate >= _CALLBACKS_TARGET
    return Row(
        path=f"end to end: recorded callbacks, {outcome.rate:,.0f} a second due, one a POST, "
        "every number right",
        unit=Unit.PER_SECOND,
        ours=answer.answered / answer.seconds,
        target=Target((_CALLBACKS_TARGET if is_enough else outcome.rate) * _KEPT_UP),
        cpu_us=microseconds_each(outcome.cpu, answer.answered),
        per="callback",
        notes={
            "callbacks": answer.answered,
            "records": outcome.records,
            "told_again": answer.told_again,
            "seconds": answer.seconds,
            "p50_ms": answer.p50_ms,
            "p999_ms": answer.p999_ms,
            "max_ms": answer.max_ms,
            "record_call_p50_ms": outcome.record_latencies.at(50),
            "record_call_p99_ms": outcome.record_latencies.at(99),
        },
    )


def _ms(path: str, milliseconds: float, target: float | None = None) -> Row:
    return Row(
        path=f"end to end: {path}",
        unit=Unit.MILLISECONDS,
        ours=milliseconds,
        target=Target(target) if target else None,
    )


def _memory_row(name: str, mib: float) -> Row:
    return Row(
        path=f"end to end: most memory of {name}",
        unit=Unit.MEBIBYTES,
        ours=mib,
        target=Target(_MEMORY_MIB) if name in SERVICES else None,
    )
