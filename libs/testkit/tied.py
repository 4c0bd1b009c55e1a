"""Processes of tests that end with the test run, also when that is killed."""

from __future__ import annotations

import os
from pathlib import Path

from libs.embedded.child_process import Command, launched


def tied(*arguments: str) -> list[str]:
    """Return the command that runs ``arguments`` as a child which does not outlive this process."""
    return launched(Command(arguments=arguments, log=Path(os.devnull), environment={}))
