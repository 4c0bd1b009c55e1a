from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bluetick.v1 import analytics_service_pb2 as pb

from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from tests.analytics import fixture_a
from tests.analytics.building import (
    CAMPAIGN,
    MINUTE,
    T0,
    Step,
    act,
    batches_of,
    changes_of,
    image,
    person,
    registration,
)
from tests.analytics.calling import Caller, running
from tests.analytics.conftest import Cells

SHOP = "https://shop.example/"


@pytest_asyncio.fixture(loop_scope="session")
async def call(
    broker_settings: RuntimeSettings, database_url: str, clock: ManualClock
) -> AsyncIterator[Caller]:
    async with running(broker_settings, database_url, clock) as caller:
        yield caller


async def ask(call: Caller, campaign_id: str = CAMPAIGN) -> pb.GetLinkActivityResponse:
    request = pb.GetLinkActivityRequest(campaign_id=campaign_id)
    return await call(call.analytics.GetLinkActivity, request)


def a_delivered(name: str, *clicks: dict[str, object], campaign_id: str = CAMPAIGN) -> list[Step]:
    """A message that was delivered, and then clicked."""
    acts = [
        act("CLICKED", T0 + at * MINUTE, f"{name}.{at}", **one)  # type: ignore[arg-type]
        for at, one in enumerate(clicks)
    ]
    machine_clicks = sum(one.engagement.is_machine for one in acts)
    human = [one.occur_time_us for one in acts if not one.engagement.is_machine]
    sums = {
        "click_count": len(acts),
        "click_time_us": T0 if acts else 0,
        "machine_click_count": machine_clicks,
        "human_click_time_us": min(human, default=0),
    }
    at = {"accept_time_us": T0, "deliver_time_us": T0}
    who = registration(name, campaign_id=campaign_id)
    return [Step(image("DELIVERED", **at), who), Step(image("DELIVERED", **at, **sums), who, acts)]


async def fold(cells: Cells, *messages: list[Step]) -> None:
    changes = [
        change
        for at, steps in enumerate(messages)
        for change in changes_of(bytes([at] * 16), steps)
    ]
    await cells.fold(batches_of(changes, 3))


async def test_clicks_of_the_hand_counted_campaign_by_link(
    call: Caller, cells: Cells, clock: ManualClock
) -> None:
    """The split is what tells a sender which offer worked; it adds up to all clicks."""
    await cells.fold(batches_of(fixture_a.changes(), 5))

    answer = await ask(call)

    assert [(one.link_id, one.clicks, one.people_count) for one in answer.links] == [
        ("L1", 3, 2),
        ("L2", 2, 2),
    ]
    assert (answer.clicks, answer.human_clicks) == (5, 5)
    assert answer.as_of_time.ToMicroseconds() == clock.now_us()


async def test_cards_that_lead_to_the_same_place_are_listed_apart(
    call: Caller, cells: Cells
) -> None:
    """Which card people take is the question, not where it leads."""
    clicks = [{"url": SHOP, "card_index": card} for card in (1, 2, 2, 3)]

    await fold(cells, a_delivered("P1", *clicks))

    rows = [(one.url, one.card_index, one.clicks) for one in (await ask(call)).links]
    assert rows == [(SHOP, 2, 2), (SHOP, 1, 1), (SHOP, 3, 1)]


async def test_buttons_to_other_platforms_have_a_total_and_a_rate(
    call: Caller, cells: Cells
) -> None:
    """Clicks per delivered message: 2 of 8."""
    external = {"url": SHOP, "link": "chat", "is_external_button": True}
    messages = [a_delivered(f"P{n}") for n in range(6)]

    await fold(
        cells, *messages, a_delivered("P6", external, {"url": SHOP}), a_delivered("P7", external)
    )

    answer = await ask(call)
    rate = answer.external_button_clicks_per_delivered
    assert (rate.numerator, rate.denominator, rate.value) == (2, 8, 0.25)
    assert [(one.link_id, one.is_external_button, one.clicks) for one in answer.links] == [
        ("chat", True, 2),
        ("", False, 1),
    ]


