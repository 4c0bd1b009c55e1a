"""`bluetick verify` and `bluetick rebuild` beside traffic, from the command line inwards."""

import asyncio
import os
import sys

import asyncpg
import pytest

from tests.system.fixture_a import COUNTERS, FixtureA
from tests.system.outside import Outside
from tests.system.test_fixture_a import play

_LIMIT_S = 90


async def bluetick(outside: Outside, *words: str, role: str = "admin") -> tuple[int, str]:
    """Return exit code and all output of a command."""
    environment = {
        **os.environ,
        "BLUETICK_GATEWAY": outside.machine["gateway"],
        "BLUETICK_API_KEY": outside.machine["api_keys"][role],
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.cli.main", *words,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    return process.returncode or 0, output.decode()


async def test_a_recount_beside_traffic_agrees_and_a_number_that_was_bent_is_put_right(
    outside: Outside,
) -> None:
    """The numbers shown are the messages', whatever happened to the table in between."""
    before, beside = FixtureA("rebuild-before"), FixtureA("rebuild-beside")
    await play(before, outside, 11)
    await outside.complete_report(before.campaign_id)

    traffic = asyncio.create_task(play(beside, outside, 12))
    code, said = await bluetick(outside, "verify")
    await traffic
    assert code == 0, said
    assert "every number is as it was shown" in said

    database = await asyncpg.connect(outside.machine["postgres"])
    await database.execute(
        "UPDATE analytics.totals SET delivered = delivered + 5 WHERE campaign_id = $1",
        before.campaign_id,
    )
    await database.close()
    code, said = await bluetick(outside, "verify")
    assert code == 1, said
    assert before.campaign_id in said
    assert "delivered" in said
    code, said = await bluetick(outside, "rebuild")
    assert code == 0, said
    code, said = await bluetick(outside, "verify")
    assert code == 0, said

    for fixture in (before, beside):
        report = await outside.complete_report(fixture.campaign_id)
        assert {name: report.counters.get(name) for name in COUNTERS} == COUNTERS


@pytest.mark.parametrize("role", ["reader", "sender"])
async def test_only_an_admin_may_recount(outside: Outside, role: str) -> None:
    """It costs as much as counting everything."""
    code, said = await bluetick(outside, "verify", role=role)

    assert code == 1
    assert "ADMIN" in said
