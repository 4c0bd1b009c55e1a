"""Streams are what the settings say, come back when they vanish, and refuse in plain words."""

import asyncio
import time

import pytest
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from libs.runtime import measures
from libs.runtime.broker import (
    CHANGES_STREAM,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    EVENTS_SUBJECTS,
    SET_ASIDE_STREAM,
    Broker,
    BrokerRefused,
    OutboundMessage,
    changes_subject,
)
from libs.runtime.broker_checks import BrokerUnsuitable
from libs.runtime.settings import RuntimeSettings
from libs.runtime.streams import Streams


def _streams(broker: Broker, settings: RuntimeSettings, **changed: object) -> Streams:
    return Streams(broker.jetstream, settings.model_copy(update=changed))


async def test_what_the_settings_say_is_what_runs(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """A limit that was changed and not applied is found when the disk is full."""
    await _streams(
        broker, broker_settings, events_retention_h=3, changes_bytes_max=5 * 1024**2
    ).ensure()

    events = (await broker.jetstream.stream_info(EVENTS_STREAM)).config
    changes = (await broker.jetstream.stream_info(CHANGES_STREAM)).config
    assert events.max_age == 3 * 3600
    assert changes.max_bytes == 5 * 1024**2
    assert changes.discard == DiscardPolicy.NEW
    kept = (await broker.jetstream.stream_info(SET_ASIDE_STREAM)).config
    assert not kept.max_age, "what is set aside waits for somebody, however long"


async def test_a_limit_below_what_is_stored_is_refused(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """The broker would delete what it acknowledged to make it fit."""
    for number in range(3):
        await broker.publish(
            EVENTS_SUBJECT, b"x" * 1024**2, msg_id=f"{number}", stream=EVENTS_STREAM
        )

    with pytest.raises(BrokerUnsuitable, match="BLUETICK_EVENTS_BYTES_MAX"):
        await _streams(broker, broker_settings, events_bytes_max=2 * 1024**2).ensure()

    assert (await broker.jetstream.stream_info(EVENTS_STREAM)).state.messages == 3


async def test_a_stream_that_the_broker_refuses_ends_the_start_with_its_reason(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """It was taken for a race with another replica, and tried for ever."""
    await broker.jetstream.delete_stream(EVENTS_STREAM)
    for changed, words in (
        ({"events_bytes_max": 60 * 1024**4}, "EVENTS"),
        ({"nats_replicas": 3}, "replicas"),
    ):
        async with asyncio.timeout(10):
            with pytest.raises(BrokerUnsuitable, match=words):
                await _streams(broker, broker_settings, **changed).ensure()


async def test_a_stream_of_another_kind_is_not_used(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """The text names the difference."""
    await broker.jetstream.delete_stream(EVENTS_STREAM)
    await broker.jetstream.add_stream(
        StreamConfig(name=EVENTS_STREAM, subjects=[EVENTS_SUBJECTS], storage=StorageType.MEMORY,
                     discard=DiscardPolicy.NEW)
    )  # fmt: skip

    with pytest.raises(BrokerUnsuitable, match="storage memory where file is needed"):
        await _streams(broker, broker_settings).ensure()


async def test_a_stream_that_vanished_is_made_again_and_its_fill_is_measured(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """Nobody else makes it; until then every callback is answered 503."""
    streams = _streams(broker, broker_settings, events_bytes_max=4 * 1024**2)
    await streams.ensure()
    await broker.jetstream.delete_stream(EVENTS_STREAM)
    stopping = asyncio.Event()
    watching = asyncio.create_task(streams.watch(stopping))

    async with asyncio.timeout(10):
        while True:
            try:
                await broker.publish(
                    EVENTS_SUBJECT, b"x" * 1024**2, msg_id="1", stream=EVENTS_STREAM
                )
                break
            except Exception:
                await asyncio.sleep(0.05)
        while measures.STREAM_FILL.labels(EVENTS_STREAM)._value.get() < 0.2:
            await asyncio.sleep(0.05)
    assert streams.fault == ""
    stopping.set()
    await watching


async def test_a_refused_publish_is_heard_at_once(
    broker: Broker, broker_settings: RuntimeSettings
) -> None:
    """A provider waited 3 to 5 s for a 503 that the broker had decided in a millisecond."""
    small = {"events_bytes_max": 1024**2, "changes_bytes_max": 1024**2}
    await _streams(broker, broker_settings, **small).ensure()
    body = b"x" * 700 * 1024
    await broker.publish(EVENTS_SUBJECT, body, msg_id="1", stream=EVENTS_STREAM)
    subject = changes_subject("demo", "read")
    await broker.publish(subject, body, msg_id="1", stream=CHANGES_STREAM)
    started = time.monotonic()

    with pytest.raises(BrokerRefused, match="maximum bytes"):
        await broker.publish(EVENTS_SUBJECT, body, msg_id="2", stream=EVENTS_STREAM)
    batch = [OutboundMessage(subject, body, f"b{number}") for number in range(3)]
    with pytest.raises(BrokerRefused):
        await broker.publish_all(batch, CHANGES_STREAM)

    assert time.monotonic() - started < 1
