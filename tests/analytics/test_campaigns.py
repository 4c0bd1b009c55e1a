from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bluetick.v1 import campaign_service_pb2 as pb
from bluetick.v1.common_pb2 import CHANNEL_SMS, CHANNEL_WHATSAPP, TimeRange
from google.protobuf.duration_pb2 import Duration

from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from tests.analytics import fixture_a
from tests.analytics.building import CAMPAIGN, batches_of
from tests.analytics.calling import Caller, running
from tests.analytics.conftest import Cells


@pytest_asyncio.fixture(loop_scope="session")
async def call(
    broker_settings: RuntimeSettings, database_url: str, clock: ManualClock
) -> AsyncIterator[Caller]:
    async with running(broker_settings, database_url, clock) as caller:
        yield caller


async def create(call: Caller, request_id: str = "", **fields: object) -> pb.Campaign:
    campaign = pb.Campaign(**fields)  # type: ignore[arg-type]
    request = pb.CreateCampaignRequest(campaign=campaign, request_id=request_id)
    return (await call(call.campaigns.CreateCampaign, request)).campaign


async def test_a_created_campaign_is_returned_with_its_defaults(call: Caller) -> None:
    """Callers see what is stored, not what they sent."""
    created = await create(call, campaign_id="spring", name="Spring", tags=["a", "b"])

    found = await call(call.campaigns.GetCampaign, pb.GetCampaignRequest(campaign_id="spring"))

    assert found.campaign == created
    assert (created.kind, created.state, created.is_implicit) == (1, 1, False)
    assert created.HasField("create_time")


async def test_the_same_creation_again_answers_the_stored_campaign(call: Caller) -> None:
    """A caller that never heard the answer tries again."""
    first = await create(call, campaign_id="spring", name="Spring")

    assert await create(call, campaign_id="spring", name="Spring") == first


async def test_another_campaign_under_the_same_id_is_refused(call: Caller) -> None:
    """Two campaigns in one would mix their numbers for ever."""
    await create(call, campaign_id="spring", name="Spring")

    other = pb.CreateCampaignRequest(campaign=pb.Campaign(campaign_id="spring", name="Other"))

    refusal = await call.refusal(call.campaigns.CreateCampaign, other)
    assert refusal == ("ALREADY_EXISTS", "CAMPAIGN_ALREADY_EXISTS", [])


async def test_a_retry_with_the_request_id_creates_no_second_campaign(call: Caller) -> None:
    """Without an id of its own, only the request id tells a retry from a second campaign."""
    first = await create(call, "r1", name="Spring")

    again = await create(call, "r1", name="Spring")
    other = await create(call, "r2", name="Spring")

    assert first.campaign_id
    assert again == first
    assert other.campaign_id != first.campaign_id
    reused = pb.CreateCampaignRequest(campaign=pb.Campaign(name="X"), request_id="r1")
    refusal = await call.refusal(call.campaigns.CreateCampaign, reused)
    assert refusal == ("ALREADY_EXISTS", "REQUEST_ID_REUSED", [])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"campaign_id": "a b"}, "campaign_id"),
        ({"campaign_id": "a" * 129}, "campaign_id"),
        ({"name": "n" * 257}, "name"),
        ({"tags": [str(n) for n in range(33)]}, "tags"),
        ({"tags": ["ok", "t" * 65]}, "tags[1]"),
        ({"tags": ["a\x00"]}, "tags[0]"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"audience_size": -1}, "audience_size"),
        ({"attribute_dimensions": [str(n) for n in range(9)]}, "attribute_dimensions"),
        ({"attribution_window": Duration(seconds=-1)}, "attribution_window"),
        ({"winning_metric": "open rate"}, "winning_metric"),
        ({"kind": 99}, "kind"),
    ],
)
async def test_a_broken_limit_is_refused_with_the_name_of_its_field(
    call: Caller, fields: dict, field: str
) -> None:
    """The caller must be able to repair the request without reading our code."""
    request = pb.CreateCampaignRequest(campaign=pb.Campaign(**fields))

    refusal = await call.refusal(call.campaigns.CreateCampaign, request)

    assert refusal == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", [f"campaign.{field}"])


async def test_a_campaign_that_a_message_named_first_can_still_be_created(
    call: Caller, cells: Cells
) -> None:
    """Messages and set-up may come in any order; the campaign has been started either way."""
    await cells.fold(batches_of(fixture_a.changes(), 50))

    created = await create(call, campaign_id=CAMPAIGN, name="Spring", tags=["late"])

    assert (created.name, created.state, created.is_implicit) == (
        "Spring",
        pb.CAMPAIGN_STATE_SENDING,
        False,
    )
    assert list(created.channels) == [CHANNEL_WHATSAPP]


async def test_a_draft_is_sending_from_its_first_message_on(call: Caller, cells: Cells) -> None:
    """Nobody needs to say it: the message proves it."""
    await create(call, campaign_id=CAMPAIGN)

    await cells.fold(batches_of(fixture_a.changes(), 50))

    found = await call(call.campaigns.GetCampaign, pb.GetCampaignRequest(campaign_id=CAMPAIGN))
    assert found.campaign.state == pb.CAMPAIGN_STATE_SENDING


