"""The broker's promises, against the real one: acknowledged means stored, nothing hangs."""

import asyncio
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from libs.embedded.binaries import nats_program
from libs.embedded.child_process import Command, launched
from libs.embedded.http_probe import answers_200
from libs.embedded.nats_server import NatsServer
from libs.embedded.ports import free_port
from libs.runtime.broker import (
    CHANGES_STREAM,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    Broker,
    BrokerUnavailable,
    OutboundMessage,
    changes_subject,
)
from libs.runtime.broker_checks import BrokerUnsuitable, check_durability
from libs.runtime.settings import RuntimeSettings


async def _stored(broker: Broker, stream: str) -> int:
    return (await broker.jetstream.stream_info(stream)).state.messages


async def test_a_published_message_is_in_the_stream(broker: Broker) -> None:
    """The door answers 200 on the strength of this acknowledgement."""
    ack = await broker.publish(EVENTS_SUBJECT, b"x", msg_id="1", stream=EVENTS_STREAM)

    assert ack.seq == 1
    assert await _stored(broker, EVENTS_STREAM) == 1


async def test_messages_that_belong_together_are_stored_once_even_if_published_twice(
    broker: Broker,
) -> None:
    """After a crash the outbox is published again; the ids tell the broker."""
    messages = [
        OutboundMessage(changes_subject("demo", "read"), b"%d" % number, f"id-{number}")
        for number in range(1, 2_501)
    ]

    await broker.publish_all(messages, CHANGES_STREAM)
    await broker.publish_all(messages[:3], CHANGES_STREAM)

    assert await _stored(broker, CHANGES_STREAM) == 2_500


async def test_a_frozen_broker_gives_an_error_in_bounded_time(
    nats_server: NatsServer, nats_url: str, nats_monitor_url: str
) -> None:
    """A provider waits for the answer; 503 in seconds, not a connection that hangs."""
    settings = RuntimeSettings(
        nats_url=nats_url, nats_monitor_url=nats_monitor_url, nats_publish_timeout_s=0.5
    )
    broker = await Broker.connect(settings, "test")
    await broker.ensure_streams()
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(EVENTS_SUBJECT, b"x", msg_id="1", stream=EVENTS_STREAM)
        waited = time.monotonic() - started
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)

    assert waited < 2
    assert broker.publishing_count == 0
    await _publish_until_taken(broker)
    await broker.close()


async def _publish_until_taken(broker: Broker) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await broker.publish(
                    EVENTS_SUBJECT, b"y", msg_id=uuid.uuid4().hex, stream=EVENTS_STREAM
                )
                return
            except BrokerUnavailable:
                await asyncio.sleep(0.1)


async def test_a_full_stream_refuses_and_keeps_what_it_acknowledged(
    nats_url: str, nats_monitor_url: str
) -> None:
    """A stream that forgets the oldest would delete what was answered OK."""
    settings = RuntimeSettings(
        nats_url=nats_url, nats_monitor_url=nats_monitor_url, events_bytes_max=1024 * 1024
    )
    broker = await Broker.connect(settings, "test")
    await broker.ensure_streams()
    body = b"x" * 200_000
    taken = 0

    with pytest.raises(BrokerUnavailable):
        for number in range(10):
            await broker.publish(EVENTS_SUBJECT, body, msg_id=str(number), stream=EVENTS_STREAM)
            taken += 1

    assert taken >= 4
    assert await _stored(broker, EVENTS_STREAM) == taken
    await broker.close()


async def test_a_broker_that_syncs_lazily_is_refused_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    """Its acknowledgement would not survive a power cut."""
    port, monitor_port = free_port(), free_port()
    arguments = [str(nats_program()), "-js", "-sd", str(tmp_path), "-a", "127.0.0.1"]
    arguments += ["-p", str(port), "-m", str(monitor_port)]
    command = Command(arguments=arguments, log=Path(os.devnull), environment={})
    process = subprocess.Popen(launched(command), stderr=subprocess.DEVNULL)
    monitor_url = f"http://127.0.0.1:{monitor_port}"
    lazy = RuntimeSettings(nats_monitor_url=monitor_url)
    try:
        async with asyncio.timeout(10):
            while not await answers_200(f"{monitor_url}/healthz"):
                await asyncio.sleep(0.02)
        with pytest.raises(BrokerUnsuitable, match="sync_interval: always"):
            await asyncio.to_thread(check_durability, lazy)
        told = lazy.model_copy(update={"nats_allow_lazy_sync": True})
        await asyncio.to_thread(check_durability, told)
    finally:
        process.terminate()
        process.wait(10)
