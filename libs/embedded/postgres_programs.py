"""PostgreSQL's programs where the user that runs them can reach them.

They are installed in a checkout's `.venv`. Below a folder that only its owner may enter (a home, a
container's /root) PostgreSQL's own user cannot reach them there, so they are put into a folder of
the system's temporary place for as long as the server runs: linked where that can be, else copied.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from libs.embedded.binaries import postgres_files, postgres_folder
from libs.embedded.data_folder import TemporaryFolder
from libs.embedded.identity import Identity

# Tried in this order; a place may be closed, full, or mounted so that nothing runs from it.
_PLACES = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108 each gets a folder of its own


class PostgresPrograms:
    """``folder`` holds ``postgres`` and ``initdb``; ``remove`` ends a copy."""

    def __init__(self, folder: Path, copy: TemporaryFolder | None = None) -> None:
        self.folder = folder
        self._copy = copy

    def remove(self) -> None:
        """Remove the copy; the installed programs stay."""
        if self._copy is not None:
            self._copy.remove()
            self._copy = None


def programs_for(identity: Identity) -> Iterator[PostgresPrograms]:
    """The installed programs, then for a stranger to us copies in other places, one by one."""
    yield PostgresPrograms(postgres_folder())
    if identity.is_stranger:
        for place in dict.fromkeys((tempfile.gettempdir(), *_PLACES)):
            try:
                yield _copied_to(Path(place))
            except OSError:
                continue  # no room, no right: the next place


def _copied_to(place: Path) -> PostgresPrograms:
    copy = TemporaryFolder(place)
    try:
        installed = postgres_folder()
        root = installed.parents[2]  # of the packages: programs and libraries lie side by side
        for file in postgres_files():
            _put(file, copy.path / file.relative_to(root))
    except BaseException:
        copy.remove()
        raise
    return PostgresPrograms(copy.path / installed.relative_to(root), copy)


def _put(file: Path, target: Path) -> None:
    mode = stat.S_IMODE(file.stat().st_mode)
    wanted = mode | (0o555 if mode & stat.S_IXUSR else 0o444)
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True)
    if mode == wanted and file.stat().st_uid == os.geteuid():
        try:
            os.link(file, target)
            return
        except OSError:
            pass  # another file system, or links are not for us
    shutil.copyfile(file, target)
    target.chmod(wanted)
