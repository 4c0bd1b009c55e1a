"""From any number to the messages behind it, through the public surface."""

import asyncio

import grpc
import pytest
from bluetick.v1 import analytics_service_pb2 as analytics
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import message_service_pb2 as messages
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.system.fixture_a import COUNTERS, FixtureA
from tests.system.load import START, Load
from tests.system.outside import Outside, envelope, status
from tests.system.test_fixture_a import play


async def everything(
    outside: Outside, campaign_id: str, page_size: int = 2, role: str = "reader", **where: object
) -> tuple[list[messages.Message], int]:
    """Return all messages of all pages, and how many the first page said."""
    request = messages.ListMessagesRequest(
        campaign_id=campaign_id,
        where=messages.MessageFilter(**where),  # type: ignore[arg-type]
        page_size=page_size,
    )
    found: list[messages.Message] = []
    totals = set()
    while True:
        page = await outside.call(outside.messages.ListMessages, request, role)
        found += page.messages
        totals.add(page.total_count)
        if not page.next_page_token:
            assert len(totals) == 1
            return found, totals.pop()
        request.page_token = page.next_page_token


@pytest.fixture(scope="session")
async def told(machine: dict) -> str:
    """A campaign of which everything was told."""
    outside, fixture = Outside(machine), FixtureA("lists-a")
    await play(fixture, outside, 7)
    await outside.complete_report(fixture.campaign_id)
    await outside.close()
    return fixture.campaign_id


def who(found: list[messages.Message]) -> set[str]:
    return {one.registration.contact_id.rsplit("-", 1)[-1] for one in found}


async def test_every_counter_leads_to_as_many_messages(outside: Outside, told: str) -> None:
    """At one watermark the list's size is the counter; of acts and people it has their messages."""
    acts = {"clicks": 3, "unique_link_clicks": 3, "replies": 2, "repliers": 2}
    people = {"people_targeted": 12, "people_reached": 7}
    for metric, count in (COUNTERS | acts | people).items():
        found, total = await everything(outside, told, metric=metric.upper())
        assert (len(found), total) == (count, count), metric
        assert len({one.message_id for one in found}) == count


async def test_failures_lead_to_their_people(outside: Outside, told: str) -> None:
    """Who failed, for what, and whether trying again may help."""
    failed, total = await everything(outside, told, metric="failed")
    assert (who(failed), total) == ({"P7", "P10", "P11"}, 3)
    assert {one.registration.contact_id[-3:]: one.failure.transience for one in failed} == {
        "-P7": pb.FAILURE_TRANSIENCE_TRANSIENT,
        "P10": pb.FAILURE_TRANSIENCE_TRANSIENT,
        "P11": pb.FAILURE_TRANSIENCE_PERMANENT,
    }

    request = analytics.GetFailureReasonsRequest(campaign_id=told)
    reasons = await outside.call(outside.analytics.GetFailureReasons, request, "reader")
    for reason in reasons.reasons:
        found, total = await everything(outside, told, reasons=[reason.reason])
        assert total == len(found) == reason.count
        for code in filter(lambda one: one.provider_code, reason.codes):
            _, total = await everything(outside, told, provider_code=code.provider_code)
            assert total == code.count


async def test_links_lead_to_who_clicked_them(outside: Outside, told: str) -> None:
    """Per link, by whoever clicked it, however often."""
    assert who((await everything(outside, told, link_id="L1"))[0]) == {"P2", "P3"}
    assert who((await everything(outside, told, link_id="L2"))[0]) == {"P2", "P5"}
    both, total = await everything(outside, told, link_id="L2", states=[pb.MESSAGE_STATE_READ])
    assert (who(both), total) == ({"P2"}, 1)
    of_person, total = await everything(outside, told, contact_id=f"{told}-P1")
    assert (len(of_person), total) == (2, 2)


