"""Everything on one machine: PostgreSQL, NATS, the schema and the four services."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from libs.embedded.data_folder import FolderLock, lock_folder, make_folder, write_secret
from libs.embedded.demo_accounts import TENANT, demo_accounts
from libs.embedded.errors import EmbeddedError
from libs.embedded.key_files import ensure_api_keys, ensure_keys
from libs.embedded.nats_server import NatsServer
from libs.embedded.port_plan import configured_ports, free_ports
from libs.embedded.ports import LOOPBACK
from libs.embedded.postgres_server import PostgresServer
from libs.embedded.running_file import Running, forget_running, write_running
from libs.embedded.service_process import ServiceProcess
from libs.embedded.supervisor import Part, Supervisor
from libs.runtime.accounts import AccountsProblem
from libs.runtime.listeners import Listener, load_listeners

_MIGRATE = "libs.runtime.migrate"
_API_KEYS_FILE = "api_keys.json"
_DATABASE_PATIENCE_S = 30.0
_SHUTDOWN_DEFAULT_S = 10.0
# Over what a service allows itself, before it is killed.
_SHUTDOWN_GRACE_S = 2.0
# Of these, what the gateway needs to close its web doors after its calls.
_WEB_DOORS_S = 3.0
# Doors first, so that nothing is taken that nobody can work on.
_STOP_ORDER = ("gateway", "ingest", "status", "analytics", "nats", "postgres")
# A service alone in its container listens on every address; here only this machine may call.
_HOSTS = (
    "BLUETICK_INGEST_HTTP_HOST",
    "BLUETICK_INGEST_GRPC_HOST",
    "BLUETICK_STATUS_GRPC_HOST",
    "BLUETICK_STATUS_PROBE_HOST",
    "BLUETICK_ANALYTICS_GRPC_HOST",
    "BLUETICK_ANALYTICS_PROBE_HOST",
    "BLUETICK_GATEWAY_GRPC_HOST",
    "BLUETICK_GATEWAY_WEB_HOST",
)
_READY_PORT = {
    "ingest": "BLUETICK_INGEST_HTTP_PORT",
    "status": "BLUETICK_STATUS_PROBE_PORT",
    "analytics": "BLUETICK_ANALYTICS_PROBE_PORT",
    "gateway": "BLUETICK_GATEWAY_WEB_PORT",
}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running machine is reached; the one line of ``bluetick up --json``.

    ``gateway`` is host:port for gRPC, the others are URLs. A pid is null when the server was
    given from outside. ``nats_listener`` is the address of the tenant's listener; empty when the
    broker or its listeners were given from outside. ``api_keys`` has admin, sender and reader, or
    nothing when the keys file was given from outside: then only hashes are known.
    """

    gateway: str
    web: str
    ingest: str
    nats: str
    nats_listener: str
    postgres: str
    api_keys: dict[str, str]
    tenant: str
    pids: dict[str, int | None]


