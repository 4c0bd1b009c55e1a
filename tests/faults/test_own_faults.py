"""Faults of our own, while events keep coming: nothing is lost, readiness tells, it mends itself.

Services are wired as in production, in this process; broker and database are real. The promise is
that work goes on within 15 s of the cause going away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.embedded.postgres_server import PostgresServer
from libs.runtime.broker import (
    CHANGES_STREAM,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    SET_ASIDE_STREAM,
    Broker,
    BrokerUnavailable,
    changes_subject,
)
from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from libs.testkit import builders
from services.analytics.settings import AnalyticsSettings
from services.analytics.wiring import build as build_analytics
from services.status.settings import StatusSettings
from services.status.wiring import build as build_status

pytestmark = pytest.mark.early

MENDED_S = 15
SERVICES = {"status": EVENTS_STREAM, "analytics": CHANGES_STREAM}
_TOKEN = "a-token-for-tests"


class Running:
    """One service, and somebody who sends it a message every 20 ms."""

    def __init__(self, name: str, scope: Scope, broker: Broker) -> None:
        self.scope = scope
        self.stored = 0
        self._name = name
        self._broker = broker
        self._stopped = False
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while not self._stopped:
            number = self.stored
            if self._name == "status":
                event = builders.an_event(provider_message_id=f"wamid.{number}")
                body = builders.a_batch(event).SerializeToString()
                subject = EVENTS_SUBJECT
            else:
                change = builders.a_change(provider_message_id=f"wamid.{number}")
                batch = builders.a_change_batch(change, batch_id=f"batch-{number}")
                body, subject = batch.SerializeToString(), changes_subject("demo", "delivered")
            try:
                stream = SERVICES[self._name]
                await self._broker.publish(subject, body, msg_id=f"{number}", stream=stream)
                self.stored += 1
            except BrokerUnavailable:
                pass  # answered 503; it is sent again
            await asyncio.sleep(0.02)

    async def until_unready(self, words: str) -> None:
        async with asyncio.timeout(15):
            while not any(words in fault for fault in self.scope.readiness.faults()):
                await asyncio.sleep(0.02)

    async def until_done(self) -> None:
        """Stop sending; return when all is acknowledged and the service is ready."""
        self._stopped = True
        await self._sending
        async with asyncio.timeout(MENDED_S):
            while not self.scope.is_ready or await self._left():
                await asyncio.sleep(0.05)

    async def _left(self) -> int:
        try:
            jetstream = self._broker.jetstream
            info = await jetstream.consumer_info(SERVICES[self._name], self._name)
        except Exception:
            return 1
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


@asynccontextmanager
async def running(
    name: str, broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> AsyncIterator[Running]:
    settings = {
        "nats_url": broker_settings.nats_url,
        "nats_monitor_url": broker_settings.nats_monitor_url,
        "database_url": database_url,
        "internal_token": _TOKEN,
        f"{name}_grpc_host": "127.0.0.1",
        f"{name}_grpc_port": 0,
        f"{name}_probe_host": "127.0.0.1",
        f"{name}_probe_port": 0,
    }
    scope = Scope()
    if name == "status":
        await build_status(scope, StatusSettings(**settings))
    else:
        await build_analytics(scope, AnalyticsSettings(**settings))
    service = Running(name, scope, broker)
    try:
        async with asyncio.timeout(15):
            while service.stored < 5 or not scope.is_ready:
                await asyncio.sleep(0.02)
        yield service
        assert not scope.failed
    finally:
        service._stopped = True
        await service._sending
        await scope.close()


async def _nothing_set_aside(broker: Broker) -> bool:
    return (await broker.jetstream.stream_info(SET_ASIDE_STREAM)).state.messages == 0


@pytest.mark.parametrize("name", SERVICES)
async def test_tables_that_are_missing_for_seconds_cost_no_message(
    name: str, broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """All 20 callbacks of such 12 s once went into a quarantine that no tool reached."""
    admin = await Database.connect(database_url)
    async with running(name, broker, broker_settings, database_url) as service:
        async with admin.transaction() as connection:
            await connection.execute(f"ALTER SCHEMA {name} RENAME TO hidden")
        await service.until_unready("does not exist")
        before = service.stored
        async with asyncio.timeout(10):
            while service.stored < before + 20:
                await asyncio.sleep(0.02)
        async with admin.transaction() as connection:
            await connection.execute(f"ALTER SCHEMA hidden RENAME TO {name}")
        await service.until_done()

        if name == "status":
            async with admin.transaction() as connection:
                told = await connection.fetchval("SELECT count(*) FROM status.messages")
            assert told == service.stored
    assert await _nothing_set_aside(broker)
    await admin.close()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_deleted_consumer_is_made_again_while_messages_come(
    name: str, broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Both services stayed "ready" and never worked again."""
    async with running(name, broker, broker_settings, database_url) as service:
        await asyncio.sleep(1.5)  # a checkpoint is kept each second
        for _ in range(2):
            await broker.jetstream.delete_consumer(SERVICES[name], name)
            before = service.stored
            async with asyncio.timeout(10):
                while service.stored < before + 20:
                    await asyncio.sleep(0.02)
        await service.until_done()
        made = (await broker.jetstream.consumer_info(SERVICES[name], name)).config
        assert (made.opt_start_seq or 1) > 1, "it began with all that the stream has"
    assert await _nothing_set_aside(broker)


@pytest.mark.parametrize("name", SERVICES)
async def test_a_stopped_database_is_told_and_waited_for(
    name: str,
    broker: Broker,
    broker_settings: RuntimeSettings,
    database_url: str,
    postgres_server: PostgresServer,
) -> None:
    """Status was "ready" all the while."""
    async with running(name, broker, broker_settings, database_url) as service:
        await postgres_server.stop()
        try:
            await service.until_unready("database:")
            before = service.stored
            async with asyncio.timeout(10):
                while service.stored < before + 20:
                    await asyncio.sleep(0.02)
        finally:
            await postgres_server.start()
        await service.until_done()
    assert await _nothing_set_aside(broker)
