"""A whole machine whose broker and database are the test's, so that it can take them away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import nats
from nats.js import JetStreamContext

from libs.embedded.data_folder import TemporaryFolder
from libs.embedded.nats_server import NatsServer
from libs.embedded.port_plan import free_ports
from libs.embedded.postgres_server import PostgresServer
from libs.testkit.up import running_up
from tests.system.load import Load
from tests.system.outside import Outside

# The promise: work goes on so soon after the cause of a fault has gone.
MENDED_S = 15.0
_READY_PORTS = {
    "ingest": "BLUETICK_INGEST_HTTP_PORT",
    "status": "BLUETICK_STATUS_PROBE_PORT",
    "analytics": "BLUETICK_ANALYTICS_PROBE_PORT",
    "gateway": "BLUETICK_GATEWAY_WEB_PORT",
}


@dataclass
class Site:
    """The machine, its servers, and a view from outside."""

    folder: Path
    postgres: PostgresServer
    nats_server: NatsServer
    ports: dict[str, int]
    outside: Outside
    jetstream: JetStreamContext
    # Services that somebody else than this machine runs.
    environment: dict[str, str]

    @property
    def machine(self) -> dict:
        """What `bluetick up --json` said."""
        return self.outside.machine

    async def readiness(self, service: str) -> tuple[int, str]:
        """Return code and reason of a service's /readyz; 0: it does not answer."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                url = f"http://127.0.0.1:{self.ports[_READY_PORTS[service]]}/readyz"
                answer = await client.get(url)
        except httpx.HTTPError as error:
            return 0, type(error).__name__
        return answer.status_code, answer.text

    async def until_unready(self, service: str, *words: str, limit_s: float = 20) -> str:
        """Return the reason, once readiness of a service says no with one of the words in it."""
        end, code, why = time.monotonic() + limit_s, 0, ""
        while time.monotonic() < end:
            code, why = await self.readiness(service)
            if code == 503 and any(word in why for word in words):
                return why
            await asyncio.sleep(0.1)
        raise AssertionError(f"{service} says {code} {why!r}, and none of {words}")

    async def until_mended(self, load: Load, limit_s: float = MENDED_S) -> float:
        """Return seconds until all services are ready and all told before now is in the report."""
        start = time.monotonic()
        asked = time.time()
        standing: dict[str, tuple[int, str]] = {}
        while time.monotonic() < start + limit_s:
            standing = {name: await self.readiness(name) for name in _READY_PORTS}
            if all(code == 200 for code, _ in standing.values()):
                report = await self.outside.report(load.campaign_id)
                if report.complete_until_time.ToMicroseconds() / 1e6 > asked:
                    return time.monotonic() - start
            await asyncio.sleep(0.1)
        raise AssertionError(f"not mended after {limit_s} s: {standing}")

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that causes faults."""
        connection = await asyncpg.connect(self.postgres.url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def renamed(self, table: str, column: str) -> AsyncIterator[None]:
        """A column that a release that went wrong has renamed."""
        statement = f"ALTER TABLE {table} RENAME COLUMN {{}} TO {{}}"
        await self.execute(statement.format(column, "away"))
        try:
            yield
        finally:
            await self.execute(statement.format("away", column))

    async def execute(self, statement: str) -> None:
        """Run one statement, however long others hold the table."""
        async with self.database() as connection:
            await connection.execute(statement)


@asynccontextmanager
async def running_site(**environment: str) -> AsyncIterator[Site]:
    """A machine in a folder of its own; settings as ``BLUETICK_...`` words."""
    ports = free_ports()
    async with AsyncExitStack() as stack:
        folder = TemporaryFolder()
        stack.callback(folder.remove)
        postgres = PostgresServer(folder.path / "postgres", is_throwaway=True)
        server = NatsServer(folder.path / "nats")
        for one in (postgres, server):
            stack.push_async_callback(one.stop)
            await one.start()
        settings = {
            **{name: str(port) for name, port in ports.items()},
            "BLUETICK_DATABASE_URL": postgres.url,
            "BLUETICK_NATS_URL": server.url,
            "BLUETICK_NATS_MONITOR_URL": server.monitor_url,
            **environment,
        }
        data = ("--data-dir", str(folder.path / "data"))
        up = await stack.enter_async_context(running_up(*data, **settings))
        client = await nats.connect(server.url)
        stack.push_async_callback(client.close)
        outside = Outside(up.said)
        stack.push_async_callback(outside.close)
        js = client.jetstream()
        yield Site(folder.path, postgres, server, ports, outside, js, settings)
        code, errors = await up.end()
        assert code == 0, errors


async def under_load(
    site: Site, campaign_id: str, fault: Callable[[Load], Awaitable[None]], after_s: float = 1.0
) -> Load:
    """Tell a campaign before, during and after a fault; every number must be the truth.

    The fault returns when its cause has gone; from then on work must go on in time.
    """
    load = Load(site.outside, campaign_id, pause_s=0.2)
    telling = asyncio.create_task(load.until_stopped(workers=2))
    try:
        await asyncio.sleep(1)
        await fault(load)
        mended_s = await site.until_mended(load)
        print(f"{campaign_id}: mended after {mended_s:.1f} s")
        await asyncio.sleep(after_s)
    finally:
        load.stop()
        await telling
    await check(site, load)
    return load


async def check(site: Site, load: Load) -> None:
    """Every counter of the report is the truth, and says of itself that nothing is missing."""
    report = await site.outside.complete_report(load.campaign_id)
    found = {name: report.counters.get(name) for name in load.counters()}
    assert found == load.counters()
    assert not report.gaps
