"""Tracked links from the sender's first call to the marketer's number, from outside."""

import httpx
from bluetick.v1 import analytics_service_pb2 as analytics
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from tests.system.outside import Outside

SHOP = "https://shop.example/sale"
PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"}
SCANNER = {"user-agent": "WhatsApp/2.23.20.0 A"}


async def _record(outside: Outside, campaign_id: str, count: int) -> None:
    records = [
        ingest.MessageRecord(
            message_ref=f"{campaign_id}-{n}",
            campaign_id=campaign_id,
            contact_id=f"person-{n}",
            address=f"+49170100000{n}",
            channel=pb.CHANNEL_WHATSAPP,
            provider="meta",
            account="acct_1",
            provider_message_id=f"wamid.{campaign_id}.{n}",
            accepted=ingest.Accepted(),
        )
        for n in range(count)
    ]
    request = ingest.RecordMessagesRequest(messages=records)
    answer = await outside.call(outside.ingest.RecordMessages, request, "sender")
    assert answer.recorded_count == count, answer


async def test_links_are_wrapped_before_the_send_and_clicks_are_counted_by_link(
    outside: Outside,
) -> None:
    """The way a sender uses them: wrap, send, record; people and their programs click."""
    campaign_id = "tracked-links"
    wanted = [(0, "L1", 0), (1, "L1", 0), (0, "L2", 1), (1, "L2", 2)]
    links = [
        ingest.LinkToWrap(
            message_ref=f"{campaign_id}-{n}",
            url=SHOP,
            link_id=link_id,
            card_index=card,
            kind=ingest.LINK_KIND_EXTERNAL_BUTTON if card == 2 else ingest.LINK_KIND_LINK,
        )
        for n, link_id, card in wanted
    ]
    wrapped = await outside.call(
        outside.ingest.WrapLinks, ingest.WrapLinksRequest(links=links), "sender"
    )
    await _record(outside, campaign_id, 2)

    clicks = [(0, PERSON), (0, PERSON), (0, SCANNER), (1, SCANNER), (2, PERSON), (3, PERSON)]
    async with httpx.AsyncClient(timeout=20) as browser:
        for at, headers in clicks:
            answer = await browser.get(wrapped.urls[at], headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
        assert (await browser.head(wrapped.urls[0], headers=PERSON)).status_code == 302
    report = await outside.complete_report(campaign_id)
    activity = await outside.call(
        outside.analytics.GetLinkActivity,
        analytics.GetLinkActivityRequest(campaign_id=campaign_id),
        "reader",
    )

    names = ("clicks", "human_clicks", "machine_clicks", "clicked", "human_clicked", "delivered")
    assert [report.counters[name] for name in names] == [6, 4, 2, 2, 2, 2]
    rows = [
        (one.link_id, one.card_index, one.clicks, one.human_clicks, one.human_people_count)
        for one in activity.links
    ]
    assert rows == [("L1", 0, 4, 2, 1), ("L2", 1, 1, 1, 1), ("L2", 2, 1, 1, 1)]
    assert activity.clicks == report.counters["clicks"]
    assert activity.external_button_clicks_per_delivered.value == 0.5
