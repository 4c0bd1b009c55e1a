"""Under which user PostgreSQL runs: it refuses to be root, and it must reach its files."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass

_NOBODY = 65534
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """How a child process presents itself to the kernel.

    ``uid`` and ``gid`` are None for "as we are". ``capability`` is one Linux capability number
    kept across the change of user. ``namespace`` means the uid is only seen inside a new user
    namespace, while files keep belonging to the user who started us.
    """

    name: str
    uid: int | None = None
    gid: int | None = None
    capability: int | None = None
    namespace: bool = False

    @property
    def owner(self) -> tuple[int, int]:
        """(uid, gid) that must own the files this identity writes."""
        if self.uid is None or self.gid is None or self.namespace:
            return os.geteuid(), os.getegid()
        return self.uid, self.gid


AS_WE_ARE = Identity(name="as we are")


def unprivileged() -> Iterator[Identity]:
    """Identities to try for a program that refuses root, the least powerful first.

    A folder below a closed one (a checkout in /root, mode 700) cannot be reached by another
    user: there the right to pass through folders is kept, as the one capability. Where the
    kernel or a container denies that too, a user namespace hides that we are root. The same
    namespace serves a user without an entry in passwd, whom initdb refuses.
    """
    nobody = _nobody()
    if os.geteuid() != 0:
        if _is_named(os.geteuid()):
            yield AS_WE_ARE
    else:
        uid, gid = nobody
        yield Identity(name="nobody", uid=uid, gid=gid)
        for name, capability in (
            ("nobody, passing closed folders", _CAP_DAC_READ_SEARCH),
            ("nobody, opening closed folders", _CAP_DAC_OVERRIDE),
        ):
            yield Identity(name=name, uid=uid, gid=gid, capability=capability)
    yield Identity(name="user namespace", uid=nobody[0], gid=nobody[1], namespace=True)


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return entry.pw_uid, entry.pw_gid


def _is_named(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
