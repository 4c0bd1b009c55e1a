"""Names and numbers of the report, in words that a person reads. Pure."""

from __future__ import annotations

from bluetick.v1 import analytics_service_pb2, common_pb2
from google.protobuf.timestamp_pb2 import Timestamp

Report = analytics_service_pb2.GetCampaignReportResponse

MISSING = "–"
# They count acts, not messages: several may belong to one message.
EVENT_COUNTERS = frozenset(
    {
        "attempts",
        "clicks",
        "human_clicks",
        "machine_clicks",
        "machine_reads",
        "replies",
        "quick_reply_taps",
        "conversions",
    }
)
_EIGHTHS = " ▏▎▍▌▋▊▉"
_WORDS = {
    "meta": "Meta",
    "url": "URL",
    "sms": "SMS",
}

VERDICTS = {
    analytics_service_pb2.HEALTH_VERDICT_HEALTHY: (
        "● healthy",
        "More than 95 % of the sent were delivered.",
        "green",
    ),
    analytics_service_pb2.HEALTH_VERDICT_INVESTIGATE: (
        "▲ investigate",
        "More than 5 % of the targeted failed. The reasons below say what to do.",
        "yellow",
    ),
}
NO_VERDICT = ("○ no verdict", "Between the thresholds, or too little to judge.", "dim")

TRANSIENCE = {
    common_pb2.FAILURE_TRANSIENCE_TRANSIENT: "may pass",
    common_pb2.FAILURE_TRANSIENCE_PERMANENT: "permanent",
}
CAVEATS = {
    "EMAIL_OPENS_LOWER_BOUND": "a lower bound: many mail programs do not tell that they opened it",
    "EMAIL_OPENS_UPPER_BOUND": "an upper bound: machines opened some of them",
    "EMAIL_OPENS_LOWER_AND_UPPER_BOUND": (
        "off either way: many mail programs tell nothing, and machines opened some"
    ),
}
STAGES = {
    common_pb2.FAILURE_STAGE_DROPPED: "Dropped before hand-over",
    common_pb2.FAILURE_STAGE_UNDELIVERED: "Undelivered after hand-over",
}


def count_text(count: int | None) -> str:
    """12345 -> "12,345"; a number that does not exist is a dash, never a 0."""
    return MISSING if count is None else f"{count:,}"


def percent_text(value: float | None) -> str:
    """0.0412 -> "4.1 %". Small shares keep a digit, and 100 % is only said of all."""
    if value is None:
        return MISSING
    percent = value * 100
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.95 <= percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def rate_text(rate: analytics_service_pb2.Rate | None) -> str:
    """A share as percent; events per message as a plain number, since it may pass 1."""
    if rate is None or not rate.HasField("value"):
        return MISSING
    return f"{rate.value:.2f}" if _counts_events(rate) else percent_text(rate.value)


def base_text(rate: analytics_service_pb2.Rate | None) -> str:
    """Of what the rate is: "of delivered", or "per delivered" for events."""
    if rate is None or not rate.HasField("value"):
        return ""
    return f"{'per' if _counts_events(rate) else 'of'} {rate.denominator_name}"


def interval_text(rate: analytics_service_pb2.Rate | None) -> str:
    """The 95 % interval in percent: "59.7–61.5"."""
    if rate is None or not rate.HasField("low"):
        return ""
    return f"{rate.low * 100:.1f}–{rate.high * 100:.1f}"


def bar_text(share: float, width: int, *, ascii_only: bool = False) -> str:
    """A bar of `share` (0 to 1, more is cut) of `width` cells; anything above 0 is visible."""
    share = min(max(share, 0.0), 1.0)
    if ascii_only:
        return "#" * max(round(share * width), 1 if share else 0)
    eighths = max(round(share * width * 8), 1 if share else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def reason_text(reason: common_pb2.FailureReason.ValueType) -> str:
    """FAILURE_REASON_META_RECIPIENT_LIMIT -> "Meta recipient limit"."""
    name = common_pb2.FailureReason.Name(reason).removeprefix("FAILURE_REASON_")
    words = [_WORDS.get(word, word) for word in name.lower().split("_")]
    text = " ".join(words).replace("recipient related", "recipient-related")
    return text[0].upper() + text[1:]


def time_text(time: Timestamp) -> str:
    """To the second, in UTC; a dash if it is not known."""
    if not time.ByteSize():
        return MISSING
    return f"{time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"


def share_of(report: Report, name: str, of: str) -> analytics_service_pb2.Rate | None:
    """The rate `<name>_per_<of>` of the report, or the bare share where it gives none."""
    known = report.rates.get(f"{name}_per_{of}")
    if known is not None:
        return known
    if name not in report.counters or not report.counters.get(of):
        return None
    numerator, denominator = report.counters[name], report.counters[of]
    return analytics_service_pb2.Rate(
        numerator=numerator,
        denominator=denominator,
        value=numerator / denominator,
        numerator_name=name,
        denominator_name=of,
    )


def _counts_events(rate: analytics_service_pb2.Rate) -> bool:
    return rate.numerator_name in EVENT_COUNTERS
