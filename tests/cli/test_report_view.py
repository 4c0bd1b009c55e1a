"""The report's page: what it shows, at 80 columns, with and without colours."""

import io
import json

import pytest
from bluetick.v1 import analytics_service_pb2, campaign_service_pb2, common_pb2
from rich.console import Console

from libs.cli import report_words as words
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.cli.report import json_text
from libs.cli.report_view import ReportPage

Report = analytics_service_pb2.GetCampaignReportResponse
Reasons = analytics_service_pb2.GetFailureReasonsResponse


def a_report() -> Report:
    report = Report(campaign_id="spring", definition_version="1")
    counters = {
        "targeted": 12,
        "dropped": 2,
        "sent": 10,
        "delivered": 7,
        "undelivered": 1,
        "pending": 2,
        "read": 4,
        "read_inferred": 6,
        "clicked": 3,
        "clicks": 5,
        "people_targeted": 11,
        "people_reached": 6,
    }
    for name, count in counters.items():
        report.counters[name] = count
    add_rate(report, "delivered", "sent", interval=(0.3968, 0.8922))
    add_rate(report, "clicks", "delivered")
    report.as_of_time.FromSeconds(1_785_900_000)
    return report


def add_rate(
    report: Report, numerator: str, denominator: str, interval: tuple[float, float] | None = None
) -> None:
    rate = report.rates[f"{numerator}_per_{denominator}"]
    rate.numerator, rate.denominator = report.counters[numerator], report.counters[denominator]
    rate.numerator_name, rate.denominator_name = numerator, denominator
    if rate.denominator:
        rate.value = rate.numerator / rate.denominator
    if interval:
        rate.low, rate.high = interval