async def test_a_message_that_failed_and_arrived_shows_both(outside: Outside) -> None:
    """A failed status is no proof that nobody saw it."""
    load = Load(outside, "lists-recovered")
    await load._record(range(2))
    failure = [{"code": 131049, "title": "limit"}]
    body = envelope(statuses=[status(load.wamid(0), "failed", START, errors=failure)])
    assert await outside.callback(body) == 200
    await outside.complete_report(load.campaign_id)
    assert (await everything(outside, load.campaign_id, metric="failed"))[1] == 1

    body = envelope(statuses=[status(load.wamid(0), "delivered", START + 9)])
    assert await outside.callback(body) == 200
    await outside.complete_report(load.campaign_id)

    assert (await everything(outside, load.campaign_id, metric="failed"))[1] == 0
    [one], total = await everything(
        outside, load.campaign_id, metric="recovered", provider_code="131049"
    )
    assert (total, one.state, one.is_recovered) == (1, pb.MESSAGE_STATE_DELIVERED, True)
    assert one.failure.provider_code == "131049"
    request = messages.GetMessageRequest(message_ref=one.message_ref)
    whole = (await outside.call(outside.messages.GetMessage, request, "reader")).message
    assert [entry.kind for entry in whole.history][-2:] == [
        pb.EVENT_KIND_UNDELIVERED,
        pb.EVENT_KIND_DELIVERED,
    ]


async def test_addresses_are_shown_to_admins_only(outside: Outside, told: str) -> None:
    """Who may only look sees that there is an address, and not which."""
    seen = {role: (await everything(outside, told, 20, role))[0] for role in ("reader", "admin")}
    # A malformed address is one, too.
    assert all(one.address.startswith("••••") for one in seen["reader"])
    assert all("•" not in one.address and one.address for one in seen["admin"])


async def test_pages_taken_while_callbacks_arrive_have_each_message_once(outside: Outside) -> None:
    """The order never moves, whatever becomes of the messages meanwhile."""
    load = Load(outside, "lists-moving")
    count = 2_000
    await asyncio.gather(*(load._record(range(n, n + 500)) for n in range(0, count, 500)))
    await outside.complete_report(load.campaign_id)

    async def move() -> None:
        for word in ("sent", "delivered", "read"):
            for first in range(0, count, 200):
                told = [status(load.wamid(n), word, START) for n in range(first, first + 200)]
                assert await outside.callback(envelope(statuses=told)) == 200

    moving = asyncio.create_task(move())
    found, total = await everything(outside, load.campaign_id, 50)
    await moving

    assert total == len(found) == count
    assert len({one.message_ref for one in found}) == count
    report = await outside.complete_report(load.campaign_id)
    for metric in ("read", "delivered", "pending"):
        _, total = await everything(outside, load.campaign_id, 1_000, metric=metric)
        assert total == report.counters[metric]


async def test_a_question_that_cannot_be_answered_says_why(outside: Outside, told: str) -> None:
    """Field, limit and cure reach the caller through both services."""

    async def refusal(**request: object) -> tuple[str, str, list[str]]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            asked = messages.ListMessagesRequest(**request)  # type: ignore[arg-type]
            await outside.call(outside.messages.ListMessages, asked, "reader")
        info, fields = error_details_pb2.ErrorInfo(), []
        for detail in rpc_status.from_call(refused.value).details:  # type: ignore[union-attr]
            bad = error_details_pb2.BadRequest()
            detail.Unpack(info)
            if detail.Unpack(bad):
                fields = [one.field for one in bad.field_violations]
        return refused.value.code().name, info.reason, fields

    invalid = "INVALID_ARGUMENT"
    assert await refusal(campaign_id=told, where={"metric": "x"}) == (
        invalid, invalid, ["where.metric"],
    )  # fmt: skip
    assert await refusal() == (invalid, invalid, ["campaign_id"])
    assert await refusal(campaign_id=told, page_size=1_001) == (invalid, invalid, ["page_size"])
    assert (await refusal(campaign_id="nobody-made-it"))[:2] == ("NOT_FOUND", "CAMPAIGN_NOT_FOUND")