async def test_an_update_replaces_what_callers_may_set(call: Caller, clock: ManualClock) -> None:
    """Kind and state stay when they are left out; the creation's time always does."""
    created = await create(call, campaign_id="spring", name="Spring", kind="CAMPAIGN_KIND_API")
    clock.advance(s=5)

    request = pb.UpdateCampaignRequest(campaign=pb.Campaign(campaign_id="spring", name="New"))
    updated = (await call(call.campaigns.UpdateCampaign, request)).campaign

    assert (updated.name, updated.kind, updated.state) == ("New", created.kind, created.state)
    assert updated.create_time == created.create_time
    assert updated.update_time.seconds == created.update_time.seconds + 5


async def test_a_started_campaign_is_no_draft_again(call: Caller) -> None:
    """Its messages are out."""
    await create(call, campaign_id="spring", state="CAMPAIGN_STATE_SENT")

    draft = pb.Campaign(campaign_id="spring", state="CAMPAIGN_STATE_DRAFT")
    request = pb.UpdateCampaignRequest(campaign=draft)

    refusal = await call.refusal(call.campaigns.UpdateCampaign, request)
    assert refusal == ("FAILED_PRECONDITION", "CAMPAIGN_STARTED", [])


async def test_pages_are_newest_first_and_complete(call: Caller, clock: ManualClock) -> None:
    """Every campaign once, also when several were created in the same instant."""
    for number in range(7):
        await create(call, campaign_id=f"c{number}", tags=["even"] if number % 2 == 0 else [])
        clock.advance(s=number // 4)

    seen, request = [], pb.ListCampaignsRequest(page_size=2)
    while True:
        page = await call(call.campaigns.ListCampaigns, request)
        seen += [campaign.campaign_id for campaign in page.campaigns]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    tagged = pb.ListCampaignsRequest(filter=pb.CampaignFilter(tag="even"))
    even = await call(call.campaigns.ListCampaigns, tagged)

    assert seen == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]
    assert [campaign.campaign_id for campaign in even.campaigns] == ["c6", "c4", "c2", "c0"]
    tagged.page_token = request.page_token
    refusal = await call.refusal(call.campaigns.ListCampaigns, tagged)
    assert refusal == ("INVALID_ARGUMENT", "INVALID_ARGUMENT", ["page_token"])


async def test_filters_of_a_list_must_all_hold(
    call: Caller, cells: Cells, clock: ManualClock
) -> None:
    """Search by what is known of a campaign."""
    old = await create(call, campaign_id="old", kind="CAMPAIGN_KIND_API")
    clock.advance(s=60)
    await create(call, campaign_id=CAMPAIGN, state="CAMPAIGN_STATE_COMPLETED")
    await cells.fold(batches_of(fixture_a.changes(), 50))

    async def found(**where: object) -> list[str]:
        request = pb.ListCampaignsRequest(filter=pb.CampaignFilter(**where))  # type: ignore[arg-type]
        page = await call(call.campaigns.ListCampaigns, request)
        return [campaign.campaign_id for campaign in page.campaigns]

    assert await found(kind=pb.CAMPAIGN_KIND_API) == ["old"]
    assert await found(state=pb.CAMPAIGN_STATE_COMPLETED) == [CAMPAIGN]
    assert await found(channel=CHANNEL_WHATSAPP) == [CAMPAIGN]
    assert await found(channel=CHANNEL_SMS) == []
    assert await found(create_time=TimeRange(end_time=old.create_time)) == []
    assert await found(create_time=TimeRange(start_time=old.create_time)) == [CAMPAIGN, "old"]


async def test_page_sizes_have_a_floor_and_a_ceiling(call: Caller) -> None:
    """A page that is silently shorter than asked for looks like the last one."""
    await create(call, campaign_id="one")

    negative = pb.ListCampaignsRequest(page_size=-1)
    assert (await call.refusal(call.campaigns.ListCampaigns, negative))[2] == ["page_size"]
    large = pb.ListCampaignsRequest(page_size=1_001)
    assert (await call.refusal(call.campaigns.ListCampaigns, large))[2] == ["page_size"]
    largest = pb.ListCampaignsRequest(page_size=1_000)
    assert len((await call(call.campaigns.ListCampaigns, largest)).campaigns) == 1


async def test_readers_read_and_do_not_write(call: Caller) -> None:
    """A dashboard's key must not be able to change anything."""
    await create(call.as_("SENDER"), campaign_id="spring")
    reader = call.as_("READER")

    get = pb.GetCampaignRequest(campaign_id="spring")
    assert (await reader(reader.campaigns.GetCampaign, get)).campaign.campaign_id == "spring"
    request = pb.CreateCampaignRequest(campaign=pb.Campaign(campaign_id="x"))
    refusal = await reader.refusal(reader.campaigns.CreateCampaign, request)
    assert refusal[0] == "PERMISSION_DENIED"


async def test_tenants_do_not_see_one_another(call: Caller) -> None:
    """The same id in two tenants is two campaigns."""
    await create(call, campaign_id="spring", name="Mine")
    other = call.as_(tenant="other")

    refusal = await other.refusal(
        other.campaigns.GetCampaign, pb.GetCampaignRequest(campaign_id="spring")
    )
    assert refusal == ("NOT_FOUND", "CAMPAIGN_NOT_FOUND", [])


async def test_what_does_not_exist_yet_says_so(call: Caller) -> None:
    """The surface is fixed before all of it works."""
    refusal = await call.refusal(call.campaigns.GetRateCard, pb.GetRateCardRequest())

    assert refusal[0] == "UNIMPLEMENTED"
