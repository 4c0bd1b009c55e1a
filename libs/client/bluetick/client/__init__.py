"""Calls Bluetick, and follows its status events.

async with Client("127.0.0.1:50051", api_key=KEY) as client:
    report = await client.analytics.GetCampaignReport(
        GetCampaignReportRequest(campaign_id="spring")
    )
    async for change in client.changes():
        print(change.message_ref, change.new_image.state)
"""

from bluetick.client.client import Client
from bluetick.client.errors import CallFailed, ChangesMissed
from bluetick.client.listening import Listener
from bluetick.client.retries import Retries
from bluetick.client.watching import Answer, Changes

__all__ = ["Answer", "CallFailed", "Changes", "ChangesMissed", "Client", "Listener", "Retries"]
