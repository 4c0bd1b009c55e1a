"""Files of a campaign, through the public surface."""

import asyncio
import csv
import io
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
from bluetick.v1 import common_pb2 as pb

from tests.system.fixture_a import COUNTERS, FixtureA
from tests.system.outside import Outside
from tests.system.test_fixture_a import play


async def bluetick(*arguments: str, outside: Outside, role: str) -> str:
    """Run a command with a key of a role; return what it printed."""
    machine = outside.machine
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.cli.main", *arguments,
        "--gateway", machine["gateway"], "--api-key", machine["api_keys"][role],
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, told
    return told.decode()


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file."""
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_campaign_as_files(outside: Outside, tmp_path: Path) -> None:
    """Summary and detailed, CSV and Parquet: the report's numbers, and the messages behind them."""
    fixture = FixtureA("export-a")
    await play(fixture, outside, 9)
    report = await outside.complete_report(fixture.campaign_id)

    async def file(kind: str, form: str, role: str, *more: str) -> Path:
        path = tmp_path / f"{kind}-{role}.{form}"
        options = ("--kind", kind, "--format", form, "--output", str(path), *more)
        told = await bluetick("export", fixture.campaign_id, *options, outside=outside, role=role)
        assert "SHA-256" in told
        return path

    summary = rows_of(await file("summary", "csv", "reader", "--bom"))
    values = {row["name"]: row["value"] for row in summary if row["kind"] == "counter"}
    assert {name: int(values[name]) for name in COUNTERS} == COUNTERS
    assert {row["name"] for row in summary if row["unavailable"]} == {
        one.metric for one in report.unavailable
    }

    detailed = rows_of(await file("detailed", "csv", "admin"))
    assert len(detailed) == COUNTERS["targeted"]
    states = [row["state"] for row in detailed]
    assert (states.count("READ"), states.count("DROPPED")) == (4, 2)
    clicked = {row["contact_id"].rsplit("-", 1)[-1]: row["links_clicked"] for row in detailed}
    assert (clicked["P2"], clicked["P3"], clicked["P4"]) == ("L1; L2", "L1", "")
    assert all("•" not in row["address"] for row in detailed)
    masked = rows_of(await file("detailed", "csv", "reader"))
    assert all(row["address"].startswith("••••") for row in masked)

    failed = await file("detailed", "parquet", "reader", "--where", '{"metric": "failed"}')
    table = pyarrow.parquet.read_table(failed)
    assert sorted(table.column("failure_reason").to_pylist()) == [
        pb.FailureReason.Name(reason).removeprefix("FAILURE_REASON_")
        for reason in (
            pb.FAILURE_REASON_INVALID_PHONE_NUMBERS,
            pb.FAILURE_REASON_META_RECIPIENT_LIMIT,
            pb.FAILURE_REASON_RATE_LIMITS,
        )
    ]
