"""Use cases: the report of a campaign, why its messages failed, and which links were clicked."""

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from services.analytics.domain.failures import FailureCell, LookUp, Reason, reasons_of
from services.analytics.domain.links import LinkActivity, LinkCell, activity
from services.analytics.domain.question import Question
from services.analytics.domain.report import Report, Summed, report
from services.analytics.domain.watermark import Freshness, Watermark
from services.analytics.keep_campaigns import not_found

ValueT = TypeVar("ValueT")
Filters = Mapping[str, list[str] | list[int]]


class Found(msgspec.Struct, Generic[ValueT], frozen=True):
    """What a store answers, from one snapshot."""

    value: ValueT
    # Sums of this campaign wait that are of this time or later; None: none wait.
    postponed_us: int | None


class ReportStore(Protocol):
    """Reads sums of cells."""

    async def sums(self, tenant_id: str, question: Question) -> Found[Summed] | None:
        """Return what the question asks for; None: no such campaign."""

    async def failures(
        self, tenant_id: str, campaign_id: str, stage: int, filters: Filters
    ) -> Found[Sequence[FailureCell]] | None:
        """Return failures of a stage (0: both), by channel and provider; None: no such campaign."""

    async def links(
        self, tenant_id: str, campaign_id: str
    ) -> Found[tuple[int, list[LinkCell]]] | None:
        """Return messages delivered and clicks by link; None: no such campaign."""


class Answer(msgspec.Struct, Generic[ValueT], frozen=True):
    """An answer, and how fresh it is."""

    value: ValueT
    freshness: Freshness


async def campaign_report(
    store: ReportStore, watermark: Watermark, tenant_id: str, question: Question
) -> Answer[Report]:
    """Return the report.

    The watermark is taken before the cells are read: what it promises is then in the snapshot.

    Raises:
        NotFound: there is no such campaign.
    """
    freshness = watermark.freshness(tenant_id)
    found = await store.sums(tenant_id, question)
    if found is None:
        raise not_found(question.campaign_id)
    return Answer(report(found.value), freshness.at_most(found.postponed_us))


async def failure_report(
    store: ReportStore,
    watermark: Watermark,
    look_up: LookUp,
    tenant_id: str,
    campaign_id: str,
    stage: int,
    filters: Filters,
) -> Answer[list[Reason]]:
    """Return why messages failed; ``stage`` 0 asks for both.

    Raises:
        NotFound: there is no such campaign.
    """
    freshness = watermark.freshness(tenant_id)
    found = await store.failures(tenant_id, campaign_id, stage, filters)
    if found is None:
        raise not_found(campaign_id)
    return Answer(reasons_of(found.value, look_up), freshness.at_most(found.postponed_us))


async def link_report(
    store: ReportStore, watermark: Watermark, tenant_id: str, campaign_id: str
) -> Answer[LinkActivity]:
    """Return clicks by link and card.

    Raises:
        NotFound: there is no such campaign.
    """
    freshness = watermark.freshness(tenant_id)
    found = await store.links(tenant_id, campaign_id)
    if found is None:
        raise not_found(campaign_id)
    delivered, cells = found.value
    return Answer(activity(cells, delivered), freshness.at_most(found.postponed_us))
