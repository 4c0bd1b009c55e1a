"""The report as a page in a terminal: same columns from top to bottom, one idea a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bluetick.v1 import analytics_service_pb2, campaign_service_pb2, common_pb2
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from libs.cli import report_words as words

Rate = analytics_service_pb2.Rate
Reason = analytics_service_pb2.FailureReasonCount

WIDTH_MAX = 100
_REASON = 26
REASONS_MAX = 4  # a stage, unless all were asked for

_LABEL, _RATE, _BASE, _INTERVAL = 17, 7, 13, 10  # cells; bars take what is left
# (label, counter, what it is a share of)
_FUNNEL = (
    ("Targeted", "targeted", ""),
    ("Sent", "sent", "targeted"),
    ("Delivered", "delivered", "sent"),
    ("Read", "read", "delivered"),
)
_NOT_DELIVERED = (
    ("Queued", "queued", "targeted"),
    ("Dropped", "dropped", "targeted"),
    ("Undelivered", "undelivered", "sent"),
    ("Pending", "pending", "sent"),
    ("Failed, recovered", "recovered", "sent"),
)
# (label, counter, rate)
_ENGAGEMENT = (
    ("Seen, with proof", "read_inferred", "read_inferred_per_delivered"),
    ("Clicked", "clicked", "clicked_per_delivered"),
    ("Clicks", "clicks", "clicks_per_delivered"),
    ("Replied", "replied", "replied_per_delivered"),
    ("Replies", "replies", "replies_per_delivered"),
    ("Quick-reply taps", "quick_reply_taps", "quick_reply_taps_per_delivered"),
    ("Interacted", "interacted", "interactions_per_delivered"),
    ("Unsubscribed", "unsubscribed", "unsubscribed_per_delivered"),
    ("Complained", "complained", "complained_per_delivered"),
)
_TOP = "targeted"  # nothing stands above it, so that it has no rate is no news


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """Everything on the page. `campaign` is None where it could not be read."""

    report: analytics_service_pb2.GetCampaignReportResponse
    reasons: analytics_service_pb2.GetFailureReasonsResponse
    campaign: campaign_service_pb2.Campaign | None = None
    all_reasons: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw at the width of the terminal, up to `WIDTH_MAX`."""
        width = min(options.max_width, WIDTH_MAX)
        drawing = _Drawing(self, width, ascii_only=options.ascii_only)
        yield from console.render(
            Padding(Group(*drawing.blocks()), (1, 2)), options.update_width(width)
        )


