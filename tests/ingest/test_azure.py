"""The dialect of Azure Communication Services."""

import json
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb

from services.ingest.providers.azure import (
    KIND_BY_EMAIL_STATUS,
    PREFIX,
    VALIDATION,
    Azure,
)
from services.ingest.providers.provider import Answer
from tests.ingest.provider_readings import AT_US, Reader, is_refused
from tests.ingest.two_ways import two_doors

OPEN = Reader(Azure())
LOCKED = Reader(Azure(), secrets={"query_token": ["t0k"]})
ID = "00000000-0000-0000-0000-00000000000a"
AT_ISO = "2026-08-05T03:19:00.0000000Z"


def told(word: str, data: dict[str, Any]) -> dict[str, Any]:
    """One event in Event Grid's own schema."""
    return {
        "id": "e-1",
        "topic": "/subscriptions/s/resourceGroups/g/providers/microsoft.communication/c",
        "subject": f"sender/news@shop.example/message/{ID}",
        "eventType": f"{PREFIX}{word}",
        "eventTime": "2026-08-05T03:19:30Z",
        "data": data,
        "dataVersion": "1.0",
    }


def report(status: str, said: str = "", **data: Any) -> dict[str, Any]:
    """A delivery report of an email."""
    return told(
        "EmailDeliveryReportReceived",
        {
            "sender": "news@shop.example",
            "recipient": "kim@mail.example",
            "messageId": ID,
            "status": status,
            "deliveryStatusDetails": {"statusMessage": said},
            "deliveryAttemptTimeStamp": AT_ISO,
            **data,
        },
    )


@pytest.mark.parametrize(("status", "kind"), KIND_BY_EMAIL_STATUS.items())
def test_each_status_of_an_email_has_its_kind(status: str, kind: int) -> None:
    """In both schemas."""
    own = report(status)
    cloud = {"specversion": "1.0", "id": "e-1", "type": own["eventType"], "time": AT_ISO,
             "data": own["data"]}  # fmt: skip

    for event in (OPEN.event([own]), OPEN.event(cloud)):
        assert (event.kind, event.provider_word) == (kind, status)
        assert (event.provider_message_id, event.address) == (ID, "kim@mail.example")
        assert event.occur_time_us == AT_US


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        ("Bounced", "550 5.1.1 user unknown", "5.1.1"),
        ("Bounced", "", "status:Bounced"),
        ("Suppressed", "Recipient is on the suppression list", "status:Suppressed"),
        ("FilteredSpam", "", "status:FilteredSpam"),
    ],
)
def test_a_failure_has_the_servers_code_or_its_status(status: str, said: str, code: str) -> None:
    """Both are in the catalogue."""
    event = OPEN.event([report(status, said)])

    assert event.provider_code == code
    assert event.reason != pb.FAILURE_REASON_UNMAPPED


def test_a_view_and_a_click() -> None:
    """The recipient may be missing: then the id's only message is meant."""
    data = {"sender": "news@shop.example", "messageId": ID, "userActionTimeStamp": AT_ISO,
            "engagementContext": "https://x.test", "userAgent": "Mozilla/5.0",
            "engagementType": "click"}  # fmt: skip
    word = "EmailEngagementTrackingReportReceived"

    click = OPEN.event([told(word, data)])
    view = OPEN.event([told(word, {**data, "engagementType": "view", "recipient": "Kim@mail.x"})])

    assert (click.kind, click.engagement.url) == (pb.EVENT_KIND_CLICKED, "https://x.test")
    assert click.message_key == click.batch_key != b""
    assert (view.kind, view.detail) == (pb.EVENT_KIND_READ, "pixel")


def test_sms_reports_and_inbound_sms() -> None:
    """STOP counts here as everywhere."""
    data = {"messageId": "m-1", "from": "+15550001", "to": "+15550002",
            "receivedTimestamp": AT_ISO}  # fmt: skip
    report = {**data, "deliveryStatus": "Failed", "deliveryStatusDetails": "No such number (4001)"}

    failed = OPEN.event([told("SMSDeliveryReportReceived", report)])
    reply, left = OPEN.events([told("SMSReceived", {**data, "message": "Stop."})])

    assert (failed.kind, failed.address) == (pb.EVENT_KIND_UNDELIVERED, "+15550002")
    assert failed.provider_code == "4001"
    assert (reply.address, reply.own_address) == ("+15550001", "+15550002")
    assert left.kind == pb.EVENT_KIND_UNSUBSCRIBED


def test_the_hand_shake_is_answered_only_if_it_is_proven() -> None:
    """Who may answer for this address is the account's to say."""
    body = [{"id": "v", "eventType": VALIDATION, "eventTime": AT_ISO, "subject": "",
             "topic": "t", "data": {"validationCode": "512d38b6", "validationUrl": "https://x"},
             "dataVersion": "1"}]  # fmt: skip

    answer = LOCKED.outcome(body, query="token=t0k")

    assert isinstance(answer, Answer)
    assert json.loads(answer.body) == {"validationResponse": "512d38b6"}
    assert is_refused(LOCKED.outcome(body), 401)


def test_cloud_events_ask_by_options_who_may_call() -> None:
    """The leave is for the origin that asked, and only behind a credential."""
    asked = {"method": "OPTIONS", "headers": {"webhook-request-origin": "eventgrid.azure.net"}}

    answer = LOCKED.outcome(query="token=t0k", **asked)

    assert isinstance(answer, Answer)
    assert answer.http_status == 200
    assert dict(answer.headers) == {
        b"webhook-allowed-origin": b"eventgrid.azure.net",
        b"webhook-allowed-rate": b"*",
    }
    assert is_refused(LOCKED.outcome(**asked), 401)


@pytest.mark.parametrize("origin", ["", "a b", "x\r\nset-cookie: a", "\xe9", "a" * 300])
def test_an_origin_that_is_no_host_gets_no_leave(origin: str) -> None:
    """What it says goes into a header of ours."""
    answer = OPEN.outcome(method="OPTIONS", headers={"webhook-request-origin": origin})

    assert answer == Answer(400)


async def test_the_door_takes_options_where_the_provider_asks_so() -> None:
    """For all others it stays a method that nobody uses."""
    async with two_doors() as doors:
        heads = []
        for provider in ("azure", "meta"):
            heads.append(await doors.short.send([
                f"OPTIONS /callbacks/{provider}/acct_1 HTTP/1.1\r\nHost: x\r\n"
                "WebHook-Request-Origin: eventgrid.azure.net\r\nConnection: close\r\n\r\n".encode()
            ]))  # fmt: skip

    assert heads[0].startswith(b"HTTP/1.1 200 ")
    assert b"\r\nwebhook-allowed-origin: eventgrid.azure.net\r\n" in heads[0]
    assert heads[1].startswith(b"HTTP/1.1 405 ")


def test_other_events_are_information() -> None:
    """Another service on the same subscription."""
    assert OPEN.event([{"eventType": "Microsoft.Storage.BlobCreated"}]).kind == pb.EVENT_KIND_INFO
    assert OPEN.event([told("CallStarted", {})]).kind == pb.EVENT_KIND_UNKNOWN
