"""Faults of our own and of others: nothing is lost, nothing is hidden, and only its own waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from bluetick.v1 import analytics_service_pb2 as pb
from bluetick.v1 import change_pb2
from nats.js.errors import NotFoundError

from libs.runtime import progress
from libs.runtime.broker import CHANGES_STREAM, SET_ASIDE_STREAM, Broker
from libs.runtime.settings import RuntimeSettings
from services.analytics.adapters.folded_sequences import FoldedSequences
from services.analytics.domain.sequences import StreamState
from services.analytics.domain.watermark import Watermark
from services.analytics.fold_changes import Incoming
from services.analytics.follow_progress import follow_progress
from tests.analytics import fixture_a
from tests.analytics.building import CAMPAIGN, T0, Step, batches_of, changes_of, image, registration
from tests.analytics.calling import Caller, running
from tests.analytics.conftest import Cells
from tests.analytics.test_service import answer_progress, consumed, publish, report_when

_LIMIT_S = 60


@asynccontextmanager
async def renamed(url: str, table: str, column: str) -> AsyncIterator[None]:
    """A release that went wrong: the column is not there."""
    connection = await asyncpg.connect(url)
    statement = f"ALTER TABLE analytics.{table} RENAME COLUMN {{}} TO {{}}"
    await connection.execute(statement.format(column, "away"))
    try:
        yield
    finally:
        await connection.execute(statement.format("away", column))
        await connection.close()


async def until(is_it: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LIMIT_S):
        while not await is_it():
            await asyncio.sleep(0.02)


async def gaps_of(call: Caller) -> dict[str, int]:
    request = pb.GetCampaignReportRequest(campaign_id=CAMPAIGN)
    report = await call(call.analytics.GetCampaignReport, request)
    return {gap.reason: gap.batch_count for gap in report.gaps}


@pytest.mark.parametrize("table", ["totals", "people"])
async def test_a_missing_column_stops_the_fold_and_loses_nothing(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, table: str
) -> None:
    """Once 191 batches were thrown away for it, under a stamp of 0.02 s."""
    column = "delivered" if table == "totals" else "people_reached"
    told = [progress.Progress(complete_until_us=T0 - 1, changes_seq=0)]
    await answer_progress(broker, lambda: told[-1])
    async with running(broker_settings, database_url) as call:
        async with renamed(database_url, table, column):
            seq = await publish(broker, batches_of(fixture_a.changes(), 3))
            told.append(progress.Progress(complete_until_us=T0, changes_seq=seq))

            async def was_tried() -> bool:
                # It is made a moment after the service has opened.
                with contextlib.suppress(NotFoundError):
                    found = await broker.jetstream.consumer_info(CHANGES_STREAM, "analytics")
                    return (found.num_redelivered or 0) > 0
                return False

            await until(was_tried)
        report = await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

    assert dict(report.counters) == fixture_a.EXPECTED
    assert not report.gaps
    assert (await broker.jetstream.stream_info(SET_ASIDE_STREAM)).state.messages == 0


async def test_rows_that_somebody_has_locked_delay_their_own_campaign_only(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """One open transaction at a prompt must not stop every number of every tenant."""
    told = [progress.Progress(complete_until_us=T0 - 1, changes_seq=0)]
    await answer_progress(broker, lambda: told[-1])
    # The same people before and after.
    first, rest = fixture_a.changes()[::2], fixture_a.changes()[1::2]
    others = [
        change
        for number in range(5)
        for change in changes_of(
            bytes([number + 50] * 16),
            [Step(image("ACCEPTED", accept_time_us=T0), registration(campaign_id="autumn"))],
        )
    ]
    locker = await asyncpg.connect(database_url)
    async with running(broker_settings, database_url) as call:
        await publish(broker, batches_of(first, 12, prefix="first"))
        await consumed(broker)
        before = await report_when(call, lambda it: it.counters["targeted"] == 12)
        async with locker.transaction():
            for table in ("totals", "people", "quarters", "campaigns"):
                await locker.execute(
                    f"SELECT * FROM analytics.{table} WHERE campaign_id = $1 FOR UPDATE", CAMPAIGN
                )
            # Both campaigns in one broker message.
            mixed = [*rest[:3], *others, *rest[3:]]
            told_then = batches_of(mixed, 20, prefix="mixed")
            for batch in told_then:
                batch.oldest_event_time_us = T0
            seq = await publish(broker, told_then)
            told.append(progress.Progress(complete_until_us=T0 + 60_000_000, changes_seq=seq))
            request = pb.GetCampaignReportRequest(campaign_id="autumn")

            async def is_other_done() -> bool:
                try:
                    answer = await call(call.analytics.GetCampaignReport, request)
                except Exception:
                    return False
                return answer.counters["sent"] == 5

            await until(is_other_done)
            # Not later than what waits, although all of the stream was folded.
            waiting = await report_when(
                call, lambda it: it.complete_until_time.ToMicroseconds() == T0
            )
            assert waiting.counters == before.counters
        after = await report_when(call, lambda it: dict(it.counters) == fixture_a.EXPECTED)
    await locker.close()

    assert not after.gaps


async def test_a_change_that_was_deleted_on_the_stream_is_a_gap(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """What nobody will ever count must not be called counted."""
    seq = await publish(broker, batches_of(fixture_a.changes(), 3))
    await broker.jetstream.delete_msg(CHANGES_STREAM, 4)
    await answer_progress(broker, lambda: progress.Progress(T0, seq))
    async with running(broker_settings, database_url) as call:
        report = await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

        assert await gaps_of(call) == {"MISSING": 1}
    assert dict(report.counters) != fixture_a.EXPECTED


async def test_changes_that_expired_before_they_were_counted_are_a_gap(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """A stream that is too short for an outage loses silently, unless somebody looks."""
    seq = await publish(broker, batches_of(fixture_a.changes(), 3))
    await broker.jetstream.purge_stream(CHANGES_STREAM, seq=4)
    await answer_progress(broker, lambda: progress.Progress(T0, seq))
    async with running(broker_settings, database_url) as call:
        await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

        assert await gaps_of(call) == {"EXPIRED": 3}


async def test_a_stream_that_was_deleted_and_made_again_leaves_a_gap(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Nobody knows what it had last; what comes on the new one is counted as ever."""
    first, second = batches_of(fixture_a.changes(), 3)[:4], batches_of(fixture_a.changes(), 3)[4:]
    told = [progress.Progress(complete_until_us=T0 - 1, changes_seq=0)]
    await answer_progress(broker, lambda: told[-1])
    async with running(broker_settings, database_url) as call:
        await publish(broker, first)
        await consumed(broker)
        await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0 - 1)
        await broker.jetstream.delete_stream(CHANGES_STREAM)
        await broker.ensure_streams()
        seq = await publish(broker, second)
        told.append(progress.Progress(complete_until_us=T0, changes_seq=seq))

        report = await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

        assert set(await gaps_of(call)) == {"MISSING"}
    assert dict(report.counters) == fixture_a.EXPECTED