def drawn(page: ReportPage, *, width: int = 80, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    Console(file=out, width=width).print(page)
    out.seek(0)
    return out.read()


def line_with(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if label in line)


def test_every_percentage_names_what_it_is_of() -> None:
    """70 % of what? A rate without its denominator is a guess."""
    text = drawn(ReportPage(report=a_report(), reasons=Reasons()))

    assert "70.0 % of sent" in line_with(text, "Delivered ")
    assert "39.7–89.2" in line_with(text, "Delivered ")
    assert "83.3 % of targeted" in line_with(text, "Sent ")
    assert "57.1 % of delivered" in line_with(text, "Read ")


def test_events_per_message_are_no_percentage() -> None:
    """Five clicks on four messages are 1.25 per message, not 125 % of anything."""
    text = drawn(ReportPage(report=a_report(), reasons=Reasons()))

    assert "0.71 per delivered" in line_with(text, "Clicks ")


def test_a_number_that_does_not_exist_is_a_dash_with_a_reason() -> None:
    """Unknown is not zero."""
    report = a_report()
    report.unavailable.add(metric="complained", reason="WHATSAPP_HAS_NO_COMPLAINTS")

    text = drawn(ReportPage(report=report, reasons=Reasons()))

    assert "–" in line_with(text, "Complained")
    assert "whatsapp has no complaints" in text


def test_a_number_that_means_less_than_its_name_says_so() -> None:
    """Opened emails are those that told so: who takes them for all readers decides wrongly."""
    report = a_report()
    report.caveats.add(metric="read", reason="EMAIL_OPENS_LOWER_BOUND")
    report.caveats.add(metric="read_per_delivered", reason="EMAIL_OPENS_LOWER_BOUND")

    text = drawn(ReportPage(report=report, reasons=Reasons()))

    assert "READ WITH CARE" in text
    assert "read  a lower bound" in text


def test_before_the_send_every_rate_is_a_dash() -> None:
    """Nothing of nothing is not 0 %."""
    report = Report(campaign_id="draft")
    for name in ("targeted", "sent", "delivered", "read"):
        report.counters[name] = 0
    add_rate(report, "delivered", "sent")

    text = drawn(ReportPage(report=report, reasons=Reasons()))

    assert "%" not in line_with(text, "Delivered ")
    assert line_with(text, "Delivered ").split() == ["Delivered", "0", "–"]
    assert "As of –" in text


def test_failures_say_why_whether_they_pass_and_what_to_do() -> None:
    """A number that leads to no action is decoration."""
    reasons = Reasons()
    reasons.reasons.add(
        stage=common_pb2.FAILURE_STAGE_DROPPED,
        reason=common_pb2.FAILURE_REASON_RATE_LIMITS,
        count=1,
        share=1.0,
        transience=common_pb2.FAILURE_TRANSIENCE_TRANSIENT,
        remedy="Slow down.",
    ).codes.add(provider_code="130429", count=1)

    text = drawn(ReportPage(report=a_report(), reasons=reasons))

    assert "Dropped before hand-over" in text
    for part in ("Rate limits", "100.0 %", "may pass", "130429"):
        assert part in line_with(text, "Rate limits")
    assert "Slow down." in text


def test_rare_reasons_are_summed_unless_all_are_asked_for() -> None:
    """The first screen is for what matters; nothing is hidden for good."""
    reasons = Reasons()
    for number in range(1, 8):
        reasons.reasons.add(
            stage=common_pb2.FAILURE_STAGE_DROPPED,
            reason=common_pb2.FailureReason.Name(number),
            count=10 - number,
        )

    short = drawn(ReportPage(report=a_report(), reasons=reasons))
    whole = drawn(ReportPage(report=a_report(), reasons=reasons, all_reasons=True))

    assert "and 12 more: frequency capped, internal errors, invalid phone numbers" in short
    assert "more:" not in whole
    assert "Invalid phone numbers" in whole


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_page_fits_the_terminal_and_stays_readable_on_a_wide_one(width: int) -> None:
    """A line that wraps breaks every column beneath it."""
    campaign = campaign_service_pb2.Campaign(campaign_id="spring", name="Spring sale")

    text = drawn(ReportPage(report=a_report(), reasons=Reasons(), campaign=campaign), width=width)

    assert max(len(line.rstrip()) for line in text.splitlines()) <= min(width, 100)
    assert "Spring sale" in text


def test_a_terminal_without_unicode_gets_bars_of_number_signs() -> None:
    """Over a serial line or in a C locale the report must still be drawn."""
    text = drawn(ReportPage(report=a_report(), reasons=Reasons()), encoding="ascii")

    assert "####" in line_with(text, "Sent ")


def test_the_json_form_is_the_one_that_protobuf_defines() -> None:
    """Any protobuf library reads it back; zeros are written out."""
    data = json.loads(json_text(a_report()))

    assert data["counters"]["read_inferred"] == "6"
    assert data["rates"]["delivered_per_sent"]["denominatorName"] == "sent"
    assert data["campaignId"] == "spring"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.0 %"), (0.0004, "<0.1 %"), (0.99996, ">99.9 %"), (1.0, "100.0 %")],
)
def test_small_shares_are_not_rounded_to_nothing_and_only_all_is_all(
    value: float | None, text: str
) -> None:
    """100 % with one message missing is a lie, and so is 0 % with one message there."""
    assert words.percent_text(value) == text


@pytest.mark.parametrize(
    ("share", "bar"), [(0, ""), (0.0001, "▏"), (0.5, "█████"), (1, "█" * 10), (7, "█" * 10)]
)
def test_a_bar_shows_whatever_is_above_zero_and_never_leaves_its_column(
    share: float, bar: str
) -> None:
    """One failure in a million is still one."""
    assert words.bar_text(share, 10) == bar


def test_characters_that_a_terminal_lacks_are_written_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The report must not end in a stack trace because of a dash."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)

    tolerate_plain_terminals()
    print("● 59.7–61.5 · ≥ 1 €")

    out.seek(0)
    assert out.read() == "* 59.7-61.5 - > 1 ?\n"
