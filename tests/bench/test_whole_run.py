"""The benchmark runs from start to table; how fast anything is, is no test's business."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from libs.bench.machine import ephemeral_machine
from libs.bench.numbers import NumbersDiffer
from libs.bench.run import PARTS
from libs.bench.sizes import TINY
from libs.bench.whole import measure_end_to_end
from libs.simulator.registry import every_channel

pytestmark = pytest.mark.early

PATHS = (
    "up: from nothing to ready",
    "idle: callback to visible, p99",
    "report of a small campaign, p50",
    "records: 500 a call through the gateway",
    "status: each event a change of its own",
    "status: three events of a message in a batch",
    "status: repeats",
    "fold: changes to cells",
    "end to end: callback to visible, p99",
    "end to end: backlog in callbacks, growth",
    "end to end: most memory of status",
    "callback door, 1 status a POST",
    "callback door, 100 statuses a POST",
    "report of a campaign of 600, p50",
    "lists: rows exported as PARQUET, all columns",
)
PROCESSES = {"ingest", "status", "analytics", "gateway", "postgres", "nats", "up", "bench"}


@pytest.mark.long
def test_every_path_is_measured_checked_and_printed(tmp_path: Path) -> None:
    """A benchmark that broke unnoticed would be missed on the day it is needed."""
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text("".join(f"<!-- bench:{name} -->\n<!-- /bench:{name} -->\n" for name in PARTS))

    done = subprocess.run(
        [
            *(sys.executable, "-m", "libs.cli.main", "bench", "--tiny"),
            *("--json", str(figures), "--page", str(page)),
        ],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = {row["path"]: row for row in json.loads(figures.read_text())["rows"]}
    assert set(PATHS) <= set(rows)
    for name, channel in every_channel()[1:]:
        assert f"door: {name}, {channel.value}, 1 a request" in rows
    assert all(row["ours"] > 0 for row in rows.values() if row["unit"] != "more/s")
    assert set(rows["status: repeats"]["cpu_us"]) == PROCESSES
    (whole,) = (row for path, row in rows.items() if path.startswith("end to end: recorded"))
    assert set(whole["cpu_us"]) == PROCESSES | {"load"}
    assert all(path in done.stdout for path in PATHS)
    assert all(path in page.read_text() for path in PATHS)


@pytest.mark.long
def test_a_callback_that_is_lost_fails_the_run_and_is_named() -> None:
    """A benchmark that does not notice a loss would praise whoever loses most."""
    sizes = replace(TINY, rate=400.0, whole_s=1.0)
    with ephemeral_machine() as machine:
        measure_end_to_end(machine, sizes)
        with pytest.raises(NumbersDiffer, match=r"bench-whole-\d+-\d+: \w+ is \d+, must be \d+"):
            # The first things of the first message that anything is told of.
            measure_end_to_end(machine, sizes, lost=tuple(range(20)))