async def test_a_stream_that_went_before_any_of_it_was_folded_leaves_a_gap(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, cells: Cells
) -> None:
    """Nothing in the numbers names it, and yet it held something."""
    first, second = batches_of(fixture_a.changes(), 3)[:4], batches_of(fixture_a.changes(), 3)[4:]
    told = [progress.Progress(complete_until_us=T0 - 1, changes_seq=0)]
    await answer_progress(broker, lambda: told[-1])

    async def is_known() -> bool:
        return bool(await cells.rows("SELECT FROM analytics.folded_runs"))

    async with running(broker_settings, database_url) as call:
        async with renamed(database_url, "totals", "delivered"):
            await publish(broker, first)
            await until(is_known)
            await broker.jetstream.delete_stream(CHANGES_STREAM)
            await broker.ensure_streams()
            seq = await publish(broker, second)
            told.append(progress.Progress(complete_until_us=T0, changes_seq=seq))
        await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

        assert await gaps_of(call) == {"MISSING": 1}


async def test_a_broker_that_was_set_back_leaves_a_gap_and_its_numbers_count_again(
    cells: Cells,
) -> None:
    """It gives sequences out once more; what they were before says nothing of them."""
    await cells.fold(batches_of(fixture_a.changes()[:20], 2))
    sequences, watermark = FoldedSequences(cells.database), Watermark()
    probe = SetBack(StreamState(cells.place.stream_time_us, 1, 6, 6))

    async def fold(_messages: Sequence[Incoming]) -> None:
        raise AssertionError("nothing is missing")

    await follow_progress(probe, sequences, fold, watermark, T0)

    assert [(gap.reason, gap.batch_count) for gap in watermark.gaps] == [("MISSING", 1)]
    now = await sequences.standing(probe.state)
    assert (now.folded_seq, list(now.runs)) == (6, [(0, 6)])


@dataclass
class SetBack:
    """A broker whose stream ends before what was folded of it."""

    state: StreamState

    async def progress(self) -> progress.Progress:
        return progress.Progress(complete_until_us=T0, changes_seq=6)

    async def stream(self) -> StreamState:
        return self.state

    async def message(self, seq: int) -> Incoming | None:
        raise AssertionError(f"message {seq} was folded")


async def test_what_could_not_be_counted_is_a_gap(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """It lies with the operator, and until it is sent again the numbers lack it."""
    good = batches_of(fixture_a.changes(), 50)
    bad = change_pb2.MessageChangedBatch(batch_id="", tenant_id="demo")
    seq = await publish(broker, [bad, *good])
    await answer_progress(broker, lambda: progress.Progress(T0, seq))
    async with running(broker_settings, database_url) as call:
        await report_when(call, lambda it: it.complete_until_time.ToMicroseconds() == T0)

        assert await gaps_of(call) == {"SET_ASIDE": 1}


async def test_a_database_that_was_set_back_is_filled_from_the_stream_again(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, cells: Cells
) -> None:
    """The consumer has acknowledged everything, and still nothing is lost."""
    batches = batches_of(fixture_a.changes(), 2)
    async with running(broker_settings, database_url) as call:
        await publish(broker, batches)
        await report_when(call, lambda it: dict(it.counters) == fixture_a.EXPECTED)
        await consumed(broker)
    # The restored state knows the first three.
    await cells.clear()
    place = await broker.jetstream.stream_info(CHANGES_STREAM)
    cells.place.stream_time_us = int(place.created.timestamp() * 1e6)  # type: ignore[union-attr]
    await cells.fold(batches[:3])

    seq = place.state.last_seq
    await answer_progress(broker, lambda: progress.Progress(T0, seq))
    async with running(broker_settings, database_url) as call:
        report = await report_when(call, lambda it: dict(it.counters) == fixture_a.EXPECTED)

        assert await gaps_of(call) == {}
    assert dict(report.counters) == fixture_a.EXPECTED
