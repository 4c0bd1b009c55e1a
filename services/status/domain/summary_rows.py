"""A report as rows: a number each, and what there is no number of, with the reason."""

from collections.abc import Iterator

from bluetick.v1.analytics_service_pb2 import GetCampaignReportResponse
from bluetick.v1.common_pb2 import Money

from services.status.domain.export_columns import Row

_NANOS = 1_000_000_000


def summary_rows(report: GetCampaignReportResponse) -> list[Row]:
    """Return the rows of ``export_columns.SUMMARY``, in one order whatever the report's is."""
    return [*_counters(report), *_rates(report), *_money(report), *_unavailable(report)]


def _counters(report: GetCampaignReportResponse) -> Iterator[Row]:
    for name, value in sorted(report.counters.items()):
        yield "counter", name, value, None, None, None, None, "", ""


def _rates(report: GetCampaignReportResponse) -> Iterator[Row]:
    for name, rate in sorted(report.rates.items()):
        value, low, high = (
            getattr(rate, field) if rate.HasField(field) else None
            for field in ("value", "low", "high")
        )
        yield "rate", name, value, rate.numerator, rate.denominator, low, high, "", ""


def _money(report: GetCampaignReportResponse) -> Iterator[Row]:
    for one in sorted(report.money, key=lambda money: money.currency_code):
        for name in ("cost_estimated", "cost_final"):
            if one.HasField(name):
                amount = _amount(getattr(one, name))
                yield "money", name, amount, None, None, None, None, one.currency_code, ""


def _unavailable(report: GetCampaignReportResponse) -> Iterator[Row]:
    for one in sorted(report.unavailable, key=lambda told: told.metric):
        yield "unavailable", one.metric, None, None, None, None, None, "", one.reason


def _amount(money: Money) -> float:
    return money.units + money.nanos / _NANOS
