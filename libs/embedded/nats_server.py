"""NATS with JetStream from a pip package, in one folder, on the loopback address."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path

from libs.embedded.binaries import nats_program
from libs.embedded.child_process import BARE_ENVIRONMENT, ChildProcess, Command
from libs.embedded.data_folder import FolderLock, lock_folder, make_folder, read_json, write_secret
from libs.embedded.disk_room import has_room
from libs.embedded.errors import EmbeddedError
from libs.embedded.http_probe import answer_of, answers_200
from libs.embedded.leftovers import end_leftovers
from libs.embedded.ports import LOOPBACK, free_port
from libs.runtime.listeners import Listener, broker_accounts

USER = "bluetick"
VERSION_MIN = (2, 12)  # the first with atomic batch publishing
PAYLOAD_BYTES_MAX = 8 * 1024**2
STORE_BYTES_MAX = 64 * 1024**3

# What the health page says of a stream that will not write again.
_CANNOT_WRITE = "write error"
_START_PATIENCE_S = 30.0
_STOP_PLAN = ((signal.SIGTERM, 10.0),)
_ATTEMPTS_MAX = 5


class NatsServer:
    """A server with its streams in ``folder``; ``url`` is valid after ``start``.

    Every stored message is synced to disk before it is acknowledged. Passwords are random, kept in
    ``folder/connection.json`` (mode 600); ports are kept over restarts when they are free. ``port``
    and ``monitor_port`` fix them. Each of ``listeners`` is a user of an account of its own.
    """

    name = "nats"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        monitor_port: int | None = None,
        log: Path | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._folder = folder.absolute()
        self._listeners = listeners
        self._listener_passwords: dict[str, str] = {}
        self._log = log or self._folder / "nats.log"
        self._fixed_ports = (port, monitor_port)
        self._lock: FolderLock | None = None
        self._child: ChildProcess | None = None
        self._port = 0
        self._monitor_port = 0
        self._is_known = False  # somebody may have our URL: the ports stay
        self._password = ""

    @property
    def url(self) -> str:
        """``nats://`` URL with user and password."""
        return f"nats://{USER}:{self._password}@{LOOPBACK}:{self._port}"

    @property
    def listener_urls(self) -> dict[str, str]:
        """``nats://`` URL of each listener, by its name."""
        return {
            name: f"nats://{name}:{password}@{LOOPBACK}:{self._port}"
            for name, password in self._listener_passwords.items()
        }

    @property
    def monitor_url(self) -> str:
        """``http://`` URL of the monitoring port, without a path."""
        return f"http://{LOOPBACK}:{self._monitor_port}"

    @property
    def port(self) -> int:
        """Its TCP port for clients; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start and return when JetStream answers; also after ``stop`` or a crash, same ports.

        Raises:
            EmbeddedError: it cannot run here; the text says why and what helps.
        """
        if self._lock is None:
            self._lock = lock_folder(self._folder)
        try:
            await end_leftovers(self._folder, "nats-server", signal.SIGTERM)
            await self._start_on_ports()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Return the exit code once the server has ended."""
        assert self._child is not None, "start first"
        return await self._child.wait()

    async def frozen(self) -> str:
        """Why only a new start brings it back; "" when it works, or when that would not help yet.

        A stream whose disk was full refuses every message from then on, also when there is room
        again, and says so on its health page alone: clients hear nothing.
        """
        status, answer = await answer_of(f"{self.monitor_url}/healthz")
        if status != 503 or _CANNOT_WRITE not in answer:
            return ""
        if not await asyncio.to_thread(has_room, self._folder):
            return ""
        return "stopped writing when its disk was full; there is room again"

    async def end(self) -> None:
        """End the process, but keep its folder: it is about to be started again."""
        if self._child is not None:
            await self._child.stop(_STOP_PLAN)

    async def stop(self) -> None:
        """Stop it within 10 seconds; nothing acknowledged is lost."""
        if self._child is not None:
            await self._child.stop(_STOP_PLAN)
            self._child = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _start_on_ports(self) -> None:
        problem = ""
        for attempt in range(_ATTEMPTS_MAX):
            if not self._is_known:
                self._choose_ports()
            self._write_configuration()
            self._child = await ChildProcess.start(self._command())
            problem = await self._until_ready()
            if not problem:
                self._is_known = True
                return
            await self._child.stop(_STOP_PLAN)
            await asyncio.sleep(0.1 * 2**attempt)
        raise EmbeddedError(
            f"The NATS server does not start: {problem}", cure=f"Its log is {self._log}."
        )

    def _choose_ports(self) -> None:
        path = self._folder / "connection.json"
        connection = read_json(path)
        self._password = connection.get("password") or secrets.token_urlsafe(24)
        known = connection.get("listeners") or {}
        self._listener_passwords = {
            one.name: known.get(one.name) or secrets.token_urlsafe(24) for one in self._listeners
        }
        port, monitor_port = self._fixed_ports
        self._port = port or free_port(self._port or connection.get("port"))
        self._monitor_port = monitor_port or free_port(
            self._monitor_port or connection.get("monitor_port")
        )
        content = {
            "password": self._password,
            "port": self._port,
            "monitor_port": self._monitor_port,
            "listeners": self._listener_passwords,
        }
        if content != connection:
            write_secret(path, json.dumps(content))

    def _write_configuration(self) -> None:
        store = self._folder / "streams"
        make_folder(store)
        configuration = {
            "server_name": "bluetick",
            "host": LOOPBACK,
            "port": self._port,
            "http": f"{LOOPBACK}:{self._monitor_port}",
            "max_payload": PAYLOAD_BYTES_MAX,
            "accounts": broker_accounts(
                USER,
                self._password,
                {one: self._listener_passwords[one.name] for one in self._listeners},
            ),
            # "always": an acknowledgement means that the message is on disk.
            "jetstream": {
                "store_dir": str(store),
                "sync_interval": "always",
                # Streams reserve what they may hold, and the default is what the disk has free:
                # on a small disk no stream could be made.
                "max_file_store": STORE_BYTES_MAX,
            },
        }
        write_secret(self._folder / "nats.conf", json.dumps(configuration, indent=2))

    def _command(self) -> Command:
        return Command(
            arguments=[str(nats_program()), "--config", str(self._folder / "nats.conf")],
            log=self._log,
            environment={**BARE_ENVIRONMENT, "GOMAXPROCS": str(os.cpu_count() or 2)},
            directory=self._folder,
            death_signal=signal.SIGTERM,
        )

    async def _until_ready(self) -> str:
        """Ask until it works: "" then, or what went wrong for good."""
        assert self._child is not None
        deadline = asyncio.get_running_loop().time() + _START_PATIENCE_S
        while self._child.exit_code is None:
            version = await _greeting_version(self._port)
            if version and await answers_200(f"{self.monitor_url}/healthz"):
                return _version_problem(version)
            if asyncio.get_running_loop().time() > deadline:
                return f"no answer in {_START_PATIENCE_S:.0f} s"
            await asyncio.sleep(0.01)
        lines = self._log.read_text(errors="replace").splitlines()[-1:]
        return lines[0] if lines else "no word in the log"


async def _greeting_version(port: int) -> str:
    """The version a NATS server tells everyone who connects; "" when none answers."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return ""
    try:
        line = await asyncio.wait_for(reader.readline(), 2.0)
    except (OSError, TimeoutError, ValueError):
        return ""
    finally:
        writer.close()
    if not line.startswith(b"INFO "):
        return ""
    return str(json.loads(line[5:]).get("version", ""))


def _version_problem(version: str) -> str:
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < VERSION_MIN:
        return f"version {version} is older than {'.'.join(map(str, VERSION_MIN))}"
    return ""
