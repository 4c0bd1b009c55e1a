"""Truth against report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bluetick.v1 import analytics_service_pb2, common_pb2

from libs.simulator.truth import Truth


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that is not what it should be. `reported` is None where it is missing."""

    name: str
    expected: int
    reported: int | None


def compare_report(
    truth: Truth,
    report: analytics_service_pb2.GetCampaignReportResponse,
    reasons: analytics_service_pb2.GetFailureReasonsResponse,
) -> list[Difference]:
    """Every counter and every failure reason; empty means that all are equal.

    What cannot exist must be said to be unavailable and not be counted; what means less than its
    name must be said to.
    """
    differences = list(_compare(truth.counters, report.counters))
    missing = {one.metric: one.reason for one in report.unavailable}
    weaker = {one.metric: one.reason for one in report.caveats}
    for told, expected in ((missing, truth.unavailable), (weaker, truth.caveats)):
        differences += [
            Difference(f"{name}: {reason}", 1, None)
            for name, reason in expected.items()
            if told.get(name) != reason
        ]
    differences += [
        Difference(f"{name}: not to be counted", 0, report.counters[name])
        for name in truth.unavailable
        if name in report.counters
    ]
    reported = reasons_by_name(reasons)
    names = sorted({*truth.reasons, *reported})
    counted = {name: truth.reasons.get(name, 0) for name in names}
    return differences + list(_compare(counted, reported, missing=0))


def reasons_by_name(
    response: analytics_service_pb2.GetFailureReasonsResponse,
) -> dict[str, int]:
    """Messages by "STAGE/REASON"."""
    return {
        f"{_word(common_pb2.FailureStage.Name(one.stage), 'FAILURE_STAGE_')}/"
        f"{_word(common_pb2.FailureReason.Name(one.reason), 'FAILURE_REASON_')}": one.count
        for one in response.reasons
    }


def _compare(
    expected: Mapping[str, int], reported: Mapping[str, int], missing: int | None = None
) -> Iterable[Difference]:
    for name, count in expected.items():
        said = reported.get(name, missing)
        if said != count:
            yield Difference(name, count, said)


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix)
