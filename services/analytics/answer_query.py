"""Use cases: the report of a campaign, why its messages failed, and which links were clicked."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.analytics.domain.failures import FailureCell, LookUp, Reason, reasons_of
from services.analytics.domain.links import LinkActivity, LinkCell, activity
from services.analytics.domain.question import Question
from services.analytics.domain.report import Report, Summed, report
from services.analytics.domain.watermark import Watermark
from services.analytics.keep_campaigns import not_found


class ReportStore(Protocol):
    """Reads sums of cells."""

    async def sums(self, tenant_id: str, question: Question) -> Summed | None:
        """Return what the question asks for, from one snapshot; None: no such campaign."""

    async def failures(
        self, tenant_id: str, campaign_id: str, stage: int
    ) -> Sequence[FailureCell] | None:
        """Return failures of a stage (0: both), from one snapshot; None: no such campaign."""

    async def links(self, tenant_id: str, campaign_id: str) -> tuple[int, list[LinkCell]] | None:
        """Return messages delivered and clicks by link, from one snapshot; None: no campaign."""


class CampaignReport(msgspec.Struct, frozen=True):
    """A report and how fresh it is."""

    report: Report
    complete_until_us: int | None


class FailureReport(msgspec.Struct, frozen=True):
    """Reasons of failure and how fresh they are."""

    reasons: list[Reason]
    complete_until_us: int | None


async def campaign_report(
    store: ReportStore, watermark: Watermark, tenant_id: str, question: Question
) -> CampaignReport:
    """Return the report.

    The watermark is taken before the cells are read: what it promises is then in the snapshot.

    Raises:
        NotFound: there is no such campaign.
    """
    complete_until_us = watermark.complete_until_us
    summed = await store.sums(tenant_id, question)
    if summed is None:
        raise not_found(question.campaign_id)
    return CampaignReport(report(summed), complete_until_us)


async def failure_report(
    store: ReportStore,
    watermark: Watermark,
    look_up: LookUp,
    tenant_id: str,
    campaign_id: str,
    stage: int,
) -> FailureReport:
    """Return why messages failed; ``stage`` 0 asks for both.

    Raises:
        NotFound: there is no such campaign.
    """
    complete_until_us = watermark.complete_until_us
    cells = await store.failures(tenant_id, campaign_id, stage)
    if cells is None:
        raise not_found(campaign_id)
    return FailureReport(reasons_of(cells, look_up), complete_until_us)


class LinkReport(msgspec.Struct, frozen=True):
    """Clicks by link and how fresh they are."""

    activity: LinkActivity
    complete_until_us: int | None


async def link_report(
    store: ReportStore, watermark: Watermark, tenant_id: str, campaign_id: str
) -> LinkReport:
    """Return clicks by link and card.

    Raises:
        NotFound: there is no such campaign.
    """
    complete_until_us = watermark.complete_until_us
    found = await store.links(tenant_id, campaign_id)
    if found is None:
        raise not_found(campaign_id)
    delivered, cells = found
    return LinkReport(activity(cells, delivered), complete_until_us)
