"""The benchmark runs from start to table; how fast anything is, is no test's business."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs.simulator.registry import every_channel

pytestmark = pytest.mark.early

PATHS = (
    "up: from nothing to ready",
    "end to end: callback to visible, p50",
    "end to end: callback to visible, p99",
    "report through the gateway, p50",
    "report through the gateway, p99",
    "status: events to states, published",
    "analytics: changes to cells",
    "end to end: callbacks until all are visible",
    "callback door, 1 status a POST",
    "callback door, 100 statuses a POST",
)


def test_every_path_is_measured_and_printed(tmp_path: Path) -> None:
    """A benchmark that broke unnoticed would be missed on the day it is needed."""
    figures = tmp_path / "figures.json"

    done = subprocess.run(
        [sys.executable, "-m", "libs.cli.main", "bench", "--tiny", "--json", str(figures)],
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["rows"]
    paths = [row["path"] for row in rows]
    assert paths[: len(PATHS)] == list(PATHS)
    dialects = paths[len(PATHS) :]
    for name, channel in every_channel()[1:]:
        assert f"door: {name}, {channel.value}, 1 a request" in dialects
    assert all(row["ours"] > 0 for row in rows)
    assert all(path in done.stdout for path in paths)
