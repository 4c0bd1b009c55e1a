"""Messages without a report: undelivered after 30 days, to the second, however often it is told."""

import asyncio
from typing import Any

import pytest
from bluetick.v1 import common_pb2 as words
from bluetick.v1.event_pb2 import Event

from libs.runtime.database import Database
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.due_rows import DueRows
from services.status.domain.due import DAY_US
from services.status.domain.silence import Patience
from services.status.tell_silence import TellSilence
from tests.status.machine import Bench, CollectingOutbox, make_bench

T = builders.TIME_US
MISSING = words.FAILURE_REASON_DELIVERY_REPORT_MISSING


def a_send(name: str, at_us: int = T, channel: int = words.CHANNEL_WHATSAPP) -> Event:
    return builders.a_registered(
        provider_message_id=name,
        message_ref=f"ref-{name}",
        occur_time_us=at_us,
        registration=builders.a_registration(channel=channel),
    )


def tell(bench: Bench, database: Database, **days: int) -> TellSilence:
    return TellSilence(DueRows(database), bench.use_case, bench.clock, Patience(**days))


async def states(bench: Bench) -> dict[str, tuple[str, int]]:
    return {
        seen.provider_message_id: (words.MessageState.Name(seen.state)[14:], seen.failure_reason)
        for _, seen in (await bench.images()).values()
    }


async def test_silence_is_undelivered_at_day_30_and_not_a_second_before(
    bench: Bench, database: Database
) -> None:
    """At day 29 23:59:59 pending; at day 30 undelivered, but for those with any report."""
    bench.clock.set(T)
    failed = builders.a_failure(provider_message_id="C", occur_time_us=T + 1)
    delivered = builders.an_event(provider_message_id="D", occur_time_us=T + 1)
    sent = builders.an_event(
        words.EVENT_KIND_SENT, provider_message_id="B", occur_time_us=T + 2_000_000
    )
    sends = [a_send(name) for name in "ABCD"]
    await bench.apply(*sends, a_send("E", T + 1_000_000), sent, failed, delivered)
    silence = tell(bench, database)

    bench.clock.set(T + 30 * DAY_US - 1_000_000)
    assert await silence.tell_due() == 0
    assert (await states(bench))["A"] == ("ACCEPTED", 0)
    bench.clock.set(T + 30 * DAY_US)
    assert await silence.tell_due() == 2

    found = await states(bench)
    assert (found["A"], found["B"]) == (("UNDELIVERED", MISSING), ("UNDELIVERED", MISSING))
    assert found["C"] == ("UNDELIVERED", words.FAILURE_REASON_RECIPIENT_RELATED_ERRORS)
    assert (found["D"][0], found["E"][0]) == ("DELIVERED", "ACCEPTED")
    bench.clock.advance(s=1)
    assert await silence.tell_due() == 1
    assert (await states(bench))["E"] == ("UNDELIVERED", MISSING)
    assert await bench.rows("SELECT count(*) FROM status.due") == [(0,)]


@pytest.mark.parametrize("channel", [words.CHANNEL_WHATSAPP, words.CHANNEL_EMAIL])
async def test_a_report_that_comes_after_all_lifts_it(
    bench: Bench, database: Database, channel: int
) -> None:
    """A `delivered` on day 31 moves the message back, and nothing was recovered from."""
    await bench.apply(a_send("A", channel=channel))
    bench.clock.set(T + 30 * DAY_US)
    assert await tell(bench, database).tell_due() == 1

    await bench.apply(builders.an_event(provider_message_id="A", occur_time_us=T + 31 * DAY_US))

    (seen,) = [seen for _, seen in (await bench.images()).values()]
    assert (seen.state, seen.is_recovered) == (words.MESSAGE_STATE_DELIVERED, False)


async def test_each_channel_has_a_patience_of_its_own(
    database: Database, clock: ManualClock
) -> None:
    """What an SMSC has not told after three days it never tells."""
    rules: dict[str, Any] = {"sms_days": 3}
    bench = make_bench(database, CollectingOutbox(database), clock, patience=Patience(**rules))
    await bench.apply(a_send("A"), a_send("B", channel=words.CHANNEL_SMS))
    bench.clock.set(T + 3 * DAY_US)

    assert await tell(bench, database, **rules).tell_due() == 1

    found = await states(bench)
    assert (found["A"][0], found["B"][0]) == ("ACCEPTED", "UNDELIVERED")


async def test_replicas_and_repeats_tell_it_once(bench: Bench, database: Database) -> None:
    """A crash between the event and the removal of its entry tells it again: the same event."""
    await bench.apply(*(a_send(f"M{n}", T + n) for n in range(50)))
    due = "SELECT due_time_us, tenant_id, due_id, kind, message_keys FROM status.due"
    noted = await bench.rows(due)
    bench.clock.set(T + 30 * DAY_US + 60_000_000)

    told = await asyncio.gather(*(tell(bench, database).tell_due() for _ in range(3)))
    before = await bench.snapshot()
    async with database.transaction() as connection:
        await connection.executemany("INSERT INTO status.due VALUES ($1, $2, $3, $4, $5)", noted)
    again = await tell(bench, database).tell_due()

    assert (sum(told), again) == (50, 0)
    assert await bench.snapshot() == before
    assert len(noted) < 3  # one entry holds many messages
    events = [change for change in bench.outbox.changes if change.version == 2]
    assert len(events) == 50


async def test_who_waits_again_is_noted_again(bench: Bench, database: Database) -> None:
    """An earlier hand-over that is told later brings the time forward."""
    await bench.apply(a_send("A", T + 10 * DAY_US))
    await bench.apply(
        builders.an_event(words.EVENT_KIND_ACCEPTED, provider_message_id="A", occur_time_us=T)
    )
    bench.clock.set(T + 30 * DAY_US)

    assert await tell(bench, database).tell_due() == 1


async def test_a_bulk_of_old_messages_is_noted_in_few_rows_and_told_after_its_reports(
    bench: Bench, database: Database
) -> None:
    """What is told of long after the act has reports that are told just behind it."""
    old = [a_send(f"M{n}", T - 90 * DAY_US + n * 13 * 60_000_000) for n in range(100)]
    await bench.apply(*old)
    assert (await bench.rows("SELECT count(*) FROM status.due")) == [(1,)]
    silence = tell(bench, database)

    assert await silence.tell_due() == 0
    await bench.apply(*(builders.an_event(provider_message_id=f"M{n}") for n in range(90)))
    bench.clock.advance(s=3_600)

    assert await silence.tell_due() == 10
    assert {state for state, _ in (await states(bench)).values()} == {"DELIVERED", "UNDELIVERED"}


async def test_messages_that_are_noted_together_are_told_each_at_its_time(
    bench: Bench, database: Database
) -> None:
    """One row holds those of an hour; none is told before its second."""
    bench.clock.set(T)
    await bench.apply(*(a_send(f"M{n}", T + n * 50_000_000) for n in range(20)))
    silence = tell(bench, database)

    told = []
    for n in range(20):
        bench.clock.set(T + 30 * DAY_US + n * 50_000_000 - 1)
        told.append(await silence.tell_due())
        bench.clock.advance(us=1)
        told.append(await silence.tell_due())

    assert told == [0, 1] * 20
