"""AnalyticsService over gRPC."""

from typing import Any

from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1 import common_pb2
from bluetick.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from libs.catalogue.failures import alternatives, lookup, remedy, topic_for, transience
from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.paging import Paging
from libs.runtime.rpc_context import caller
from libs.runtime.rpc_errors import InvalidArgument
from services.analytics.answer_query import (
    ReportStore,
    campaign_report,
    failure_report,
    link_report,
)
from services.analytics.domain.counters import DEFINITION_VERSION
from services.analytics.domain.failures import Alternative, Code, CodeMeaning, Reason
from services.analytics.domain.links import LinkCell
from services.analytics.domain.question import (
    Problem,
    campaign_id,
    filters_of,
    question_of,
    refuse_range,
)
from services.analytics.domain.rates import Rate
from services.analytics.domain.report import Report
from services.analytics.domain.times import timestamp_of
from services.analytics.domain.watermark import Freshness, Gap, Watermark

# By how many links were before.
_LINK_PAGES: Paging[tuple[int, str]] = Paging(tuple[int, str])


class AnalyticsRpc(AnalyticsServiceServicer):
    """Readers may ask. What is not here answers UNIMPLEMENTED."""

    def __init__(self, store: ReportStore, watermark: Watermark, clock: Clock) -> None:
        self._store = store
        self._watermark = watermark
        self._clock = clock

    async def GetCampaignReport(
        self, request: pb.GetCampaignReportRequest, context: Any
    ) -> pb.GetCampaignReportResponse:
        """Return the report of a campaign."""
        who = caller(context)
        who.require(Role.READER)
        try:
            question = question_of(request)
        except Problem as problem:
            raise InvalidArgument.of(problem.field, problem.text) from None
        found = await campaign_report(self._store, self._watermark, who.tenant_id, question)
        answer = _report(found.value)
        answer.campaign_id = question.campaign_id
        answer.clock = pb.Clock.ValueType(question.clock)
        self._say_freshness(answer, found.freshness)
        return answer

    async def GetFailureReasons(
        self, request: pb.GetFailureReasonsRequest, context: Any
    ) -> pb.GetFailureReasonsResponse:
        """Return why messages failed."""
        who = caller(context)
        who.require(Role.READER)
        if request.stage not in common_pb2.FailureStage.values():
            raise InvalidArgument.of("stage", "Not a known stage; use DROPPED or UNDELIVERED.")
        try:
            wanted = campaign_id(request.campaign_id)
            filters = filters_of(request.filter, ("channel", "provider"))
            refuse_range(request.time_range, "Failures")
        except Problem as problem:
            raise InvalidArgument.of(problem.field, problem.text) from None
        found = await failure_report(
            self._store, self._watermark, _meaning, who.tenant_id, wanted, request.stage, filters
        )
        answer = pb.GetFailureReasonsResponse(reasons=[_reason(one) for one in found.value])
        for one in found.value:
            if one.stage == common_pb2.FAILURE_STAGE_DROPPED:
                answer.dropped_count += one.count
            else:
                answer.undelivered_count += one.count
        self._say_freshness(answer, found.freshness)
        return answer

    async def GetLinkActivity(
        self, request: pb.GetLinkActivityRequest, context: Any
    ) -> pb.GetLinkActivityResponse:
        """Return clicks by link and card."""
        who = caller(context)
        who.require(Role.READER)
        try:
            wanted = campaign_id(request.campaign_id)
            filters_of(request.filter, ())
            refuse_range(request.time_range, "Clicks by link")
        except Problem as problem:
            raise InvalidArgument.of(problem.field, problem.text) from None
        first, _ = _LINK_PAGES.after(who.tenant_id, request) or (0, "")
        last = first + _LINK_PAGES.size(request)
        found = await link_report(self._store, self._watermark, who.tenant_id, wanted)
        cells = found.value.cells
        answer = pb.GetLinkActivityResponse(
            links=[_link(cell) for cell in cells[first:last]],
            clicks=found.value.clicks,
            human_clicks=found.value.human_clicks,
            external_button_clicks_per_delivered=_rate(found.value.external_rate),
        )
        if last < len(cells):
            answer.next_page_token = _LINK_PAGES.token(who.tenant_id, request, (last, ""))
        self._say_freshness(answer, found.freshness)
        return answer

    def _say_freshness(
        self,
        answer: pb.GetCampaignReportResponse
        | pb.GetFailureReasonsResponse
        | pb.GetLinkActivityResponse,
        freshness: Freshness,
    ) -> None:
        answer.as_of_time.FromMicroseconds(self._clock.now_us())
        if freshness.complete_until_us is not None:
            answer.complete_until_time.CopyFrom(timestamp_of(freshness.complete_until_us))
        answer.gaps.extend(_gap(one) for one in freshness.gaps)


