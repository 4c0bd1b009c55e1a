"""What a change carries: everything that is counted from it, in both images."""

import pytest
from bluetick.v1 import change_pb2
from bluetick.v1 import common_pb2 as words

from libs.testkit import builders
from tests.status.machine import Bench

T = builders.TIME_US
MINUTE_US = 60_000_000


async def test_both_images_hold_the_whole_scope(bench: Bench) -> None:
    """Whoever counts takes the old image back and adds the new one: no table is asked."""
    registration = builders.a_registration(
        variant="B", flow_id="f", branch_id="b", step_id="s", segment="vip", market="US",
        time_zone="Asia/Kathmandu", attributes={"tier": "gold"},
    )  # fmt: skip
    await bench.apply(builders.a_registered(registration=registration))

    await bench.apply(builders.an_event(occur_time_us=T + 1))

    change = bench.outbox.changes[-1]
    for image in (change.old_image, change.new_image):
        assert image.scope == change_pb2.Scope(
            campaign_id="campaign-1", channel=words.CHANNEL_WHATSAPP, provider="meta",
            account="acct_1", sender="+14155550100", template="spring_sale", language="en",
            category="marketing", variant="B", flow_id="f", branch_id="b", step_id="s",
            segment="vip", country="US", market="US", time_zone="Asia/Kathmandu",
        )  # fmt: skip
        assert dict(image.attributes) == {"tier": "gold"}
        assert (image.contact_id, len(image.person_key)) == ("contact-1", 16)
        assert (image.message_ref, image.provider_message_id) == ("ref-1", "wamid.TEST1")
        assert (image.attempt_count, image.cohort_time_us) == (1, T)
    assert change.is_state_moved


async def test_each_image_has_the_provider_that_it_had(bench: Bench) -> None:
    """Taking the new provider back from a message that had another one drifts two cells."""
    await bench.apply(builders.an_event(account="b"), builders.a_click(account="b"))

    await bench.apply(builders.an_event(words.EVENT_KIND_SENT, account="a"))

    change = bench.outbox.changes[-1]
    assert (change.old_image.scope.account, change.new_image.scope.account) == ("b", "a")
    # Acts follow the message from the old account to the new one.
    assert [act.is_repeated for act in change.acts] == [True]


@pytest.mark.parametrize(
    ("minutes_later", "cause"),
    [(1, change_pb2.CHANGE_CAUSE_LIVE), (16, change_pb2.CHANGE_CAUSE_LATE)],
)
async def test_the_cause_tells_live_from_late(bench: Bench, minutes_later: int, cause: int) -> None:
    """ "Why did yesterday's number change?" needs an answer."""
    bench.clock.set(T + minutes_later * MINUTE_US)

    await bench.apply(builders.an_event(receive_time_us=T + minutes_later * MINUTE_US))

    assert bench.outbox.changes[-1].cause == cause


async def test_the_record_is_a_cause_and_another_one_a_correction(bench: Bench) -> None:
    """Numbers move when a record comes late, and when the sender contradicts itself."""
    await bench.apply(builders.an_event())
    await bench.apply(builders.a_registered(occur_time_us=T + 5))
    await bench.apply(builders.a_registered(occur_time_us=T))

    assert [change.cause for change in bench.outbox.changes[1:]] == [
        change_pb2.CHANGE_CAUSE_RECORD,
        change_pb2.CHANGE_CAUSE_CORRECTION,
    ]


async def test_the_price_that_a_callback_tells_is_in_the_image(bench: Bench) -> None:
    """In millionths, so that sums are exact."""
    event = builders.an_event(words.EVENT_KIND_SENT)
    event.pricing.category = "marketing"
    event.pricing.billable = True
    event.pricing.price.currency_code = "USD"
    event.pricing.price.nanos = -7_500_000

    await bench.apply(event)

    assert bench.outbox.changes[-1].new_image.final_price == change_pb2.Price(
        currency_code="USD", amount_micros=-7_500, is_billable=True, category="marketing"
    )


async def test_a_change_with_many_acts_comes_in_parts_and_loses_none(bench: Bench) -> None:
    """The record of a message that was clicked 5,000 times must bring all clicks into its cells."""
    clicks = [
        builders.a_click(f"click-{n:05}", link_id="link" * 30, occur_time_us=T + n)
        for n in range(3_000)
    ]
    await bench.apply(*clicks)

    await bench.apply(builders.a_registered())

    parts = [change for change in bench.outbox.changes if change.version == 2]
    assert len(parts) > 1
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.part_count for part in parts} == {len(parts)}
    assert len({part.new_image.SerializeToString(deterministic=True) for part in parts}) == 1
    told = [act.engagement.act_id for part in parts for act in part.acts]
    assert sorted(told) == [f"click-{n:05}" for n in range(3_000)]
