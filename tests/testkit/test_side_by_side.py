import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Files of a run: one says its pids and hangs, the others are there to be ordered and to fail.
_HANGS = """
import json, os, time
from pathlib import Path

def test_hangs(nats_server, postgres_server):
    pids = [os.getpid(), nats_server.pid, postgres_server.pid]
    partial = Path(os.environ["SAID"] + ".part")
    partial.write_text(json.dumps(pids))
    partial.replace(os.environ["SAID"])
    time.sleep(120)
"""
_FAILS = "def test_fails():\n    assert False\n"
_EARLY = "import pytest\npytestmark = pytest.mark.early\ndef test_passes():\n    pass\n"
_PASSES = "def test_one():\n    pass\ndef test_two():\n    pass\n"


def _command(folder: Path, *options: str) -> list[str]:
    top = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-c", str(top / "pyproject.toml")]
    return [*command, "--rootdir", str(folder), "-p", "no:cacheprovider", *options, str(folder)]


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(folder, *options), capture_output=True, text=True, check=False, cwd=folder
    )


def test_a_killed_run_leaves_no_worker_and_no_server(tmp_path: Path) -> None:
    """CI that runs out of time kills the run, not what it started."""
    (tmp_path / "test_hangs.py").write_text(_HANGS)
    said = tmp_path / "said"
    run = subprocess.Popen(
        _command(tmp_path, "-n", "1"),
        env={**os.environ, "SAID": str(said)},
        stdout=subprocess.DEVNULL,
    )
    try:
        while not said.exists():
            assert run.poll() is None
            time.sleep(0.05)
    finally:
        run.kill()
        run.wait()

    pids = json.loads(said.read_text())
    while any(_runs(pid) for pid in pids):  # until the time-out of the test
        time.sleep(0.02)


@pytest.mark.long
def test_long_files_come_first_the_order_stays_and_a_failure_can_be_repeated(
    tmp_path: Path,
) -> None:
    """The last file to start decides when the run ends; what ran before is part of a failure."""
    files = {"test_a": _PASSES, "test_b": _PASSES, "test_c": _FAILS, "test_z": _EARLY}
    for name, content in files.items():
        (tmp_path / f"{name}.py").write_text(content)

    alone = _run(tmp_path, "-v", "-n", "0")
    beside = _run(tmp_path, "-v", "-n", "1", "--durations", "5", "--durations-min", "5")

    order = _order(alone)
    assert order[0] == "test_z.py::test_passes"
    assert len(order) == 6
    assert _order(beside) == order
    ran = dict.fromkeys(test.partition("::")[0] for test in order)
    until_failure = list(ran)[: list(ran).index("test_c.py") + 1]
    assert "to repeat gw0 up to test_c.py::test_fails" in beside.stdout
    assert f"pytest --exitfirst {' '.join(until_failure)}\n" in beside.stdout
    # CI reads the last line.
    for done in (alone, beside):
        assert "1 failed, 5 passed in " in done.stdout.splitlines()[-1]


def _order(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Each test once, in the order in which they ended."""
    lines = [line for line in done.stdout.splitlines() if {"PASSED", "FAILED"} & {*line.split()}]
    ended = [line for line in lines if "%]" in line]
    return [word for line in ended for word in line.split() if "::" in word]


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
