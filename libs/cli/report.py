"""`bluetick report CAMPAIGN`: the numbers of a campaign, for people or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer
from bluetick.v1 import (
    analytics_service_pb2,
    analytics_service_pb2_grpc,
    campaign_service_pb2,
    campaign_service_pb2_grpc,
)
from google.protobuf import json_format
from rich.console import Console

from libs.cli.gateway_channel import DEFAULT_GATEWAY, GatewayCaller
from libs.cli.plain_terminal import tolerate_plain_terminals
from libs.cli.report_view import ReportPage


def report(
    campaign: Annotated[str, typer.Argument(help="Campaign id.")],
    gateway: Annotated[
        str, typer.Option(envvar="BLUETICK_GATEWAY", help="Gateway, host:port.")
    ] = DEFAULT_GATEWAY,
    api_key: Annotated[
        str, typer.Option(envvar="BLUETICK_API_KEY", help="API key, any role.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="The response in protobuf's JSON form.")
    ] = False,
    all_reasons: Annotated[
        bool, typer.Option("--all-reasons", help="Every failure reason, not only the first ones.")
    ] = False,
) -> None:
    """Show the report of a campaign: counts, rates with what they are of, and why messages
    failed."""
    caller = GatewayCaller(gateway, api_key)
    if as_json:
        typer.echo(json_text(fetch_report(caller, campaign)))
        return
    tolerate_plain_terminals()
    Console().print(fetch_page(caller, campaign, all_reasons=all_reasons))


def fetch_report(
    caller: GatewayCaller, campaign_id: str
) -> analytics_service_pb2.GetCampaignReportResponse:
    """Ask for the report; ends the command if there is none."""
    stub = analytics_service_pb2_grpc.AnalyticsServiceStub(caller.channel)
    request = analytics_service_pb2.GetCampaignReportRequest(campaign_id=campaign_id)
    return caller.call(stub.GetCampaignReport, request)


def fetch_page(caller: GatewayCaller, campaign_id: str, *, all_reasons: bool = False) -> ReportPage:
    """Ask for everything on the page."""
    analytics = analytics_service_pb2_grpc.AnalyticsServiceStub(caller.channel)
    campaigns = campaign_service_pb2_grpc.CampaignServiceStub(caller.channel)
    reasons = analytics_service_pb2.GetFailureReasonsRequest(campaign_id=campaign_id)
    named = caller.call_or_none(
        campaigns.GetCampaign, campaign_service_pb2.GetCampaignRequest(campaign_id=campaign_id)
    )
    return ReportPage(
        report=fetch_report(caller, campaign_id),
        reasons=caller.call(analytics.GetFailureReasons, reasons),
        campaign=named.campaign if named else None,
        all_reasons=all_reasons,
    )


def json_text(response: analytics_service_pb2.GetCampaignReportResponse) -> str:
    """Protobuf's JSON form; zeros are written out."""
    return json_format.MessageToJson(response, always_print_fields_with_no_presence=True)
