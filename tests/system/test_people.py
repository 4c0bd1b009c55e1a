"""One person under several names, and mail at another address than it was sent to, from outside."""

import time

from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1 import message_service_pb2 as messages

from tests.system.outside import Outside, envelope, status


def _record(campaign_id: str, n: int, address: str, **fields: str) -> ingest.MessageRecord:
    fields = {"provider": "meta", "account": "acct_1", **fields}
    is_mail = "@" in address
    return ingest.MessageRecord(
        message_ref=f"{campaign_id}-{n}",
        campaign_id=campaign_id,
        address=address,
        channel=pb.CHANNEL_EMAIL if is_mail else pb.CHANNEL_WHATSAPP,
        accepted=ingest.Accepted(),
        **fields,
    )


async def _take(outside: Outside, *records: ingest.MessageRecord) -> None:
    request = ingest.RecordMessagesRequest(messages=records)
    answer = await outside.call(outside.ingest.RecordMessages, request, "sender")
    assert answer.recorded_count == len(records), answer


async def test_who_is_known_by_phone_and_user_id_is_one_person_that_replied_and_left(
    outside: Outside,
) -> None:
    """The join is told last: what was counted for two people becomes one's."""
    campaign_id = "two-names"
    now = int(time.time())
    phone, user_id = "4915120000600", "DE.600600600"
    await _take(
        outside,
        _record(campaign_id, 0, f"+{phone}", provider_message_id="wamid.names.0"),
        _record(campaign_id, 1, user_id, provider_message_id="wamid.names.1"),
    )
    inbound = [
        {"id": "wamid.in.names", "from_user_id": user_id, "timestamp": str(now + 20),
         "type": "text", "text": {"body": "STOP"}},
    ]  # fmt: skip
    delivered = [status(f"wamid.names.{n}", "delivered", now + 1, phone) for n in (0,)]
    assert await outside.callback(envelope(statuses=delivered)) == 200
    before = (await outside.complete_report(campaign_id)).counters

    assert await outside.callback(envelope(messages=inbound)) == 200
    told = status("wamid.names.0", "read", now + 2, phone, recipient_user_id=user_id)
    assert await outside.callback(envelope(statuses=[told])) == 200
    after = (await outside.complete_report(campaign_id)).counters

    names = ("targeted", "people_targeted", "people_reached")
    assert [before[name] for name in names] == [2, 2, 1]
    assert [after[name] for name in names] == [2, 1, 1]
    assert [after[name] for name in ("replied", "repliers", "unsubscribed")] == [1, 1, 1]


async def test_an_opt_out_of_nobody_is_listed(outside: Outside) -> None:
    """Whoever says stop is heard, whatever was sent to them."""
    stop = {"id": "wamid.in.lone", "from": "4915120000688", "timestamp": str(int(time.time())),
            "type": "text", "text": {"body": "STOP"}}  # fmt: skip
    assert await outside.callback(envelope(messages=[stop])) == 200
    await outside.complete_report("two-names")

    found = await outside.call(
        outside.messages.ListUnmatchedOptOuts, messages.ListUnmatchedOptOutsRequest()
    )

    assert "+4915120000688" in [one.address for one in found.opt_outs]


async def test_an_act_that_names_the_bare_id_of_a_mail_counts_for_its_recipient(
    outside: Outside,
) -> None:
    """And the message is found by that id alone."""
    campaign_id = "bare-id"
    mail = {"provider": "ses", "account": "", "provider_message_id": "0102-bare"}
    act = ingest.EngagementRecord(
        engagement_id="k1", kind=ingest.ENGAGEMENT_KIND_CLICK, url="https://shop.example/", **mail
    )
    request = ingest.RecordEngagementsRequest(engagements=[act])
    assert (await outside.call(outside.ingest.RecordEngagements, request)).recorded_count == 1

    await _take(outside, _record(campaign_id, 0, "alias@mail.example", **mail))

    report = await outside.complete_report(campaign_id)
    assert [report.counters[name] for name in ("delivered", "clicked")] == [1, 1]
    asked = messages.GetMessageRequest(provider="ses", provider_message_id="0102-bare")
    found = (await outside.call(outside.messages.GetMessage, asked)).message
    assert (found.message_ref, found.address) == (f"{campaign_id}-0", "alias@mail.example")
