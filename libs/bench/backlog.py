"""Events for the stream, as the doors write them: what status gets when it is measured alone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import uuid4
from zlib import crc32

from bluetick.v1 import change_pb2, common_pb2, event_pb2

from libs.bench.broker_control import BrokerControl
from libs.runtime.broker import CHANGES_STREAM
from libs.runtime.keys import message_key, person_key
from libs.simulator.truth import COUNTERS, Truth

EVENTS_PER_BATCH = 500  # in one broker message, as a busy door batches them
_KINDS = (
    common_pb2.EVENT_KIND_ACCEPTED,
    common_pb2.EVENT_KIND_SENT,
    common_pb2.EVENT_KIND_DELIVERED,
    common_pb2.EVENT_KIND_READ,
)


class Mix(Enum):
    """How the events of a message lie to one another."""

    EACH = "each event a change of its own"
    BATCH = "three events of a message in a batch"
    REPEATS = "repeats"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Serialized batches, and what the report of their campaign must say afterwards."""

    campaign_id: str
    payloads: list[bytes]
    event_count: int
    truth: Truth


def write_backlog(
    tenant_id: str, campaign_id: str, messages: int, mix: Mix, *, told_us: int = 0
) -> Backlog:
    """Every message recorded, (sent,) delivered and read.

    Three in a batch lie side by side. Otherwise all are recorded in one mixed order, then all sent
    in another, and so on: what is far apart is not merged into one change by whoever takes many at
    once.

    A backlog of repeats is the one of `Mix.EACH` of the same name and `told_us`, received once
    more: what a provider sends that was answered too late. `told_us` is the time by the provider's
    clock; 0: now.
    """
    now_us = time.time_ns() // 1000
    told_us = told_us or now_us
    kinds = _KINDS if mix is not Mix.BATCH else (_KINDS[0], *_KINDS[2:])
    groups = [
        _events(tenant_id, campaign_id, f"{campaign_id}-{index}", kinds, (told_us, now_us))
        for index in range(messages)
    ]
    chance = random.Random(campaign_id + mix.value)
    chance.shuffle(groups)
    events = [event for group in groups for event in group]
    if mix is not Mix.BATCH:
        phases = [[group[number] for group in groups] for number in range(len(kinds))]
        for phase in phases:
            chance.shuffle(phase)
        events = [event for phase in phases for event in phase]
    return Backlog(campaign_id, payloads_of(events), len(events), _truth(messages))


def payloads_of(events: Sequence[event_pb2.Event]) -> list[bytes]:
    """Broker messages of `EVENTS_PER_BATCH` events."""
    return [
        event_pb2.EventBatch(
            batch_id=uuid4().hex, events=events[start : start + EVENTS_PER_BATCH]
        ).SerializeToString()
        for start in range(0, len(events), EVENTS_PER_BATCH)
    ]


async def count_changes(control: BrokerControl, after_sequence: int) -> int:
    """Changes on the stream after a sequence; one in parts counts once."""
    count = 0
    async for payload in control.read(CHANGES_STREAM, after_sequence):
        batch = change_pb2.MessageChangedBatch.FromString(payload)
        count += sum(change.part == 0 for change in batch.changes)
    return count


def _events(
    tenant_id: str,
    campaign_id: str,
    name: str,
    kinds: Iterable[common_pb2.EventKind.ValueType],
    times_us: tuple[int, int],
) -> list[event_pb2.Event]:
    told_us, receive_us = times_us
    provider_message_id = f"wamid.{name}"
    # One for each message: what is kept by address is spread as people are.
    address = f"+4915{crc32(name.encode()) % 100_000_000:08d}"
    key = message_key(tenant_id, "meta", provider_message_id)
    events = []
    for kind in kinds:
        event = event_pb2.Event(
            message_key=key,
            kind=kind,
            tenant_id=tenant_id,
            provider="meta",
            account="acct_1",
            provider_message_id=provider_message_id,
            occur_time_us=told_us - 10_000_000 + _KINDS.index(kind) * 1_000_000,
            receive_time_us=receive_us,
            address=address,
        )
        if kind == common_pb2.EVENT_KIND_ACCEPTED:
            event.message_ref = name
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


def _truth(messages: int) -> Truth:
    told = (
        "targeted",
        "sent",
        "addressable",
        "attempts",
        "delivered",
        "read",
        "human_read",
        "read_inferred",
        "people_targeted",
        "people_reached",
    )
    return Truth({name: messages if name in told else 0 for name in COUNTERS}, {})
