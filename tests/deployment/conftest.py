"""Where things are in this checkout."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a program of this environment in the checkout; ``env`` adds to the environment."""

    def run_in_top(
        *command: str | Path, env: dict[str, str] | None = None, cwd: Path = TOP
    ) -> "subprocess.CompletedProcess[str]":
        path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "VENV": sys.prefix} | (env or {})
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_in_top
