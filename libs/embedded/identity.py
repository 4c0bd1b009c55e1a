"""Under which user PostgreSQL runs: it refuses to be root, and initdb wants a user with a name."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NOBODY = 65534
# What root needs to run a child as another user and to look after its files, by the kernel's
# numbers.
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "KILL": 5, "SETGID": 6, "SETUID": 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """How a child process presents itself to the kernel.

    ``uid`` and ``gid`` are None for "as we are". ``namespace`` means the uid is only seen inside a
    new user namespace, while files keep belonging to the user who started us.
    """

    name: str
    uid: int | None = None
    gid: int | None = None
    namespace: bool = False

    @property
    def is_stranger(self) -> bool:
        """True when it reaches only what everybody may reach, and what it was given."""
        return self.uid is not None and not self.namespace

    @property
    def owner(self) -> tuple[int, int]:
        """(uid, gid) that must own the files this identity writes."""
        if self.uid is None or self.gid is None or self.namespace:
            return os.geteuid(), os.getegid()
        return self.uid, self.gid


AS_WE_ARE = Identity(name="as we are")


def unprivileged() -> Iterator[Identity]:
    """Identities to try for a program that refuses root, the least unusual first.

    Where a container denies root the change of user, a user namespace hides that we are root. The
    same namespace serves a user without an entry in the user database, whom initdb refuses.
    """
    uid, gid = _nobody()
    if os.geteuid() == 0:
        yield Identity(name="nobody", uid=uid, gid=gid)
    elif is_named(os.geteuid()):
        yield AS_WE_ARE
    yield Identity(name="user namespace", uid=uid, gid=gid, namespace=True)


def missing_capabilities() -> list[str]:
    """Names of the rights that root lacks here to run a child as another user (Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), -1)
    return [name for name, number in CAPABILITIES.items() if not held >> number & 1]


def is_named(uid: int) -> bool:
    """True when the user database of this machine knows ``uid``."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return entry.pw_uid, entry.pw_gid
