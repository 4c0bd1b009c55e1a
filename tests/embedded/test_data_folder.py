import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from libs.embedded.data_folder import (
    FolderLock,
    TemporaryFolder,
    lock_folder,
    remove_abandoned,
    write_secret,
)
from libs.embedded.errors import EmbeddedError


@pytest.fixture
def temporary_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _age(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    """The second is told at once what to do."""
    lock = lock_folder(tmp_path / "data")

    with pytest.raises(EmbeddedError, match="in use by another bluetick"):
        lock_folder(tmp_path / "data")

    lock.release()
    lock_folder(tmp_path / "data").release()


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path) -> None:
    """The kernel lets go; nobody has to remove a lock file by hand."""
    program = (
        "import os, sys; from pathlib import Path; from libs.embedded.data_folder import *;"
        "lock_folder(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)

    assert FolderLock(tmp_path).acquire()


def test_a_secret_is_closed_from_its_first_byte(tmp_path: Path) -> None:
    """Also when it replaces an open file."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)

    write_secret(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_temporary_folder_goes(temporary_place: Path) -> None:
    """Ephemeral means nothing is left."""
    folder = TemporaryFolder()
    (folder.path / "file").touch()

    folder.remove()

    assert list(temporary_place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(temporary_place: Path) -> None:
    """kill -9 runs no clean-up of its own."""
    left = temporary_place / "bluetick-left"
    left.mkdir()
    (left / "lock").touch()
    _age(left)

    remove_abandoned()

    assert not left.exists()


def test_only_abandoned_folders_of_ours_are_removed(temporary_place: Path) -> None:
    """The temporary place belongs to everybody."""
    living = TemporaryFolder()
    stranger = temporary_place / "bluetick-notes"
    stranger.mkdir()
    young = temporary_place / "bluetick-young"
    young.mkdir()
    (young / "lock").touch()
    for folder in (living.path, stranger):
        _age(folder)

    remove_abandoned()

    assert {living.path.name, "bluetick-notes", "bluetick-young"} == {
        entry.name for entry in temporary_place.iterdir()
    }
    living.remove()
