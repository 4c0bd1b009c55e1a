"""Folders with data: one owner at a time, secrets for the owner's eyes, temporary ones that go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from libs.embedded.errors import EmbeddedError

_LOCK_NAME = "lock"
_TEMPORARY_PREFIX = "bluetick-"
_TEMPORARY_MARK = "made_to_be_removed"
# Between the making of a temporary folder and its lock it looks abandoned; it is not, yet.
_ABANDONED_AGE_S = 60.0


class FolderLock:
    """Says that a folder is in use; the kernel lets go of it when we die, however we die."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """True when the folder is now ours (or was already); False when another has it."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the folder back; also when it was never taken."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_folder(folder: Path) -> FolderLock:
    """Make ``folder`` if need be and take it.

    Raises:
        EmbeddedError: another process uses it, or it cannot be made.
    """
    try:
        make_folder(folder)
        lock = FolderLock(folder)
        acquired = lock.acquire()
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {folder} cannot be used: {error.strerror}.",
            cure="Choose one that belongs to you with --data-dir.",
        ) from error
    if not acquired:
        raise EmbeddedError(
            f"The data folder {folder} is in use by another bluetick.",
            cure="Stop that one, or choose another folder with --data-dir.",
        )
    return lock


def make_folder(folder: Path) -> None:
    """Make ``folder``: closed to others, save that root lets PostgreSQL's user pass through."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def write_secret(path: Path, content: str) -> None:
    """Write a file of mode 600, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``; empty when there is none."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


class TemporaryFolder:
    """A folder in a temporary place, locked while we live, gone with ``remove``.

    What a killed process could not remove, the next one does. ``place`` is the system's temporary
    folder unless it is given.

    Raises:
        OSError: no folder can be made there.
    """

    def __init__(self, place: Path | None = None) -> None:
        place = place or Path(tempfile.gettempdir())
        remove_abandoned(place)
        self.path = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=place)).resolve()
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._lock = FolderLock(self.path)
        self._lock.acquire()
        (self.path / _TEMPORARY_MARK).touch(mode=0o600)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        _remove_tree(self.path)
        self._lock.release()


def remove_abandoned(place: Path) -> None:
    """Remove temporary folders of ours in ``place`` whose process is gone.

    Only what a ``TemporaryFolder`` made bears its mark: a data folder that somebody keeps in the
    temporary place may have the same kind of name and the same kind of lock.
    """
    for folder in place.glob(_TEMPORARY_PREFIX + "*"):
        try:
            status = folder.lstat()
            if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _ABANDONED_AGE_S:
                continue
            if folder.is_symlink() or not (folder / _TEMPORARY_MARK).is_file():
                continue
            lock = FolderLock(folder)
            if lock.acquire():
                _remove_tree(folder)
                lock.release()
        except OSError:
            continue  # another process was quicker


def keep(folder: Path) -> None:
    """Take the mark from ``folder``: somebody chose it for data that stays."""
    for marked in (folder, folder.absolute().parent):
        (marked / _TEMPORARY_MARK).unlink(missing_ok=True)


def _remove_tree(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        # PostgreSQL's part belongs to its own user, and root may lack the right to look inside.
        with contextlib.suppress(OSError):
            change_owner(folder, os.geteuid(), os.getegid())
        shutil.rmtree(folder, ignore_errors=True)


def change_owner(path: Path, uid: int, gid: int) -> None:
    """Give ``path`` and all that is in it to a user.

    Raises:
        PermissionError: that is not ours to do.
    """
    # Folders before what is in them: once one is ours it can be listed without special rights.
    if path.lstat().st_uid != uid:
        os.chown(path, uid, gid, follow_symlinks=False)
    if not path.is_dir() or path.is_symlink():
        return
    try:
        entries = list(path.iterdir())
    except PermissionError:
        return  # a root without special rights gave it away before and cannot look inside
    for entry in entries:
        change_owner(entry, uid, gid)
