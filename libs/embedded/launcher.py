"""A program that becomes another program: drops rights, ties its life to its parent, then execs.

Run as a script (``python -I -S launcher.py PLAN COMMAND...``), never imported by the machine: a
``preexec_fn`` would run Python between fork and exec of a process that has threads, which can
deadlock. Only the standard library, because it runs without site-packages.

PLAN is JSON: ``parent`` (pid), ``death_signal`` (number), ``directory`` (working directory or
null), ``uid`` and ``gid`` (or null), ``namespace`` (bool).
Exit code 126 with one line on stderr says why the command could not be started.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXIT_CANNOT_START = 126
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
# What the kernel means by the number, where its usual words lead astray.
_NAMESPACE_WORDS = {errno.ENOSPC: "this machine allows no more of them"}


def _checked(answer: int, call: str) -> None:
    if answer != 0:
        error = ctypes.get_errno()
        words = _NAMESPACE_WORDS.get(error) if call == "unshare" else None
        raise OSError(error, f"{call}: {words or os.strerror(error)}")


def _enter_namespace(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    """Be ``uid`` in a new user namespace; outside it the files keep their present owner."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _checked(libc.unshare(_CLONE_NEWUSER), "unshare")
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        Path("/proc/self", name).write_text(content, encoding="ascii")


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _die_with(libc: ctypes.CDLL, parent: int, death_signal: int) -> None:
    # Last, because the kernel forgets the setting when the user changes.
    _checked(libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl(PDEATHSIG)")
    if os.getppid() != parent:  # it died before the setting took hold
        raise SystemExit(EXIT_CANNOT_START)


def launch(plan: dict[str, Any], command: list[str]) -> None:
    """Carry out ``plan`` and exec ``command``.

    Raises:
        CannotStart: always, unless the command runs now in place of this program.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    directory = plan["directory"]
    if directory is not None:
        # Before we are somebody who may not pass through the folders above it.
        with _told(f"enter the folder {directory}"):
            os.chdir(directory)
    if libc and plan["namespace"]:
        with _told("make a user namespace"):
            _enter_namespace(libc, plan["uid"], plan["gid"])
    elif libc and plan["uid"] is not None:
        with _told(f"become user {plan['uid']}"):
            _become(plan["uid"], plan["gid"])
    with _told(f"run {command[0]}"):
        if libc:
            _die_with(libc, plan["parent"], plan["death_signal"])
        os.execv(command[0], command)  # noqa: S606 no shell is the point


class CannotStart(Exception):
    """A step failed; the text says which and why."""


@contextlib.contextmanager
def _told(step: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotStart(f"cannot {step}: {error.strerror}") from error


if __name__ == "__main__":
    try:
        launch(json.loads(sys.argv[1]), sys.argv[2:])
    except CannotStart as error:
        print(error, file=sys.stderr)
        raise SystemExit(EXIT_CANNOT_START) from error
