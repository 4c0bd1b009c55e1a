import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from libs.embedded.data_folder import (
    FolderLock,
    TemporaryFolder,
    keep,
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
    program = (
        "import os; from libs.embedded.data_folder import *;"
        "print(TemporaryFolder().path, flush=True); os.kill(os.getpid(), 9)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(temporary_place)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    left = Path(printed.strip())
    assert left.parent == temporary_place
    _age(left)

    remove_abandoned(temporary_place)

    assert not left.exists()


def test_only_abandoned_folders_of_ours_are_removed(temporary_place: Path) -> None:
    """The temporary place belongs to everybody."""
    living = TemporaryFolder()
    stranger = temporary_place / "bluetick-notes"
    stranger.mkdir()
    young = TemporaryFolder()
    young._lock.release()
    for folder in (living.path, stranger):
        _age(folder)

    remove_abandoned(temporary_place)

    assert {living.path.name, "bluetick-notes", young.path.name} == {
        entry.name for entry in temporary_place.iterdir()
    }
    living.remove()


def test_a_stopped_data_folder_in_the_temporary_place_stays(temporary_place: Path) -> None:
    """Its name and its lock look like a temporary folder's; what is in it is somebody's data."""
    kept = temporary_place / "bluetick-data"
    lock_folder(kept).release()
    _age(kept)

    TemporaryFolder().remove()

    assert kept.is_dir()


def test_a_temporary_folder_that_somebody_chose_to_keep_stays(temporary_place: Path) -> None:
    """`--data-dir` may name what a killed `--ephemeral` left: from then on it holds data."""
    left = TemporaryFolder()
    left._lock.release()

    keep(left.path / "data")
    _age(left.path)
    remove_abandoned(temporary_place)

    assert left.path.is_dir()
