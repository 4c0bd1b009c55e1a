"""The service as a whole, wired as in production, on a real broker and database."""

import asyncio
import time

import grpc
from alembic import command
from bluetick.v1 import common_pb2 as words
from bluetick.v1.message_service_pb2 import GetMessageRequest, WatchChangesRequest
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub

from libs.runtime import progress
from libs.runtime.broker import EVENTS_STREAM, EVENTS_SUBJECT, Broker
from libs.runtime.lifecycle import Scope
from libs.runtime.migrate import alembic_config
from libs.runtime.settings import RuntimeSettings
from libs.testkit import builders
from services.status.settings import StatusSettings
from services.status.wiring import build
from tests.status.test_reads import TOKEN, caller


async def test_the_wired_service_applies_answers_and_ends_cleanly(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Every part may be right and the wiring wrong."""
    settings = StatusSettings(
        nats_url=broker_settings.nats_url,
        nats_monitor_url=broker_settings.nats_monitor_url,
        database_url=database_url,
        internal_token=TOKEN,
        status_grpc_host="127.0.0.1",
        status_grpc_port=0,
        status_probe_host="127.0.0.1",
        status_probe_port=0,
        status_watch_heartbeat_s=0.2,
    )
    scope = Scope()
    port = await build(scope, settings)
    batch = builders.a_batch(builders.a_registered(), builders.an_event())
    stored = batch.SerializeToString()
    before = time.time()
    await broker.publish(EVENTS_SUBJECT, stored, msg_id="1", stream=EVENTS_STREAM)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = MessageServiceStub(channel)
        request = GetMessageRequest(message_ref="ref-1")
        async with asyncio.timeout(10):
            while True:
                try:
                    answer = await stub.GetMessage(request, metadata=caller())
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        watched, until_s = [], 0.0
        watch = stub.WatchChanges(from_time(before - 1), metadata=caller(), timeout=20)
        while not (watched and until_s > before):
            said = await watch.read()
            watched += said.changes
            until_s = max(until_s, said.complete_until_time.ToMicroseconds() / 1e6)
    told = progress.decode((await broker.client.request(progress.SUBJECT, b"", timeout=5)).data)
    async with asyncio.timeout(15):
        await scope.close()

    assert answer.message.state == words.MESSAGE_STATE_DELIVERED
    assert told.changes_seq == 1
    assert [change.message_ref for change in watched] == ["ref-1"]
    assert not scope.failed


def from_time(seconds: float) -> WatchChangesRequest:
    request = WatchChangesRequest()
    request.start_time.FromMicroseconds(int(seconds * 1e6))
    return request


async def test_the_migrations_make_exactly_the_tables_of_the_code(database_url: str) -> None:
    """A column that only one of the two knows would fail in production first."""
    await asyncio.to_thread(command.check, alembic_config("status", database_url))