class _Drawing:
    """Draws one page at one width."""

    def __init__(self, page: ReportPage, width: int, *, ascii_only: bool) -> None:
        self._page = page
        self._report = page.report
        self._ascii_only = ascii_only
        biggest = max(self._report.counters.values(), default=0)
        self._count = len(words.count_text(biggest))
        spent = 4 + _LABEL + self._count + 1 + _RATE + _BASE + _INTERVAL + 5
        self._bar = max(6, width - spent)

    def blocks(self) -> Iterator[RenderableType]:
        yield self._title()
        yield Text()
        yield self._block("Delivery", self._funnel())
        yield self._block("Not delivered", self._not_delivered())
        yield self._block("Engagement", self._engagement())
        if self._report.money:
            yield self._block("Cost", self._money())
        if self._page.reasons.reasons:
            yield self._block("Why messages failed", self._why())
        if self._report.unavailable:
            yield self._block("Not available here", self._unavailable())
        if self._report.caveats:
            yield self._block("Read with care", self._caveats())
        yield self._freshness()

    def _title(self) -> RenderableType:
        campaign = self._page.campaign
        campaign_id = self._report.campaign_id
        name = campaign.name if campaign and campaign.name else campaign_id
        verdict, meaning, style = words.VERDICTS.get(self._report.health.verdict, words.NO_VERDICT)
        grid = Table.grid(expand=True)
        grid.add_column(overflow="fold")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(Text(name, style="bold"), Text(verdict, style=f"bold {style}"))
        people = self._people()
        beneath = f"{campaign_id} · {people}" if people else campaign_id
        grid.add_row(Text(beneath, style="dim"), Text())
        return Group(grid, Text(meaning, style="dim"))

    def _people(self) -> str:
        counters = self._report.counters
        if "people_targeted" not in counters or "people_reached" not in counters:
            return ""
        reached, targeted = counters["people_reached"], counters["people_targeted"]
        return f"{reached:,} of {targeted:,} people reached"

    def _block(self, title: str, body: RenderableType) -> RenderableType:
        rule = Rule(Text(title.upper(), style="bold cyan"), align="left", style="dim")
        if self._ascii_only:
            rule.characters = "-"
        return Group(rule, body, Text())

    def _grid(self) -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=_LABEL, no_wrap=True)
        grid.add_column(width=self._count, justify="right", no_wrap=True)
        grid.add_column(width=self._bar + 1, no_wrap=True)
        grid.add_column(width=_RATE, justify="right", no_wrap=True)
        grid.add_column(width=_BASE, no_wrap=True, style="dim")
        grid.add_column(width=_INTERVAL, justify="right", no_wrap=True, style="dim")
        return grid

    def _row(
        self, grid: Table, label: str, counter: str, rate: Rate | None, share: float, style: str
    ) -> None:
        count = self._report.counters.get(counter)
        grid.add_row(
            label,
            Text(words.count_text(count), style="bold" if count else "dim"),
            Text(" ").append(
                words.bar_text(share, self._bar, ascii_only=self._ascii_only), style=style
            ),
            "" if counter == _TOP else words.rate_text(rate),
            words.base_text(rate),
            words.interval_text(rate),
        )

    def _share_of_targeted(self, counter: str) -> float:
        targeted = self._report.counters.get("targeted", 0)
        return self._report.counters.get(counter, 0) / targeted if targeted else 0.0

    def _funnel(self) -> Table:
        grid = self._grid()
        for label, counter, of in _FUNNEL:
            rate = words.share_of(self._report, counter, of) if of else None
            style = "cyan" if counter == "read" else "blue"
            self._row(grid, label, counter, rate, self._share_of_targeted(counter), style)
        return grid

    def _not_delivered(self) -> Table:
        grid = self._grid()
        for label, counter, of in _NOT_DELIVERED:
            rate = words.share_of(self._report, counter, of)
            style = "yellow" if counter in ("dropped", "undelivered") else "bright_black"
            self._row(grid, label, counter, rate, self._share_of_targeted(counter), style)
        return grid

    def _engagement(self) -> Table:
        grid = self._grid()
        for label, counter, name in _ENGAGEMENT:
            of = "delivered"
            rate = self._report.rates.get(name) or words.share_of(self._report, counter, of)
            delivered = self._report.counters.get(of, 0)
            share = self._report.counters.get(counter, 0) / delivered if delivered else 0.0
            style = "bright_black" if counter in words.EVENT_COUNTERS else "cyan"
            self._row(grid, label, counter, rate, share, style)
        return grid

    def _money(self) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for money in self._report.money:
            for label, amount in (
                ("Estimated", money.cost_estimated),
                ("Final", money.cost_final),
            ):
                value = amount.units + amount.nanos / 1e9
                grid.add_row(label, f"{value:,.2f} {money.currency_code}")
        return grid

    def _why(self) -> RenderableType:
        parts: list[RenderableType] = []
        for stage, title in words.STAGES.items():
            of_stage = [one for one in self._page.reasons.reasons if one.stage == stage]
            if not of_stage:
                continue
            total = sum(one.count for one in of_stage)
            if parts:
                parts.append(Text())
            parts.append(Text.assemble((title, "bold"), (f"  {total:,}", "dim")))
            parts.append(self._stage(of_stage))
        return Group(*parts)

    def _stage(self, reasons: Sequence[Reason]) -> RenderableType:
        shown = reasons if self._page.all_reasons else reasons[:REASONS_MAX]
        parts: list[RenderableType] = []
        for reason in shown:
            parts.append(self._reason(reason))
            if reason.remedy:
                parts.append(Padding(Text(reason.remedy, style="dim"), (0, 0, 0, 4)))
        rest = reasons[len(shown) :]
        if rest:
            names = ", ".join(words.reason_text(one.reason).lower() for one in rest)
            count = sum(one.count for one in rest)
            parts.append(Padding(Text(f"and {count:,} more: {names}", style="dim"), (0, 0, 0, 2)))
        return Group(*parts)

    def _reason(self, reason: Reason) -> Table:
        bar = max(6, self._bar - 9)
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=_REASON, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=7, justify="right", no_wrap=True)
        grid.add_column(width=bar + 1, no_wrap=True)
        grid.add_column(width=_RATE, justify="right", no_wrap=True)
        grid.add_column(width=9, no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        transience = words.TRANSIENCE.get(reason.transience, "")
        is_permanent = reason.transience == common_pb2.FAILURE_TRANSIENCE_PERMANENT
        grid.add_row(
            f"  {words.reason_text(reason.reason)}",
            Text(f"{reason.count:,}", style="bold"),
            Text(" ").append(
                words.bar_text(reason.share, bar, ascii_only=self._ascii_only), style="yellow"
            ),
            words.percent_text(reason.share),
            Text(transience, style="" if is_permanent else "dim"),
            " ".join([code.provider_code for code in reason.codes if code.provider_code][:2]),
        )
        return grid

    def _unavailable(self) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        by_reason: dict[str, list[str]] = {}
        for one in self._report.unavailable:
            by_reason.setdefault(one.reason, []).append(one.metric)
        for reason, metrics in by_reason.items():
            # A rate is missing because its counter is; that needs no saying.
            names = [name for name in metrics if "_per_" not in name] or metrics
            meaning = reason.replace("_", " ").lower()
            grid.add_row(words.MISSING, ", ".join(names), Text(meaning, style="dim"))
        return grid

    def _caveats(self) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        by_reason: dict[str, list[str]] = {}
        for one in self._report.caveats:
            by_reason.setdefault(one.reason, []).append(one.metric)
        for reason, metrics in by_reason.items():
            # A rate means less because its counter does; that needs no saying.
            names = [name for name in metrics if "_per_" not in name] or metrics
            meaning = words.CAVEATS.get(reason, reason.replace("_", " ").lower())
            grid.add_row(", ".join(names), Text(meaning, style="dim"))
        return grid

    def _freshness(self) -> RenderableType:
        report = self._report
        text = Text(style="dim")
        text.append(f"As of {words.time_text(report.as_of_time)}, complete until ")
        text.append(f"{words.time_text(report.complete_until_time)}.\n")
        text.append("Ranges: 95 % intervals, in percent. A dash: no such number exists.")
        return text