def _gap(gap: Gap) -> pb.Gap:
    told = pb.Gap(reason=gap.reason, batch_count=gap.batch_count)
    for field, time_us in ((told.from_time, gap.from_time_us), (told.to_time, gap.to_time_us)):
        if time_us:
            field.CopyFrom(timestamp_of(time_us))
    return told


def _report(report: Report) -> pb.GetCampaignReportResponse:
    return pb.GetCampaignReportResponse(
        counters=report.counters,
        rates={name: _rate(one) for name, one in report.rates.items()},
        health=pb.ReportHealth(verdict=pb.HealthVerdict.ValueType(report.health)),
        unavailable=[
            pb.Unavailable(metric=metric, reason=reason)
            for metric, reason in sorted(report.unavailable.items())
        ],
        caveats=[
            pb.Caveat(metric=metric, reason=reason)
            for metric, reason in sorted(report.caveats.items())
        ],
        definition_version=DEFINITION_VERSION,
    )


def _rate(rate: Rate) -> pb.Rate:
    low, high = rate.interval or (None, None)
    return pb.Rate(
        numerator=rate.numerator,
        denominator=rate.denominator,
        value=rate.value,
        low=low,
        high=high,
        numerator_name=rate.definition.numerator,
        denominator_name=rate.definition.denominator,
    )


def _link(cell: LinkCell) -> pb.LinkActivity:
    name = cell.name
    return pb.LinkActivity(
        link_id=name.link_id,
        url=name.url,
        label=name.label,
        card_index=name.card_index,
        is_external_button=name.is_external_button,
        clicks=cell.clicks,
        human_clicks=cell.clicks - cell.machine_clicks,
        people_count=cell.people,
        human_people_count=cell.human_people,
    )


def _meaning(provider: str, code: str, stage: int, reason: int) -> CodeMeaning:
    found = lookup(provider, code, stage)
    return CodeMeaning(
        found.title if found else "",
        transience(provider, code, stage, reason),
        topic_for(provider, code, stage),
        tuple(Alternative(one.reason, one.when) for one in alternatives(provider, code, stage)),
    )


def _reason(reason: Reason) -> pb.FailureReasonCount:
    cure = remedy(reason.reason)
    return pb.FailureReasonCount(
        stage=common_pb2.FailureStage.ValueType(reason.stage),
        reason=common_pb2.FailureReason.ValueType(reason.reason),
        count=reason.count,
        share=reason.share,
        transience=common_pb2.FailureTransience.ValueType(reason.transience),
        remedy=cure.text,
        remedy_key=cure.key,
        codes=[_code(code) for code in reason.codes],
    )


def _code(code: Code) -> pb.FailureCodeCount:
    meaning = code.meaning
    return pb.FailureCodeCount(
        provider=code.cell.provider,
        provider_code=code.cell.provider_code,
        count=code.cell.message_count,
        title=meaning.title,
        transience=common_pb2.FailureTransience.ValueType(meaning.transience),
        topic=common_pb2.FailureTopic.ValueType(meaning.topic),
        alternatives=[
            pb.FailureAlternative(
                reason=common_pb2.FailureReason.ValueType(one.reason), when=one.when
            )
            for one in meaning.alternatives
        ],
    )
