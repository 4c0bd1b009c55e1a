"""Fill the stream of events, and watch the services empty it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from bluetick.v1 import change_pb2, common_pb2, event_pb2
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from libs.runtime.broker import CHANGES_STREAM, EVENTS_SUBJECT
from libs.runtime.keys import message_key, person_key

EVENTS_PER_MESSAGE = 4
EVENTS_PER_BATCH = 500  # in one broker message, as a busy door batches them
_POLL_S = 0.01
_DRAIN_MAX_S = 120.0
_FETCH_MAX = 200


class NotDrained(Exception):
    """A consumer did not empty its stream in time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """One broker message on CHANGES."""

    subject: str
    batch: change_pb2.MessageChangedBatch


def event_batches(tenant_id: str, campaign_id: str, messages: int, round_name: str) -> list[bytes]:
    """Serialized batches: each message recorded, sent, delivered and read, all shuffled."""
    now_us = time.time_ns() // 1000
    events = [
        event
        for index in range(messages)
        for event in _events(tenant_id, campaign_id, f"{round_name}-{index}", now_us)
    ]
    random.Random(round_name).shuffle(events)
    return [
        event_pb2.EventBatch(
            batch_id=uuid4().hex, events=events[start : start + EVENTS_PER_BATCH]
        ).SerializeToString()
        for start in range(0, len(events), EVENTS_PER_BATCH)
    ]


async def publish_events(stream: JetStreamContext, batches: Sequence[bytes]) -> None:
    """Publish all and wait until the broker has them on disk."""
    acks = [await stream.publish_async(EVENTS_SUBJECT, batch) for batch in batches]
    await asyncio.gather(*acks)


async def drain(stream: JetStreamContext, stream_name: str, durable: str) -> None:
    """Return when the consumer has acknowledged everything in the stream.

    Raises:
        NotDrained: it did not within two minutes.
    """
    deadline = time.monotonic() + _DRAIN_MAX_S
    while time.monotonic() < deadline:
        consumer = await stream.consumer_info(stream_name, durable)
        if consumer.num_pending == 0 and consumer.num_ack_pending == 0:
            return
        await asyncio.sleep(_POLL_S)
    raise NotDrained(f"{durable} did not empty {stream_name} within {_DRAIN_MAX_S:g} s")


async def last_sequence(stream: JetStreamContext, stream_name: str) -> int:
    """Sequence of the newest message in the stream."""
    return (await stream.stream_info(stream_name)).state.last_seq


async def changes_since(stream: JetStreamContext, after_sequence: int) -> list[Changes]:
    """The broker messages on CHANGES after `after_sequence`."""
    last = await last_sequence(stream, CHANGES_STREAM)
    if last <= after_sequence:
        return []
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after_sequence + 1
    )
    reader = await stream.pull_subscribe("", stream=CHANGES_STREAM, config=config)
    found: list[Changes] = []
    seen = after_sequence
    while seen < last:
        for message in await reader.fetch(min(_FETCH_MAX, last - seen), timeout=5):
            batch = change_pb2.MessageChangedBatch.FromString(message.data)
            found.append(Changes(message.subject, batch))
            seen = message.metadata.sequence.stream
            await message.ack()
    await reader.unsubscribe()
    return found


async def publish_again(
    stream: JetStreamContext, found: Sequence[Changes], campaign_id: str
) -> int:
    """Publish the same changes as those of another campaign; returns how many."""
    acks, count = [], 0
    for one in found:
        batch = change_pb2.MessageChangedBatch()
        batch.CopyFrom(one.batch)
        batch.batch_id = uuid4().hex
        for change in batch.changes:
            change.registration.campaign_id = campaign_id
        count += len(batch.changes)
        acks.append(await stream.publish_async(one.subject, batch.SerializeToString()))
    await asyncio.gather(*acks)
    return count


def _events(tenant_id: str, campaign_id: str, name: str, now_us: int) -> list[event_pb2.Event]:
    provider_message_id = f"wamid.bench-{name}"
    key = message_key(tenant_id, "meta", provider_message_id)
    events = []
    for offset, kind in enumerate(
        (
            common_pb2.EVENT_KIND_ACCEPTED,
            common_pb2.EVENT_KIND_SENT,
            common_pb2.EVENT_KIND_DELIVERED,
            common_pb2.EVENT_KIND_READ,
        )
    ):
        event = event_pb2.Event(
            message_key=key,
            kind=kind,
            tenant_id=tenant_id,
            provider="meta",
            account="acct_1",
            provider_message_id=provider_message_id,
            occur_time_us=now_us - 10_000_000 + offset * 1_000_000,
            receive_time_us=now_us,
            address="+491510000000",
        )
        if kind == common_pb2.EVENT_KIND_ACCEPTED:
            event.message_ref = f"bench-{name}"
            event.registration.CopyFrom(_registration(tenant_id, campaign_id, name))
        events.append(event)
    return events


def _registration(tenant_id: str, campaign_id: str, name: str) -> event_pb2.Registration:
    return event_pb2.Registration(
        campaign_id=campaign_id,
        contact_id=f"person-{name}",
        channel=common_pb2.CHANNEL_WHATSAPP,
        template="spring_sale",
        language="de",
        category="marketing",
        variant="AB"[int(name[-1]) % 2],
        country="DE",
        person_key=person_key(tenant_id, f"person-{name}"),
    )
