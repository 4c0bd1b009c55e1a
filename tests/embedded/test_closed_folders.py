"""Where PostgreSQL's own user may not go: homes, closed disks, containers without rights."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.embedded import postgres_programs
from libs.embedded.binaries import postgres_files, postgres_folder
from libs.embedded.errors import EmbeddedError
from libs.embedded.postgres_server import PostgresServer
from tests.embedded.small_disk import mounted

_ONE_SERVER = Path(__file__).with_name("one_server.py")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")


@pytest.fixture
def temporary_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where copies go; open to all, which pytest's own folder is not."""
    with tempfile.TemporaryDirectory(prefix="place-") as name:
        place = Path(name)
        place.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield place


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    folder = tmp_path / "only for root"
    folder.mkdir(mode=0o700)
    return folder


def _install_in(folder: Path, monkeypatch: pytest.MonkeyPatch, mode_mask: int = 0o777) -> None:
    """Let PostgreSQL's programs be installed in ``folder`` alone."""
    root = postgres_folder().parents[2]
    copies = []
    for file in postgres_files():
        copy = folder / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        copy.chmod(file.stat().st_mode & mode_mask)
        copies.append(copy)
    programs = folder / postgres_folder().relative_to(root)
    monkeypatch.setattr(postgres_programs, "postgres_folder", lambda: programs)
    monkeypatch.setattr(postgres_programs, "postgres_files", lambda: copies)


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _count_in(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def _ask(server: PostgresServer, question: str) -> object:
    connection = await asyncpg.connect(server.url, ssl=False)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@as_root
@pytest.mark.parametrize("mode_mask", [0o777, 0o700], ids=["open files", "files closed too"])
async def test_programs_and_data_below_a_closed_folder(
    closed: Path, temporary_place: Path, monkeypatch: pytest.MonkeyPatch, mode_mask: int
) -> None:
    """A checkout in /root, which is mode 700 in every container, as `make up` finds it."""
    _install_in(closed, monkeypatch, mode_mask)
    server = PostgresServer(closed / "data" / "postgres")
    await server.start()

    assert await _ask(server, "SHOW data_directory") == "/proc/self/cwd"
    assert _owner(Path(f"/proc/{server.pid}")) != 0
    assert _count_in(temporary_place) == 1

    await server.stop()
    assert _count_in(temporary_place) == 0


@as_root
async def test_data_written_in_a_closed_folder_is_there_after_a_kill(closed: Path) -> None:
    """The way in is the same at the next start, and recovery takes it too."""
    server = PostgresServer(closed / "postgres")
    await server.start()
    await _ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, 9)
    await server.wait()

    await server.start()

    assert await _ask(server, "SELECT answer FROM kept") == 42
    await server.stop()


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes the rights away")
@pytest.mark.parametrize("without", ["sys_ptrace", "sys_ptrace,-sys_admin,-setfcap,-net_admin"])
def test_root_with_less_than_all_rights(tmp_path: Path, without: str) -> None:
    """Containers take rights from root. Two starts: the second finds what the first left."""
    for _ in range(2):
        answer = _as_root_without(without, tmp_path)
        assert answer.stdout == "1\n", answer.stderr


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes the rights away")
def test_the_rights_that_are_missing_are_named(tmp_path: Path) -> None:
    """Not free space, not a port: what the container must be given.

    Without SETFCAP a namespace may not hide root either.
    """
    answer = _as_root_without("setuid,-dac_override,-setfcap", tmp_path)

    assert answer.returncode == 1, answer.stdout
    assert "root lacks DAC_OVERRIDE and SETUID here" in answer.stderr
    assert "capabilities CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID" in answer.stderr


@as_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare makes the container")
def test_a_container_with_one_user_is_told_as_one(tmp_path: Path) -> None:
    """Rootless, without ids to give: neither "invalid argument" nor "no space left" says that."""
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh"]
    answer = subprocess.run(
        [*command, sys.executable, str(_ONE_SERVER), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in answer.stderr.partition(":")[0]:
        pytest.skip("this machine makes no such containers")

    assert answer.returncode == 1
    assert "this container has no user 65534: it was given too few user ids" in answer.stderr
    assert "cannot make a user namespace: unshare: this machine allows no more" in answer.stderr


def _as_root_without(rights: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--bounding-set=-{rights}", sys.executable, str(_ONE_SERVER), str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    """The cure follows from the cause, not from a guess."""
    with (
        mounted(tmp_path / "disk", size_mib=4) as disk,  # initdb writes ten times that
        pytest.raises(EmbeddedError, match="No space left on device") as told,
    ):
        await PostgresServer(disk / "postgres").start()

    assert told.value.cure == "Make room on the disk of the data folder."


@as_root
async def test_a_closed_machine_tells_each_way_it_tried(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No place takes the programs: the folder that is closed is named, not the disk's room."""
    _install_in(closed, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    monkeypatch.setattr(postgres_programs, "_PLACES", ())
    monkeypatch.setattr("libs.embedded.postgres_runner.unprivileged", _nobody_alone)

    with pytest.raises(EmbeddedError, match=r"nobody: cannot run .*only for root.*: Permission"):
        await PostgresServer(closed / "data" / "postgres").start()


def _nobody_alone() -> Iterator[object]:
    from libs.embedded.identity import unprivileged

    yield next(unprivileged())
