"""``bluetick ingest|status|analytics|gateway``: one service in place of this process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def ingest() -> None:
    """Run the service that takes provider callbacks and senders' records."""
    _become("ingest")


def status() -> None:
    """Run the service that keeps the state of every message."""
    _become("status")


def analytics() -> None:
    """Run the service that keeps the campaigns' numbers."""
    _become("analytics")


def gateway() -> None:
    """Run the service that callers reach over gRPC."""
    _become("gateway")


def _become(service: str) -> NoReturn:
    # exec: signals, the exit code and the pid are the service's own, as a container expects.
    sys.stdout.flush()
    command = [sys.executable, "-m", f"services.{service}"]
    os.execv(sys.executable, command)  # noqa: S606 no shell is the point
