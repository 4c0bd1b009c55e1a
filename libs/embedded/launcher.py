"""A program that becomes another program: drops rights, ties its life to its parent, then execs.

Run as a script (``python -I -S launcher.py PLAN COMMAND...``), never imported by the machine: a
``preexec_fn`` would run Python between fork and exec of a process that has threads, which can
deadlock. Only the standard library, because it runs without site-packages.

PLAN is JSON: ``parent`` (pid), ``death_signal`` (number), ``directory`` (working directory or
null), ``uid`` and ``gid`` (or null), ``capability`` (number or null), ``namespace`` (bool).
Exit code 126 with one line on stderr says why the command could not be started.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

EXIT_CANNOT_START = 126
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def _checked(answer: int, call: str) -> None:
    if answer != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")


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


def _become(libc: ctypes.CDLL, uid: int, gid: int, capability: int | None) -> None:
    """Change to ``uid`` for good, keeping at most one capability across the exec."""
    if capability is not None:
        _checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(KEEPCAPS)")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capability is not None:
        bit = 1 << capability
        sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
        header = _Header(_CAPABILITY_VERSION_3, 0)
        _checked(libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset")
        raised = libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
        _checked(raised, "prctl(CAP_AMBIENT)")


def _die_with(libc: ctypes.CDLL, parent: int, death_signal: int) -> None:
    # Last, because the kernel forgets the setting when the user changes.
    _checked(libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl(PDEATHSIG)")
    if os.getppid() != parent:  # it died before the setting took hold
        raise SystemExit(EXIT_CANNOT_START)


def launch(plan: dict[str, Any], command: list[str]) -> None:
    """Carry out ``plan`` and exec ``command``; returns only by an exception."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if plan["namespace"]:
            _enter_namespace(libc, plan["uid"], plan["gid"])
        elif plan["uid"] is not None:
            _become(libc, plan["uid"], plan["gid"], plan["capability"])
    if plan["directory"] is not None:
        os.chdir(plan["directory"])
    if sys.platform == "linux":
        _die_with(libc, plan["parent"], plan["death_signal"])
    os.execv(command[0], command)  # noqa: S606 no shell is the point


if __name__ == "__main__":
    try:
        launch(json.loads(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        print(f"cannot start {sys.argv[2]}: {error}", file=sys.stderr)
        raise SystemExit(EXIT_CANNOT_START) from error
