"""Quarantined callbacks leave only when what they say is durable, and come back only if new."""

import pytest
from bluetick.v1.event_pb2 import Quarantined
from bluetick.v1.ingest_service_pb2 import ReplayQuarantineRequest, ReplayQuarantineResponse

from libs.runtime.replay import Reread
from libs.runtime.rpc_errors import InvalidArgument, Unavailable
from libs.testkit import builders
from services.status.domain.flaws import REFUSED
from tests.status.callbacks import KEY, PlayedIngest, a_quarantined, a_replay
from tests.status.machine import Bench

OTHER = b"fedcba9876543210"
READ = Reread(is_read=True, event_count=3)


async def replay(
    bench: Bench, ingest: PlayedIngest, *keys: bytes, limit_s: float = 10.0
) -> ReplayQuarantineResponse:
    request = ReplayQuarantineRequest(quarantine_ids=[key.hex() for key in keys])
    return await a_replay(bench, ingest).replay(builders.TENANT, request, limit_s=limit_s)


async def kept_keys(bench: Bench) -> list[bytes]:
    rows = await bench.rows("SELECT quarantine_key FROM status.quarantine ORDER BY 1")
    return [row[0] for row in rows]


async def test_what_can_be_read_now_leaves_and_the_rest_stays_with_todays_reason(
    bench: Bench,
) -> None:
    """The two counts are what a person acts on."""

    def answer(kept: Quarantined) -> Reread:
        if kept.quarantine_key == KEY:
            return READ
        return Reread(is_read=False, reason="NEW", detail="a.b: odd", is_newer_reason=True)

    ingest = PlayedIngest(answer)
    await bench.apply(quarantined=[a_quarantined(), a_quarantined(OTHER, body=b"[")])

    answered = await replay(bench, ingest)

    assert (answered.replayed_count, answered.remaining_count) == (1, 1)
    outcomes = {one.quarantine_id: one for one in answered.callbacks}
    assert outcomes[KEY.hex()].is_replayed
    assert outcomes[KEY.hex()].event_count == 3
    assert not outcomes[OTHER.hex()].is_replayed
    assert await bench.rows("SELECT quarantine_key, reason, detail FROM status.quarantine") == [
        (OTHER, "NEW", "a.b: odd")
    ]
    assert ingest.asked[0].body in (b"{", b"[")
    assert ingest.asked[0].method == "POST"


async def test_a_redelivery_of_the_old_receipt_opens_nothing_but_a_new_receipt_does(
    bench: Bench,
) -> None:
    """The broker delivers at least once; the provider may send the same odd body next week."""
    await bench.apply(quarantined=[a_quarantined()])
    await replay(bench, PlayedIngest(lambda _: READ))

    await bench.apply(quarantined=[a_quarantined()])
    after_redelivery = await kept_keys(bench)
    await bench.apply(quarantined=[a_quarantined(receive_time_us=builders.TIME_US + 1)])

    assert after_redelivery == []
    assert await kept_keys(bench) == [KEY]


async def test_without_an_answer_a_callback_stays_and_the_count_says_so(bench: Bench) -> None:
    """ingest may be killed while it reads."""
    await bench.apply(quarantined=[a_quarantined()])

    answered = await replay(bench, PlayedIngest(lambda _: None), KEY)

    assert (answered.replayed_count, answered.remaining_count) == (0, 1)
    assert answered.callbacks[0].reason == "NO_ANSWER"
    assert await bench.rows("SELECT reason FROM status.quarantine") == [("BODY_NOT_JSON",)]


async def test_with_nobody_to_read_the_call_says_so(bench: Bench) -> None:
    """A caller who is told 0 of 5 would look for the fault in the callbacks."""
    await bench.apply(quarantined=[a_quarantined()])

    with pytest.raises(Unavailable):
        await replay(bench, PlayedIngest())


async def test_nothing_is_begun_after_the_deadline(bench: Bench) -> None:
    """The answer must come before the caller stops listening."""
    await bench.apply(quarantined=[a_quarantined()])
    ingest = PlayedIngest(lambda _: READ)

    answered = await replay(bench, ingest, limit_s=0.0)

    assert (answered.replayed_count, answered.remaining_count, ingest.asked) == (0, 1, [])


async def test_only_what_is_asked_for_is_replayed_and_what_is_not_there_is_named(
    bench: Bench,
) -> None:
    """A person replays one to see whether an update helps."""
    await bench.apply(quarantined=[a_quarantined(), a_quarantined(OTHER)])

    answered = await replay(bench, PlayedIngest(lambda _: READ), KEY, b"x" * 16)

    assert (answered.replayed_count, answered.remaining_count) == (1, 0)
    assert answered.callbacks[-1].reason == "NOT_IN_QUARANTINE"
    assert await kept_keys(bench) == [OTHER]


async def test_another_tenants_quarantine_is_out_of_reach(bench: Bench) -> None:
    """Identities are hashes, and may be guessed from a body."""
    await bench.apply(quarantined=[a_quarantined(tenant_id="other")])
    ingest = PlayedIngest(lambda _: READ)

    by_id = await replay(bench, ingest, KEY)
    everything = await replay(bench, ingest)

    assert (by_id.replayed_count, everything.replayed_count, ingest.asked) == (0, 0, [])
    assert await kept_keys(bench) == [KEY]


@pytest.mark.parametrize("ids", [["nonsense"], ["00"], ["00" * 16] * 1_001])
async def test_bad_identities_are_refused(bench: Bench, ids: list[str]) -> None:
    """A cut identity must not silently select nothing."""
    with pytest.raises(InvalidArgument):
        await a_replay(bench, PlayedIngest()).replay(
            builders.TENANT, ReplayQuarantineRequest(quarantine_ids=ids), limit_s=1.0
        )


async def test_an_event_that_the_store_refused_is_applied_again_without_ingest(
    bench: Bench,
) -> None:
    """ingest had read it; what failed was ours."""
    event = builders.an_event()
    refused = a_quarantined(reason=REFUSED, body=event.SerializeToString(), is_part=True)
    still_refused = builders.an_event(provider_word="a\x00b", provider_message_id="wamid.\x00")
    body = still_refused.SerializeToString()
    await bench.apply(quarantined=[refused, a_quarantined(OTHER, reason=REFUSED, body=body)])

    answered = await replay(bench, PlayedIngest())

    assert (answered.replayed_count, answered.remaining_count) == (1, 1)
    assert await kept_keys(bench) == [OTHER]
    assert list(await bench.images()) == [event.message_key]
