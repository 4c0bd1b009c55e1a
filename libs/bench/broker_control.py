"""The broker's own levers: consumers paused and drained, streams read and emptied.

A paused consumer is given nothing, while its service runs and is well; so a backlog is built up
without anybody's time being measured, and drained against the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy, StorageType, StreamConfig

from libs.runtime.broker import CHANGES_STREAM, EVENTS_STREAM

# What a part before left behind may take long, where it was a door's work of minutes.
_DRAIN_MAX_S = 900.0
_POLL_S = 0.01
# Consumers of the services. Those of other teams may stand still for as long as they like.
_OURS = frozenset(("status", "analytics"))
# While a backlog is worked off: each look costs the broker as much as ten changes cost status.
_POLL_DRAINING_S = 0.05
_PAUSE_MAX = timedelta(hours=1)
_FETCH_MAX = 200
_SCRATCH = "BENCH"
_UNDER_WAY = 64


class NotDrained(Exception):
    """A consumer did not empty its stream in time."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Broker messages that were not acknowledged yet, by stream."""

    events: int
    changes: int


@dataclass(slots=True)
class Pause:
    """A pause of a stream's consumers; filled in when it ends."""

    stream: str
    handed: dict[str, int] = field(default_factory=dict)  # messages handed out so far, by consumer
    end_s: float = 0.0  # by the monotonic clock


class BrokerControl:
    """What a bench does to the broker of its own machine."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.stream: JetStreamContext = client.jetstream(timeout=30)

    async def pending(self) -> Pending:
        """What waits now."""
        waiting = []
        for name in (EVENTS_STREAM, CHANGES_STREAM):
            infos = await self._consumers(name)
            waiting.append(max((_waiting(one) for one in infos), default=0))
        return Pending(*waiting)

    async def is_idle(self) -> bool:
        """Whether nothing waits."""
        pending = await self.pending()
        return pending.events == 0 and pending.changes == 0

    async def last_sequence(self, stream_name: str) -> int:
        """Sequence of the newest message in the stream."""
        return (await self.stream.stream_info(stream_name)).state.last_seq

    @asynccontextmanager
    async def paused(self, stream_name: str) -> AsyncIterator[Pause]:
        """Give the stream's consumers nothing until the block ends.

        Raises:
            NotDrained: somebody ended the pause meanwhile; then there was no backlog.
        """
        consumers = [one.name for one in await self._consumers(stream_name)]
        until = (datetime.now(UTC) + _PAUSE_MAX).isoformat()
        for name in consumers:
            await self.stream.pause_consumer(stream_name, name, until)
        pause = Pause(stream_name)
        try:
            yield pause
            for one in await self._consumers(stream_name):
                if not one.paused:
                    raise NotDrained(f"{one.name} on {stream_name} did not stay paused")
                pause.handed[one.name] = _handed_out(one)
        finally:
            pause.end_s = time.monotonic()
            for name in consumers:
                await self.stream.resume_consumer(stream_name, name)

    async def drain(self, stream_name: str, wait_max_s: float = _DRAIN_MAX_S) -> float:
        """Return the seconds until everything in the stream was acknowledged by its consumers.

        Raises:
            NotDrained: it was not in time.
        """
        started = time.monotonic()
        while (passed_s := time.monotonic() - started) < wait_max_s:
            if all(_waiting(one) == 0 for one in await self._consumers(stream_name)):
                return passed_s
            await asyncio.sleep(_POLL_S)
        raise NotDrained(f"{stream_name} was not emptied within {wait_max_s:g} s")

    async def drain_after(self, pause: Pause, wait_max_s: float) -> float:
        """As `drain`, but the clock starts when the first message after the pause is handed out.

        The broker takes up to two seconds to notice that somebody waits; that time is nobody's
        work. What a look sees for the first time was begun after the look before.
        """
        looked = started = pause.end_s
        is_begun = False
        while time.monotonic() - pause.end_s < wait_max_s:
            infos = [await self.stream.consumer_info(pause.stream, name) for name in pause.handed]
            if not is_begun and any(_handed_out(one) != pause.handed[one.name] for one in infos):
                is_begun, started = True, looked
            if is_begun and all(_waiting(one) == 0 for one in infos):
                return time.monotonic() - started
            looked = time.monotonic()
            await asyncio.sleep(_POLL_DRAINING_S if is_begun else _POLL_S)
        raise NotDrained(f"{pause.stream} was not emptied within {wait_max_s:g} s")

    async def publish(self, subject: str, payloads: list[bytes]) -> None:
        """Publish all and wait until the broker has them on disk."""
        under_way = asyncio.Semaphore(_UNDER_WAY)

        async def one(payload: bytes) -> None:
            async with under_way:
                await self.stream.publish(subject, payload)

        await asyncio.gather(*(one(payload) for payload in payloads))

    async def read(self, stream_name: str, after_sequence: int) -> AsyncIterator[bytes]:
        """The payloads in the stream after a sequence, up to the newest now."""
        seen, last = after_sequence, await self.last_sequence(stream_name)
        if last <= seen:
            return
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=seen + 1,
            inactive_threshold=60,
        )
        reader = await self.stream.pull_subscribe("", stream=stream_name, config=config)
        try:
            while seen < last:
                for message in await reader.fetch(min(_FETCH_MAX, last - seen), timeout=10):
                    seen = message.metadata.sequence.stream
                    await message.ack()
                    yield message.data
        finally:
            info = await reader.consumer_info()
            await reader.unsubscribe()
            await self.stream.delete_consumer(stream_name, info.name)

    async def forget(self, stream_name: str) -> None:
        """Delete what all consumers have acknowledged, so that millions fit on the disk."""
        infos = await self._consumers(stream_name)
        done = min((one.ack_floor.stream_seq for one in infos if one.ack_floor), default=0)
        if done:
            await self.stream.purge_stream(stream_name, seq=done)

    async def publish_floor_s(self, payloads: list[bytes]) -> float:
        """Seconds to get these onto disk in a stream that nobody reads."""
        config = StreamConfig(name=_SCRATCH, subjects=["bench.scratch"], storage=StorageType.FILE)
        await self.stream.add_stream(config)
        try:
            started = time.monotonic()
            await self.publish("bench.scratch", payloads)
            return time.monotonic() - started
        finally:
            await self.stream.delete_stream(_SCRATCH)

    async def _consumers(self, stream_name: str) -> list[ConsumerInfo]:
        infos: list[ConsumerInfo] = await self.stream.consumers_info(stream_name)
        return [one for one in infos if one.name in _OURS]


@asynccontextmanager
async def broker_control(url: str) -> AsyncIterator[BrokerControl]:
    """A connection of its own to the broker."""
    client = await nats.connect(url)
    try:
        yield BrokerControl(client)
    finally:
        await client.close()


def _handed_out(info: ConsumerInfo) -> int:
    return info.delivered.consumer_seq if info.delivered else 0


def _waiting(info: ConsumerInfo) -> int:
    return (info.num_pending or 0) + (info.num_ack_pending or 0)