async def test_a_machines_clicks_are_in_one_number_and_not_in_the_other(
    call: Caller, cells: Cells
) -> None:
    """Nothing is dropped and nobody is fooled: both numbers are there."""
    scanned = {"url": SHOP, "is_machine": True, "machine_rule": "scanner/1"}

    await fold(cells, a_delivered("P1", scanned, {"url": SHOP}), a_delivered("P2", scanned))

    (one,) = (await ask(call)).links
    assert (one.clicks, one.human_clicks, one.people_count, one.human_people_count) == (3, 1, 2, 1)
    report = await call(
        call.analytics.GetCampaignReport, pb.GetCampaignReportRequest(campaign_id=CAMPAIGN)
    )
    names = ("clicks", "machine_clicks", "human_clicks", "clicked", "human_clicked")
    assert [report.counters[name] for name in names] == [3, 2, 1, 2, 1]
    assert report.rates["human_clicked_per_delivered"].value == 0.5


async def test_a_link_of_many_addresses_is_one_link_with_one_name(
    call: Caller, cells: Cells
) -> None:
    """Addresses may carry the person; in any order of the clicks the same one is shown."""
    clicks = [
        {"link": "offer", "url": f"{SHOP}?p={who}", "link_label": label}
        for who, label in (("b", ""), ("a", "Offer"), ("c", "Zzz"))
    ]

    for campaign_id, told in (("spring", clicks), ("autumn", clicks[::-1])):
        messages = [
            a_delivered(f"P{at}", one, campaign_id=campaign_id) for at, one in enumerate(told)
        ]
        for number, steps in enumerate(messages):
            key = bytes([number]) + campaign_id.encode().ljust(15, b"\0")
            changes = changes_of(key, steps)
            await cells.fold(batches_of(changes, 1, prefix=f"{campaign_id}{number}."))

    for campaign_id in ("spring", "autumn"):
        (one,) = (await ask(call, campaign_id)).links
        assert (one.link_id, one.url, one.label, one.clicks) == ("offer", f"{SHOP}?p=a", "Offer", 3)


async def test_a_record_that_names_another_campaign_takes_its_clicks_along(
    call: Caller, cells: Cells
) -> None:
    """Rows of the first campaign must not keep what it no longer has."""
    first = a_delivered("P1", {"link": "L1"})[-1]
    moved = Step(first.image, registration("P1", campaign_id="autumn"), first.acts)

    changes = batches_of(changes_of(person("P1"), [first, moved]), 1)
    await cells.fold(changes[:1])
    before = await ask(call)
    await cells.fold(changes[1:])

    assert [one.clicks for one in before.links] == [1]
    assert list((await ask(call)).links) == []
    assert [one.clicks for one in (await ask(call, "autumn")).links] == [1]


async def test_a_campaign_without_clicks_has_no_rows_and_one_without_messages_no_rate(
    call: Caller, cells: Cells
) -> None:
    """No rate exists, which is not a rate of 0."""
    await fold(cells, a_delivered("P1"))
    empty = Step(image("QUEUED", queue_time_us=T0), registration("P1", campaign_id="autumn"))
    await cells.fold(batches_of(changes_of(person("P9"), [empty]), 1, prefix="autumn"))

    answer, none = await ask(call), await ask(call, "autumn")

    assert (list(answer.links), answer.clicks) == ([], 0)
    assert answer.external_button_clicks_per_delivered.value == 0
    assert not none.external_button_clicks_per_delivered.HasField("value")


@pytest.mark.parametrize(
    ("campaign_id", "code"), [("nobody", "NOT_FOUND"), ("", "INVALID_ARGUMENT")]
)
async def test_a_campaign_must_be_named_and_known(
    call: Caller, campaign_id: str, code: str
) -> None:
    """A campaign that is not there is no campaign without clicks."""
    request = pb.GetLinkActivityRequest(campaign_id=campaign_id)

    assert (await call.refusal(call.analytics.GetLinkActivity, request))[0] == code


async def test_links_of_another_tenant_are_not_found(call: Caller, cells: Cells) -> None:
    """Where a sender's links lead is nobody else's business."""
    await cells.fold(batches_of(fixture_a.changes(), 5))
    other = call.as_("READER", tenant="other")

    request = pb.GetLinkActivityRequest(campaign_id=CAMPAIGN)

    assert (await other.refusal(other.analytics.GetLinkActivity, request))[0] == "NOT_FOUND"
    assert (await ask(call.as_("READER"))).clicks == 5
