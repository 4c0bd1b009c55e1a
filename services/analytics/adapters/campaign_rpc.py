"""CampaignService over gRPC."""

import uuid
from typing import Any

from bluetick.v1 import campaign_service_pb2 as pb
from bluetick.v1.campaign_service_pb2_grpc import CampaignServiceServicer

from libs.runtime.api_keys import Role
from libs.runtime.clock import Clock
from libs.runtime.rpc_context import caller
from services.analytics.keep_campaigns import (
    CampaignStore,
    create_campaign,
    get_campaign,
    list_campaigns,
    update_campaign,
)


def _new_id() -> str:
    return uuid.uuid4().hex


class CampaignRpc(CampaignServiceServicer):
    """Readers read, senders write. What is not here answers UNIMPLEMENTED."""

    def __init__(self, store: CampaignStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def CreateCampaign(
        self, request: pb.CreateCampaignRequest, context: Any
    ) -> pb.CreateCampaignResponse:
        """Create a campaign."""
        who = caller(context)
        who.require(Role.SENDER)
        campaign = await create_campaign(
            self._store, who.tenant_id, request, now_us=self._clock.now_us(), new_id=_new_id
        )
        return pb.CreateCampaignResponse(campaign=campaign)

    async def UpdateCampaign(
        self, request: pb.UpdateCampaignRequest, context: Any
    ) -> pb.UpdateCampaignResponse:
        """Change a campaign."""
        who = caller(context)
        who.require(Role.SENDER)
        now_us = self._clock.now_us()
        campaign = await update_campaign(self._store, who.tenant_id, request, now_us=now_us)
        return pb.UpdateCampaignResponse(campaign=campaign)

    async def GetCampaign(
        self, request: pb.GetCampaignRequest, context: Any
    ) -> pb.GetCampaignResponse:
        """Return a campaign."""
        who = caller(context)
        who.require(Role.READER)
        campaign = await get_campaign(self._store, who.tenant_id, request.campaign_id)
        return pb.GetCampaignResponse(campaign=campaign)

    async def ListCampaigns(
        self, request: pb.ListCampaignsRequest, context: Any
    ) -> pb.ListCampaignsResponse:
        """List campaigns."""
        who = caller(context)
        who.require(Role.READER)
        return await list_campaigns(self._store, who.tenant_id, request)
