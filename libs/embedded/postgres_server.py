"""PostgreSQL 18 from a pip package, in one folder, on the loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from libs.embedded.child_process import ChildProcess, Command
from libs.embedded.data_folder import FolderLock, lock_folder
from libs.embedded.errors import EmbeddedError
from libs.embedded.leftovers import end_leftovers
from libs.embedded.ports import LOOPBACK, free_port
from libs.embedded.postgres_cluster import USER, PostgresCluster
from libs.embedded.postgres_runner import PostgresRunner

DATABASE = "bluetick"

# For 2 cores and some ten thousand upserts a second, with every commit on disk. The rest is
# PostgreSQL's own default.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # nothing outside the data folder
    "max_connections": "60",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than any query here takes
    "autovacuum_naptime": "15s",  # rows are updated a few times each within seconds
    "autovacuum_vacuum_cost_limit": "1000",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_START_PATIENCE_S = 60.0  # crash recovery replays up to max_wal_size
_STOP_PLAN = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
_ATTEMPTS_MAX = 5


class PostgresServer:
    """A server with its data in ``folder``; ``url`` is valid after ``start``.

    The first start makes the cluster, a random password (SCRAM, kept in
    ``folder/connection.json``, mode 600) and an empty database ``bluetick``. Later starts use the
    same port when it is free. ``port`` fixes it. ``settings`` override ``SETTINGS``. The files of
    a new cluster are not synced if it ``is_throwaway``: the machine's power is then its life.

    Root is no user PostgreSQL accepts: it then runs as nobody, and its part of the folder belongs
    to nobody. Where nobody may not go (a checkout or a data folder below a closed one), it gets
    its programs and its files all the same, see ``postgres_programs`` and ``postgres_runner``.
    """

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        is_throwaway: bool = False,
    ) -> None:
        self._folder = folder.absolute()
        self._log = log or self._folder / "postgres.log"
        self._fixed_port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._cluster = PostgresCluster(self._folder, log=self._log, is_synced=not is_throwaway)
        self._lock: FolderLock | None = None
        self._child: ChildProcess | None = None
        self._port = 0
        self._is_known = False  # somebody may have our URL: the port stays
        self._password = ""

    @property
    def url(self) -> str:
        """``postgresql://`` URL of the database ``bluetick``, with the password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The same for another database of this server."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{database}"

    @property
    def port(self) -> int:
        """Its TCP port; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Of the server's first process; None when it does not run."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start and return when it answers; also after ``stop`` or a crash, on the same port.

        Raises:
            EmbeddedError: it cannot run here; the text says why and what helps.
        """
        if self._lock is None:
            self._lock = lock_folder(self._folder)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Return the exit code once the server has ended."""
        assert self._child is not None, "start first"
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop it, clients or not, within 15 seconds; nothing committed is lost."""
        if self._child is not None:
            await self._child.stop(_STOP_PLAN)
            self._child = None
        self._cluster.release()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _start(self) -> None:
        cluster = self._cluster
        await end_leftovers(cluster.path, "postgres", signal.SIGQUIT, mark=cluster.mark)
        runner = await cluster.prepare()
        self._password = cluster.password
        self._port = self._port or cluster.last_port or 0
        # After a crash the file names a dead process, or by chance a living stranger, for whom
        # PostgreSQL would refuse to start. Whoever held it is gone: we hold the folder's lock.
        (cluster.path / "postmaster.pid").unlink(missing_ok=True)
        await self._start_on_a_port(runner)
        if cluster.is_new or not (self._folder / "database_made").exists():
            await self._make_database()

    async def _start_on_a_port(self, runner: PostgresRunner) -> None:
        problem = ""
        for attempt in range(_ATTEMPTS_MAX):
            if self._fixed_port is not None:
                self._port = self._fixed_port
            elif not self._is_known:
                self._port = free_port(self._port or None)
            self._child = await ChildProcess.start(self._command(runner))
            problem = await self._until_ready()
            if not problem:
                self._is_known = True
                self._cluster.remember(port=self._port)
                return
            await self._child.stop(_STOP_PLAN)
            # A port may still be held, a killed server's children may still be ending.
            await asyncio.sleep(0.1 * 2**attempt)
        raise EmbeddedError(
            f"PostgreSQL does not start: {problem}",
            cure=f"Its log is {self._log}.",
        )

    def _command(self, runner: PostgresRunner) -> Command:
        settings = {
            **self._settings,
            "port": str(self._port),
            "cluster_name": self._cluster.mark,
        }
        return runner.command(
            "postgres",
            *("-D", str(runner.cluster)),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            death_signal=signal.SIGQUIT,  # ends at once, its children too; the log makes it whole
        )

    async def _until_ready(self) -> str:
        """Connect until it works: "" then, or what went wrong for good."""
        assert self._child is not None
        deadline = asyncio.get_running_loop().time() + _START_PATIENCE_S
        while self._child.exit_code is None:
            try:
                await self._execute()
                return ""
            except (OSError, asyncpg.CannotConnectNowError, TimeoutError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    return f"no answer in {_START_PATIENCE_S:.0f} s ({error})"
            except asyncpg.PostgresError as error:
                return str(error)
            await asyncio.sleep(0.02)
        return _last_line(self._log)

    async def _execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(
            host=LOOPBACK,
            port=self._port,
            user=USER,
            password=self._password,
            database=database,
            ssl=False,
            timeout=5.0,
        )
        try:
            for statement in statements:
                await connection.execute(statement, timeout=60.0)
        finally:
            await connection.close(timeout=5.0)

    async def _make_database(self) -> None:
        # There already: the run before was killed between making it and noting so.
        with contextlib.suppress(asyncpg.DuplicateDatabaseError):
            await self._execute(f"CREATE DATABASE {DATABASE}")
        (self._folder / "database_made").touch()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    told = [line for line in lines[-20:] if "FATAL" in line or "cannot start" in line]
    return (told or lines or ["no word in the log"])[-1]
