"""Faults of our own, seen from outside while callbacks keep coming.

Nothing answered OK is missing, nothing counts twice, readiness tells the truth with its reason, and
work goes on within 15 s of the cause going away. Held for seconds here, for as long as an outage of
old lasted in the long runs.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest

from tests.faults.commands import bluetick
from tests.faults.site import MENDED_S, Site, check, running_site, under_load
from tests.system.load import START, Load
from tests.system.outside import envelope, status

pytestmark = pytest.mark.early

LENGTHS = [
    pytest.param(3.0, id="short"),
    pytest.param(15.0, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
]


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[Site]:
    """One machine; each fault is over before the next begins."""
    async with running_site() as running:
        yield running


@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize(
    ("service", "table", "column"),
    [
        ("analytics", "analytics.totals", "delivered"),
        ("status", "status.messages", "version"),
    ],
)
async def test_a_column_that_is_away(
    site: Site, service: str, table: str, column: str, seconds: float
) -> None:
    async def fault(_: Load) -> None:
        async with site.renamed(table, column):
            await site.until_unready(service, "does not exist", "missing")
            await asyncio.sleep(seconds)
            assert (await site.readiness(service))[0] == 503

    await under_load(site, f"column-{service}-{seconds}", fault)


@pytest.mark.parametrize("seconds", LENGTHS)
async def test_a_database_that_is_stopped(site: Site, seconds: float) -> None:
    async def fault(_: Load) -> None:
        await site.postgres.stop()
        try:
            for service in ("status", "analytics"):
                await site.until_unready(service, "database:")
            await asyncio.sleep(seconds * 4 / 3)
        finally:
            await site.postgres.start()

    await under_load(site, f"stopped-{seconds}", fault)


async def test_consumers_that_are_deleted_on_the_broker(site: Site) -> None:
    async def fault(_: Load) -> None:
        for _round in range(3):
            await site.jetstream.delete_consumer("EVENTS", "status")
            await site.jetstream.delete_consumer("CHANGES", "analytics")
            await asyncio.sleep(1)

    await under_load(site, "consumers-deleted", fault)


async def test_five_messages_that_somebody_else_has_locked(site: Site) -> None:
    """They wait; all others, of this campaign and of others, go on."""
    first = Load(site.outside, "locked-messages")
    await first.run_for(0.1, workers=1)
    await check(site, first)
    unread = [number for number in range(first.message_count) if number % 2]
    async with site.database() as holder, holder.transaction():
        rows = await holder.fetch(
            "SELECT message_key FROM status.messages WHERE campaign_id = $1 AND state = $2 "
            "LIMIT 5 FOR UPDATE",
            first.campaign_id,
            pb.MESSAGE_STATE_DELIVERED,
        )
        assert len(rows) == 5
        reads = [status(first.wamid(number), "read", START + 1_000) for number in unread]
        assert await site.outside.callback(envelope(statuses=reads)) == 200
        others = Load(site.outside, "beside-locked-messages")
        await others.run_for(1)
        await until_counted(site, others.campaign_id, others.counters())
        await until_counted(site, first.campaign_id, {"read": first.message_count - 5})
    print(f"locked messages: mended after {await site.until_mended(others):.1f} s")

    report = await site.outside.complete_report(first.campaign_id)
    assert report.counters["read"] == first.message_count
    assert not report.gaps


async def test_four_campaigns_that_somebody_else_has_locked(site: Site) -> None:
    """Their own reports may wait; that of a fifth does not."""
    held = [Load(site.outside, f"locked-{number}") for number in range(4)]
    for load in held:
        await load.run_for(0.1, workers=1)
        await check(site, load)
    async with site.database() as holder, holder.transaction():
        for table in ("totals", "people", "quarters", "campaigns"):
            await holder.execute(
                f"SELECT * FROM analytics.{table} WHERE campaign_id = ANY($1) FOR UPDATE",
                [load.campaign_id for load in held],
            )
        fifth = Load(site.outside, "beside-locked-campaigns")
        again = [Load(site.outside, load.campaign_id, begin=load.message_count) for load in held]
        await asyncio.gather(*(load.run_for(1, workers=1) for load in (*again, fifth)))
        await until_counted(site, fifth.campaign_id, fifth.counters())
    print(f"locked campaigns: mended after {await site.until_mended(fifth):.1f} s")

    for load in again:
        await check(site, load)


async def test_an_authentic_body_of_2_mebibytes_that_nobody_can_read(site: Site) -> None:
    """It is kept for its tenant, and stops nobody."""
    body = b'{"object": "large-and-unreadable ' + b"x" * (2_200 * 1024)

    async def fault(_: Load) -> None:
        for _round in range(3):
            await site.outside.callback_until_taken(body)
            await asyncio.sleep(0.5)

    await under_load(site, "large-body", fault)

    request = ingest.ListQuarantineRequest(page_size=10)
    answer = await site.outside.call(site.outside.ingest.ListQuarantine, request)
    kept = [one for one in answer.callbacks if one.body.startswith(body[:30])]
    assert [one.body for one in kept] == [body]


async def test_changes_that_were_deleted_on_the_broker_are_a_gap_until_a_rebuild(
    site: Site,
) -> None:
    """The answers say so, `verify` names it, `rebuild` closes it."""
    load = Load(site.outside, "change-deleted")
    async with site.renamed("analytics.totals", "delivered"):
        await load.run_for(0.5, workers=1)
        await site.until_unready("analytics", "does not exist", "missing")
        last = await last_change(site)
        await site.jetstream.delete_msg("CHANGES", last)
    report = await site.outside.complete_report(load.campaign_id)
    assert {gap.reason for gap in report.gaps} == {"MISSING"}
    code, said = await bluetick(site.machine, "verify")
    assert code == 1, said
    assert load.campaign_id in said

    code, said = await bluetick(site.machine, "rebuild")
    assert code == 0, said

    await check(site, load)
    code, said = await bluetick(site.machine, "verify")
    assert code == 0, said


async def test_a_stream_of_changes_that_was_deleted(site: Site) -> None:
    """What it held uncounted is shown as a gap, or comes back; work goes on at once."""
    # Which stream it was is known from the first fold on.
    before = Load(site.outside, "before-stream-deleted")
    await before.run_for(0.3, workers=1)
    await site.until_mended(before)
    load = Load(site.outside, "stream-deleted")
    async with site.renamed("analytics.totals", "delivered"):
        await load.run_for(0.5, workers=1)
        await site.until_unready("analytics", "does not exist", "missing")
        await last_change(site)
        await site.jetstream.delete_stream("CHANGES")
    after = Load(site.outside, "after-stream-deleted")
    await after.run_for(1, workers=1)
    print(f"stream deleted: mended after {await site.until_mended(after):.1f} s")

    report = await site.outside.complete_report(after.campaign_id)
    found = {name: report.counters.get(name) for name in after.counters()}
    assert found == after.counters()
    # That the stream is another one is noticed by looking at it, some moments later at most.
    async with asyncio.timeout(MENDED_S):
        while not report.gaps:
            await asyncio.sleep(0.1)
            report = await site.outside.complete_report(after.campaign_id)

    code, said = await bluetick(site.machine, "rebuild")
    assert code == 0, said
    for one in (load, after):
        await check(site, one)


async def test_a_stream_of_changes_that_is_full() -> None:
    """Nothing is refused at the door, nothing piles up in the database, and nothing is lost."""
    small = {"BLUETICK_CHANGES_BYTES_MAX": str(1024**2), "BLUETICK_STATUS_OUTBOX_ENTRIES_MAX": "50"}
    async with running_site(**small) as site:

        async def fault(_: Load) -> None:
            await site.until_unready("status", "does not take changes", limit_s=60)
            await asyncio.sleep(3)
            async with site.database() as looker:
                waiting = await looker.fetchval("SELECT count(*) FROM status.outbox")
            # What lanes had in hand when they were told comes on top.
            assert waiting <= 200
            config = (await site.jetstream.stream_info("CHANGES")).config
            await site.jetstream.update_stream(replace(config, max_bytes=1024**3))

        await under_load(site, "changes-full", fault)


async def until_counted(site: Site, campaign_id: str, expected: dict[str, int]) -> None:
    """Return when a report says so; it need not call itself complete."""
    end, found = time.monotonic() + 30, {}
    while time.monotonic() < end:
        try:
            report = await site.outside.report(campaign_id)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND  # nothing of it is counted yet
        else:
            found = {name: report.counters.get(name) for name in expected}
        if found == expected:
            return
        await asyncio.sleep(0.1)
    assert found == expected


async def last_change(site: Site) -> int:
    """Return the last sequence of CHANGES, once it does not move any more."""
    last = 0
    while True:
        now = (await site.jetstream.stream_info("CHANGES")).state.last_seq
        if now == last:
            return now
        last = now
        await asyncio.sleep(1)


async def test_a_database_that_is_set_back_to_an_older_state() -> None:
    """A backup was put back: the streams still have all that came after it."""
    async with running_site() as site:
        before, after = Load(site.outside, "before-backup"), Load(site.outside, "after-backup")
        await before.run_for(1, workers=1)
        await check(site, before)
        backup = site.folder / "backup"
        await site.postgres.stop()
        copied(site.folder / "postgres", backup)
        await site.postgres.start()
        await site.until_mended(before, limit_s=30)
        await after.run_for(2, workers=1)
        await check(site, after)
        await asyncio.sleep(3)

        await site.postgres.stop()
        shutil.rmtree(site.folder / "postgres")
        copied(backup, site.folder / "postgres")
        await site.postgres.start()
        print(f"set back: mended after {await site.until_mended(before):.1f} s")

        # Changes told again have other batches, so numbers are counted anew, by themselves.
        for load in (before, after):
            await until_counted(site, load.campaign_id, load.counters())
            await check(site, load)
        code, said = await bluetick(site.machine, "verify")
        assert code == 0, said


def copied(folder: Path, to: Path) -> None:
    """Copy a stopped server's folder as it is, owners included."""
    subprocess.run(["cp", "--archive", str(folder), str(to)], check=True)
