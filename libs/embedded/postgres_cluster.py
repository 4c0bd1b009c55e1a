"""The files of a PostgreSQL: made once, owned by whom the server runs as."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

from libs.embedded.child_process import output_of
from libs.embedded.data_folder import read_json, write_secret
from libs.embedded.errors import EmbeddedError
from libs.embedded.postgres_runner import MAJOR_VERSION, PostgresRunner

USER = "bluetick"

_INITDB_PATIENCE_S = 120.0
_TOLD_BYTES_MAX = 500
# What initdb prints of a cause that a person can do something about.
_CURES = {
    "No space left on device": "Make room on the disk of the data folder.",
    "Disk quota exceeded": "Make room in the quota of the data folder's owner.",
    "Read-only file system": "Choose a folder that can be written with --data-dir.",
    "shared memory": "Give the machine more shared memory (/dev/shm; docker run --shm-size=256m).",
    "Cannot allocate memory": "Give the machine more memory.",
    "Permission denied": "Choose a folder with --data-dir that every user may pass through.",
}
_CURE_OTHERWISE = "Choose another folder with --data-dir, or set BLUETICK_DATABASE_URL."


class PostgresCluster:
    """The cluster in ``folder/cluster`` and what is known about it beside it.

    ``folder/connection.json`` (mode 600) keeps the password and the last port.
    """

    def __init__(self, folder: Path, *, log: Path, is_synced: bool) -> None:
        self.path = folder / "cluster"
        self.is_new = False
        self._runner: PostgresRunner | None = None
        self._connection_file = folder / "connection.json"
        self._log = log
        self._is_synced = is_synced

    async def prepare(self) -> PostgresRunner:
        """Find out how to run PostgreSQL here, and make the files if there are none.

        Raises:
            EmbeddedError: it cannot be done here; the text says why and what helps.
        """
        if self._runner is None or not self._runner.is_there:
            self._runner = await PostgresRunner.find(self.path, self._log)
        self.is_new = not (self.path / "PG_VERSION").exists()
        if self.is_new:
            await self._make(self._runner)
        self._check_version()
        if not self.password:
            raise EmbeddedError(
                f"The file {self._connection_file} with the database's password is missing.",
                cure="Restore it, or choose another folder with --data-dir.",
            )
        return self._runner

    def release(self) -> None:
        """Remove what was made to run PostgreSQL; the files stay."""
        if self._runner is not None:
            self._runner.remove()
            self._runner = None

    @property
    def mark(self) -> str:
        """The server's name for itself: on the command line of each of its processes."""
        return f"bluetick-{hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]}"

    @property
    def password(self) -> str:
        """Password of the user ``bluetick``; empty before the cluster was made."""
        return str(read_json(self._connection_file).get("password", ""))

    @property
    def last_port(self) -> int | None:
        """The port it was last reached at."""
        port: int | None = read_json(self._connection_file).get("port")
        return port

    def remember(self, **facts: object) -> None:
        """Keep ``password`` or ``port`` for the next start."""
        known = read_json(self._connection_file)
        if {**known, **facts} != known:
            write_secret(self._connection_file, json.dumps({**known, **facts}))

    async def _make(self, runner: PostgresRunner) -> None:
        # What an initdb that was killed left: no PG_VERSION is there, so no data either.
        for entry in self.path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        password = secrets.token_urlsafe(24)
        self.remember(password=password)
        password_file = self.path.with_name("initial_password")
        write_secret(password_file, password)
        os.chown(password_file, *runner.identity.owner)
        command = runner.command(
            "initdb",
            f"--pgdata={runner.cluster}",
            f"--username={USER}",
            "--auth=scram-sha-256",
            "--pwfile=/dev/stdin",  # open already: the way to it may be closed
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            *([] if self._is_synced else ["--no-sync"]),
            standard_input=password_file,
        )
        try:
            code, printed = await output_of(command, patience_s=_INITDB_PATIENCE_S)
        except TimeoutError:
            code, printed = -1, f"no end after {_INITDB_PATIENCE_S:.0f} s"
        finally:
            password_file.unlink(missing_ok=True)
        if code != 0:
            told = printed[-_TOLD_BYTES_MAX:]
            raise EmbeddedError(f"initdb failed: {told}", cure=_cure_of(told))

    def _check_version(self) -> None:
        version = (self.path / "PG_VERSION").read_text().strip()
        if version != str(MAJOR_VERSION):
            raise EmbeddedError(
                f"The data folder {self.path} is of PostgreSQL {version}, this program runs "
                f"{MAJOR_VERSION}.",
                cure="Export with that version and import, or choose another folder.",
            )


def _cure_of(told: str) -> str:
    return next((cure for words, cure in _CURES.items() if words in told), _CURE_OTHERWISE)
