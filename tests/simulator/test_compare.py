"""Differences between truth and report are found, named, and nothing else is."""

from bluetick.v1 import analytics_service_pb2, common_pb2

from libs.catalogue import failures
from libs.simulator.compare import Difference, compare_report
from libs.simulator.truth import DROP_REASONS, UNDELIVERED_REASONS, Truth

TRUTH = Truth(
    counters={"targeted": 3, "dropped": 1, "complained": 0},
    reasons={"DROPPED/RATE_LIMITS": 1},
)


def a_report(**counters: int) -> analytics_service_pb2.GetCampaignReportResponse:
    return analytics_service_pb2.GetCampaignReportResponse(counters=counters)


def some_reasons(
    *counts: tuple[common_pb2.FailureReason.ValueType, int],
) -> analytics_service_pb2.GetFailureReasonsResponse:
    response = analytics_service_pb2.GetFailureReasonsResponse()
    for reason, count in counts:
        response.reasons.add(stage=common_pb2.FAILURE_STAGE_DROPPED, reason=reason, count=count)
    return response


def test_an_equal_report_has_no_difference_whatever_else_it_counts() -> None:
    """Reports grow; what the truth does not know about is not wrong."""
    report = a_report(targeted=3, dropped=1, complained=0, converted=9)
    reasons = some_reasons((common_pb2.FAILURE_REASON_RATE_LIMITS, 1))

    assert compare_report(TRUTH, report, reasons) == []


def test_a_missing_counter_differs_from_a_zero() -> None:
    """A report that has no such number must not pass as one that says 0."""
    report = a_report(targeted=3, dropped=1)
    reasons = some_reasons((common_pb2.FAILURE_REASON_RATE_LIMITS, 1))

    assert compare_report(TRUTH, report, reasons) == [Difference("complained", 0, None)]


def test_wrong_counts_and_wrong_reasons_are_both_named() -> None:
    """A failure under the wrong reason keeps every counter right and is wrong all the same."""
    report = a_report(targeted=2, dropped=1, complained=0)
    reasons = some_reasons((common_pb2.FAILURE_REASON_DUPLICATES, 1))

    assert compare_report(TRUTH, report, reasons) == [
        Difference("targeted", 3, 2),
        Difference("DROPPED/DUPLICATES", 0, 1),
        Difference("DROPPED/RATE_LIMITS", 1, 0),
    ]


def test_the_truth_and_the_catalogue_agree_about_the_codes_in_use() -> None:
    """The simulator's own small table is written by hand; a change of the catalogue shows here."""
    for stage, table in (
        (common_pb2.FAILURE_STAGE_DROPPED, DROP_REASONS),
        (common_pb2.FAILURE_STAGE_UNDELIVERED, UNDELIVERED_REASONS),
    ):
        for code, name in table.items():
            reason = common_pb2.FailureReason.Value(f"FAILURE_REASON_{name}")
            assert failures.reason_for("meta", code, stage) == reason, code
