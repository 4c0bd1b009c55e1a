import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1.event_pb2 import Event

from libs.runtime.keys import message_key, ref_key
from libs.runtime.rpc_errors import InvalidArgument
from services.ingest.record_engagements import KIND_BY_ENGAGEMENT, record_engagements
from tests.ingest.record_builders import AT, NOW_US, KeptEvents, an_engagement


async def _record(
    *records: ingest.EngagementRecord, events: KeptEvents | None = None
) -> ingest.RecordEngagementsResponse:
    return await record_engagements(
        ingest.RecordEngagementsRequest(engagements=records),
        tenant_id="demo",
        now_us=NOW_US,
        events=events or KeptEvents(),
    )


async def _event(record: ingest.EngagementRecord) -> Event:
    kept = KeptEvents()
    await _record(record, events=kept)
    (event,) = kept.batch.events
    return event


def test_every_kind_has_its_event() -> None:
    """A kind added to the contract must not be rejected as unknown."""
    assert set(KIND_BY_ENGAGEMENT) == set(ingest.EngagementKind.values()) - {0}


async def test_a_click_carries_its_link() -> None:
    """Links are reported one by one."""
    event = await _event(
        an_engagement(link_id="L1", url="https://example.com/", card_index=2, is_machine=True)
    )

    said = event.engagement
    assert event.kind == pb.EVENT_KIND_CLICKED
    assert event.occur_time_us == AT.seconds * 1_000_000
    assert (said.act_id, said.link_id, said.url) == ("act-1", "L1", "https://example.com/")
    assert (said.card_index, said.is_machine) == (2, True)
    assert said.machine_rule
    assert not said.is_tap


async def test_the_message_is_named_by_the_senders_id_or_by_the_providers() -> None:
    """Tracked links know only the sender's; inbound systems only the provider's."""
    by_ref = await _event(an_engagement())
    by_id = await _event(
        an_engagement(message_ref="", provider="Meta", provider_message_id="wamid.1")
    )

    assert by_ref.message_key == ref_key("demo", "ref-1")
    assert by_ref.message_ref == "ref-1"
    assert by_id.message_key == message_key("demo", "meta", "wamid.1")


@pytest.mark.parametrize("field", ["button_id", "button_title"])
async def test_a_reply_with_a_button_is_a_tap(field: str) -> None:
    """Taps are replies, and are counted by themselves, too."""
    event = await _event(an_engagement(kind=ingest.ENGAGEMENT_KIND_REPLY, **{field: "yes"}))

    assert event.kind == pb.EVENT_KIND_REPLIED
    assert event.engagement.is_tap


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (an_engagement(engagement_id=""), "ENGAGEMENT_ID_MISSING"),
        (an_engagement(kind=0), "KIND_MISSING"),
        (an_engagement(kind=77), "KIND_UNKNOWN"),
        (an_engagement(message_ref=""), "MESSAGE_MISSING"),
        (an_engagement(provider_message_id="x"), "PROVIDER_MISSING"),
        (an_engagement(url="u" * 2_049), "URL_TOO_LONG"),
        (an_engagement(link_id="a\x00"), "INVALID_TEXT"),
        (an_engagement(occur_time={"seconds": 5}), "TIME_OUT_OF_RANGE"),
    ],
)
async def test_an_act_that_cannot_work_is_rejected_and_the_others_stored(
    record: ingest.EngagementRecord, reason: str
) -> None:
    """One bad act must not lose the rest of the request."""
    kept = KeptEvents()

    response = await _record(an_engagement(), record, events=kept)

    assert [(r.index, r.reason) for r in response.rejections] == [(1, reason)]
    assert response.recorded_count == len(kept.batch.events) == 1


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_request_without_acts_or_with_too_many_is_refused_as_a_whole(count: int) -> None:
    """The limit is told by name."""
    with pytest.raises(InvalidArgument) as refused:
        await _record(*[an_engagement()] * count)

    assert refused.value.violations[0][0] == "engagements"