class Machine:
    """A whole Bluetick in ``folder``. ``start``, then ``supervise``, then ``stop``.

    ``BLUETICK_DATABASE_URL``, ``BLUETICK_NATS_URL``, ``BLUETICK_ACCOUNTS_FILE`` and
    ``BLUETICK_API_KEYS_FILE`` in the environment win over what the machine would bring along.
    If it ``is_ephemeral`` every door gets a free port and the folder will be thrown away;
    otherwise the ports are the defaults or the environment's.
    ``say`` is told, in lines for people, when a part had to be started again.
    """

    def __init__(self, folder: Path, *, is_ephemeral: bool, say: Callable[[str], None]) -> None:
        self._folder = folder.absolute()
        self._ports = free_ports() if is_ephemeral else configured_ports(os.environ)
        self._is_ephemeral = is_ephemeral
        self._lock: FolderLock | None = None
        self._supervisor = Supervisor(say)
        self._api_keys: dict[str, str] = {}
        self._postgres: PostgresServer | None = None
        self._nats: NatsServer | None = None
        self._services: dict[str, ServiceProcess] = {}
        self._database_url = os.environ.get("BLUETICK_DATABASE_URL", "")
        self._nats_url = os.environ.get("BLUETICK_NATS_URL", "")
        self._nats_monitor_url = os.environ.get("BLUETICK_NATS_MONITOR_URL", "")

    async def start(self) -> Description:
        """Start all parts and return when every service takes work.

        Raises:
            EmbeddedError: a part cannot run here; nothing of the machine runs then.
        """
        try:
            self._lock = lock_folder(self._folder)
            make_folder(self._folder / "logs")
            # Reading the migrations' libraries takes as long as initdb: side by side.
            await _all_of([self._start_servers(), asyncio.to_thread(import_module, _MIGRATE)])
            self._set_up_services()
            # ingest opens its doors without a database, so it need not wait for the schema.
            await _all_of([self._start("ingest"), asyncio.to_thread(self._migrate)])
            await self._start("status", "analytics")
            await self._ready("ingest", "status", "analytics")
            # Last: its channels back off from services that do not listen yet, and the first
            # calls would be answered UNAVAILABLE.
            await self._start("gateway")
            await self._ready("gateway")
            self._say_where()
        except BaseException:
            await self.stop()
            raise
        return self.describe()

    def supervise(self) -> None:
        """From now on, start whatever ends unasked again: same ports, same data."""
        for part in self._parts():
            self._supervisor.watch(part)
        if self._nats is not None:
            self._supervisor.thaw(self._nats)

    async def stop(self) -> None:
        """Stop everything in bounded time; no data is lost."""
        await self._supervisor.release()
        for part in sorted(self._parts(), key=lambda part: _STOP_ORDER.index(part.name)):
            await part.stop()
        if self._lock is not None:
            forget_running(self._folder)
            self._lock.release()
            self._lock = None

    def describe(self) -> Description:
        """Addresses, keys and pids as they are now."""
        pids: dict[str, int | None] = dict.fromkeys((*_READY_PORT, "nats", "postgres"))
        pids.update({part.name: part.pid for part in self._parts()})
        return Description(
            gateway=f"{LOOPBACK}:{self._ports['BLUETICK_GATEWAY_GRPC_PORT']}",
            web=self._url("BLUETICK_GATEWAY_WEB_PORT"),
            ingest=self._url("BLUETICK_INGEST_HTTP_PORT"),
            nats=self._nats_url,
            nats_listener=self._nats.listener_urls.get(TENANT, "") if self._nats else "",
            postgres=self._database_url,
            api_keys=self._api_keys,
            tenant=TENANT,
            pids=pids,
        )

    def _say_where(self) -> None:
        """Tell commands in other terminals where everything is."""
        running = Running(
            gateway=f"{LOOPBACK}:{self._ports['BLUETICK_GATEWAY_GRPC_PORT']}",
            ingest=self._url("BLUETICK_INGEST_HTTP_PORT"),
            ready_urls={name: self._url(port) + "/readyz" for name, port in _READY_PORT.items()},
            nats_url=self._nats_url,
            nats_monitor_url=self._nats_monitor_url,
            database_url=self._database_url,
            accounts_file=self._accounts_file(),
            api_keys_file=os.environ.get("BLUETICK_API_KEYS_FILE")
            or str(self._folder / _API_KEYS_FILE),
            api_key=self._api_keys.get("admin", ""),
        )
        write_running(self._folder, running)

    def _parts(self) -> list[Part]:
        servers = [part for part in (self._nats, self._postgres) if part is not None]
        return [*self._services.values(), *servers]

    def _url(self, port_name: str) -> str:
        return f"http://{LOOPBACK}:{self._ports[port_name]}"

    async def _start_servers(self) -> None:
        logs = self._folder / "logs"
        starts = []
        if not self._database_url:
            self._postgres = PostgresServer(
                self._folder / "postgres",
                log=logs / "postgres.log",
                is_throwaway=self._is_ephemeral,
            )
            starts.append(self._postgres.start())
        if not self._nats_url:
            self._nats = NatsServer(
                self._folder / "nats",
                log=logs / "nats.log",
                listeners=self._listeners(),
            )
            starts.append(self._nats.start())
        await _all_of(starts)
        if self._postgres:
            self._database_url = self._postgres.url
        if self._nats:
            self._nats_url, self._nats_monitor_url = self._nats.url, self._nats.monitor_url

    def _migrate(self) -> None:
        """Bring every schema up to date. Blocks, and has a loop of its own."""
        migrate = import_module(_MIGRATE)
        try:
            asyncio.run(migrate.wait_for_database(self._database_url, _DATABASE_PATIENCE_S))
        except TimeoutError:
            raise EmbeddedError(
                "No PostgreSQL answers at BLUETICK_DATABASE_URL.",
                cure="Start it, mend the address, or unset it to use the one that comes along.",
            ) from None
        for service in migrate.OWNERS:
            migrate.run_migrations(service, self._database_url)

    async def _start(self, *names: str) -> None:
        await _all_of([self._services[name].start() for name in names])

    async def _ready(self, *names: str) -> None:
        await _all_of([self._services[name].wait_ready() for name in names])

    def _set_up_services(self) -> None:
        environment = self._environment()
        shutdown_s = float(environment["BLUETICK_SHUTDOWN_S"])
        for name, ready_port in _READY_PORT.items():
            prefix = f"BLUETICK_{name.upper()}_"
            self._services[name] = ServiceProcess(
                name,
                environment=environment,
                ports={key: port for key, port in self._ports.items() if key.startswith(prefix)},
                ready_url=self._url(ready_port) + "/readyz",
                log=self._folder / "logs" / f"{name}.log",
                stop_patience_s=shutdown_s + _SHUTDOWN_GRACE_S,
            )

    def _environment(self) -> dict[str, str]:
        """What the services find in their environment beside our own."""
        targets = {}
        for name in ("INGEST", "STATUS", "ANALYTICS"):
            port = self._ports[f"BLUETICK_{name}_GRPC_PORT"]
            targets[f"BLUETICK_GATEWAY_{name}_TARGET"] = f"dns:///{LOOPBACK}:{port}"
        targets["BLUETICK_ANALYTICS_STATUS_TARGET"] = targets["BLUETICK_GATEWAY_STATUS_TARGET"]
        targets["BLUETICK_STATUS_ANALYTICS_TARGET"] = targets["BLUETICK_GATEWAY_ANALYTICS_TARGET"]
        return {
            **{name: os.environ.get(name) or LOOPBACK for name in _HOSTS},
            **{name: str(port) for name, port in self._ports.items()},
            **targets,
            "BLUETICK_DATABASE_URL": self._database_url,
            "BLUETICK_NATS_URL": self._nats_url,
            "BLUETICK_NATS_MONITOR_URL": self._nats_monitor_url,
            "BLUETICK_INTERNAL_TOKEN": secrets.token_urlsafe(32),
            "BLUETICK_ACCOUNTS_FILE": self._accounts_file(),
            "BLUETICK_API_KEYS_FILE": self._api_keys_file(),
            "BLUETICK_LISTENERS_FILE": self._listeners_file(),
            "BLUETICK_LINK_KEYS": os.environ.get("BLUETICK_LINK_KEYS")
            or ensure_keys(self._folder / "link_keys"),
            "BLUETICK_ACCOUNT_KEYS": os.environ.get("BLUETICK_ACCOUNT_KEYS")
            or ensure_keys(self._folder / "account_keys"),
            **_stopping(),
        }

    def _accounts_file(self) -> str:
        given = os.environ.get("BLUETICK_ACCOUNTS_FILE")
        if given:
            return given
        path = self._folder / "accounts.json"
        if not path.exists():  # once it is there it is the owner's to edit
            write_secret(path, json.dumps(demo_accounts(), indent=2))
        return str(path)

    def _listeners(self) -> list[Listener]:
        try:
            return load_listeners(self._listeners_file())
        except AccountsProblem as problem:
            raise EmbeddedError(
                str(problem), cure="Mend the file; docs/events.md has one."
            ) from None

    def _listeners_file(self) -> str:
        given = os.environ.get("BLUETICK_LISTENERS_FILE")
        if given:
            return given
        path = self._folder / "listeners.json"
        if not path.exists():  # once it is there it is the owner's to edit
            demo = {"listeners": [{"name": TENANT, "tenant": TENANT}]}
            write_secret(path, json.dumps(demo, indent=2))
        return str(path)

    def _api_keys_file(self) -> str:
        given = os.environ.get("BLUETICK_API_KEYS_FILE")
        if given:
            return given
        path = self._folder / _API_KEYS_FILE
        self._api_keys = ensure_api_keys(path, self._folder / "api_keys_clear.json")
        return str(path)


def _stopping() -> dict[str, str]:
    """Return how long services take to stop, as they are told, or as fits one machine."""
    shutdown_s = os.environ.get("BLUETICK_SHUTDOWN_S") or str(_SHUTDOWN_DEFAULT_S)
    drain_s = max(0.0, float(shutdown_s) - _WEB_DOORS_S)
    return {
        "BLUETICK_SHUTDOWN_S": shutdown_s,
        # No balancer is in front that would have to look away first.
        "BLUETICK_GATEWAY_UNREADY_S": os.environ.get("BLUETICK_GATEWAY_UNREADY_S") or "0",
        "BLUETICK_GATEWAY_DRAIN_S": os.environ.get("BLUETICK_GATEWAY_DRAIN_S") or str(drain_s),
    }


async def _all_of(starts: list[Coroutine[Any, Any, Any]]) -> None:
    """Run all to their end, then raise the first failure: none is left half started."""
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
