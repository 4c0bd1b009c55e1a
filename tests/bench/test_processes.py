"""CPU time is that of everybody, ended children included."""

import os
import subprocess
import sys

import pytest

from libs.bench.processes import CpuWatch, ProcessGone, cpu_s, tree_cpu_s

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_children_that_ended_are_counted() -> None:
    """A database works in processes that come and go."""
    run = f"subprocess.run([sys.executable, '-c', {BURN!r}])"
    program = f"import subprocess, sys\ninput()\n{run}\ninput()\n"
    with subprocess.Popen(
        [sys.executable, "-c", program + "print('x', flush=True)"], stdin=subprocess.PIPE
    ) as parent:
        watch = CpuWatch({"tree": parent.pid}, {"alone": parent.pid, "us": os.getpid()})
        assert parent.stdin is not None
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        while tree_cpu_s(parent.pid) < 0.3:
            pass
        spent = watch.stop()
        alone_s = cpu_s(parent.pid)
        parent.stdin.close()
        parent.kill()

    assert spent["tree"] >= 0.25
    assert alone_s < spent["tree"]
    assert spent["us"] > 0


def test_a_part_that_ends_meanwhile_fails_the_run() -> None:
    """A service that died and came back would have used less CPU than it did."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watch = CpuWatch({}, {"service": process.pid})
        process.kill()
        process.wait()

    with pytest.raises(ProcessGone):
        watch.stop()
