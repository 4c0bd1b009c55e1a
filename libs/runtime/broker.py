"""NATS JetStream: a connection that heals, publishing that ends, streams that never forget."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from libs.runtime import logs
from libs.runtime.broker_checks import check_durability, wait_for_port
from libs.runtime.publishing import BrokerRefused, BrokerUnavailable, Publisher, Stored, stored
from libs.runtime.settings import RuntimeSettings
from libs.runtime.streams import (
    CHANGES_STREAM,
    CHANGES_SUBJECTS,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    EVENTS_SUBJECTS,
    SET_ASIDE_STREAM,
    SET_ASIDE_SUBJECT,
    Streams,
    changes_subject,
)

__all__ = [
    "CHANGES_STREAM",
    "CHANGES_SUBJECTS",
    "EVENTS_STREAM",
    "EVENTS_SUBJECT",
    "EVENTS_SUBJECTS",
    "SET_ASIDE_STREAM",
    "SET_ASIDE_SUBJECT",
    "Broker",
    "BrokerRefused",
    "BrokerUnavailable",
    "OutboundMessage",
    "changes_subject",
]

_log = logs.get_logger()

_ATOMIC_MESSAGES_MAX = 1_000
# Codes from here on are the broker's trouble, below they are about the message.
_BROKER_TROUBLE = 500
_WATCH_EVERY_S = 3.0
_RTT_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message to publish; ``msg_id`` lets the broker drop a repeat (a courtesy only)."""

    subject: str
    payload: bytes
    msg_id: str
    headers: dict[str, str] = field(default_factory=dict)


class Broker:
    """One connection to the broker, shared by everything in the process."""

    def __init__(
        self, settings: RuntimeSettings, client: Client, context: JetStreamContext
    ) -> None:
        self._settings = settings
        self.client = client
        self.jetstream = context
        self.streams = Streams(context, settings)
        self._publisher = Publisher(client)
        self._healthy = True
        self._watching: asyncio.Task[None] | None = None
        # Called after each reconnect: pull requests do not survive the connection.
        self.on_reconnect: list[Callable[[], None]] = []

    @classmethod
    async def connect(cls, settings: RuntimeSettings, name: str) -> "Broker":
        """Return a connection, waiting with backoff for a broker that is still starting.

        Raises:
            BrokerUnsuitable: it acknowledges before it syncs to disk.
        """
        await wait_for_port(settings.nats_url)
        await asyncio.to_thread(check_durability, settings)
        client = Client()
        broker = cls(settings, client, client.jetstream(timeout=settings.nats_publish_timeout_s))
        await client.connect(
            settings.nats_url,
            name=f"bluetick-{name}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]
            ping_interval=5,
            max_outstanding_pings=2,
            connect_timeout=3,
            pending_size=32 * 1024 * 1024,
            error_cb=broker._say_error,
            disconnected_cb=broker._say_disconnected,
            reconnected_cb=broker._say_reconnected,
        )
        await broker._publisher.open()
        broker._watching = asyncio.create_task(broker._watch(), name="broker_watchdog")
        return broker

    @property
    def healthy(self) -> bool:
        """Whether the broker answered lately."""
        return self._healthy and self.client.is_connected

    @property
    def payload_bytes_max(self) -> int:
        """Largest message that the broker takes, bytes."""
        return self.client.max_payload

    async def ensure_streams(self) -> None:
        """Return when the streams are there as the settings want them; see Streams.ensure.

        Raises:
            BrokerUnsuitable: the broker refuses one, or it could lose acknowledged data.
        """
        await self.streams.ensure()

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        msg_id: str,
        stream: str,
        headers: dict[str, str] | None = None,
    ) -> Stored:
        """Publish one message and return the broker's acknowledgement: it is on disk.

        Raises:
            BrokerRefused: the broker says no (a full stream, a full disk), at once.
            BrokerUnavailable: no acknowledgement within ``nats_publish_timeout_s``.
        """
        told = {**(headers or {}), "Nats-Msg-Id": msg_id, "Nats-Expected-Stream": stream}
        timeout_s = self._settings.nats_publish_timeout_s
        return await self._publisher.publish(subject, payload, told, timeout_s)

    @property
    def publishing_count(self) -> int:
        """Publishes that the broker has not answered yet."""
        return self._publisher.waiting_count

    async def publish_all(self, messages: list[OutboundMessage], stream: str) -> None:
        """Publish messages that belong together; returns when all are on disk.

        Several go out as one atomic batch with one acknowledgement. If the broker refuses the
        batch (an id in it was seen before, or it cannot do batches) they go one by one.

        Raises:
            BrokerUnavailable: some may be stored, some not; publish all again with the same ids.
        """
        for start in range(0, len(messages), _ATOMIC_MESSAGES_MAX):
            part = messages[start : start + _ATOMIC_MESSAGES_MAX]
            if len(part) > 1 and await self._publish_atomic(part, stream):
                continue
            for message in part:
                await self.publish(
                    message.subject,
                    message.payload,
                    msg_id=message.msg_id,
                    stream=stream,
                    headers=message.headers,
                )

    async def _publish_atomic(self, messages: list[OutboundMessage], stream: str) -> bool:
        """Return whether the broker took the batch as a whole."""
        # A new id for each try: a slow publisher and a sweeper must not meet under one.
        batch_id = uuid.uuid4().hex
        last = len(messages)
        try:
            async with asyncio.timeout(self._settings.nats_publish_timeout_s):
                for number, message in enumerate(messages, 1):
                    headers = {
                        **message.headers,
                        "Nats-Msg-Id": message.msg_id,
                        "Nats-Expected-Stream": stream,
                        "Nats-Batch-Id": batch_id,
                        "Nats-Batch-Sequence": str(number),
                    }
                    if number < last:
                        await self.client.publish(message.subject, message.payload, headers=headers)
                        continue
                    headers["Nats-Batch-Commit"] = "1"
                    reply = await self.client.request(
                        message.subject,
                        message.payload,
                        headers=headers,
                        timeout=self._settings.nats_publish_timeout_s,
                    )
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
        try:
            stored(reply)
        except BrokerRefused as refusal:
            if refusal.code >= _BROKER_TROUBLE:
                raise  # full, or broken: one by one they would meet the same
            _log.info("atomic_batch.refused", error=str(refusal))
            return False
        return True

    async def _watch(self) -> None:
        """Notice a connection that only looks alive: the client's read loop can die silently."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            try:
                await asyncio.wait_for(self.client.rtt(), _RTT_LIMIT_S)
                self._healthy = True
            except Exception as error:
                if self._healthy:
                    _log.warning("broker.silent", error=type(error).__name__)
                self._healthy = False
                if self.client.is_connected:
                    await self._force_reconnect()

    async def _force_reconnect(self) -> None:
        try:
            await asyncio.wait_for(self.client.force_reconnect(), _RTT_LIMIT_S)
        except Exception as error:
            _log.warning("broker.reconnect_failed", error=type(error).__name__)

    async def _say_error(self, error: Exception) -> None:
        _log.debug("broker.error", error=f"{type(error).__name__}: {error}")

    async def _say_disconnected(self) -> None:
        # What is under way gets no answer any more; whoever waits for it need not wait on.
        self._publisher.give_up("the connection broke")
        _log.warning("broker.disconnected")

    async def _say_reconnected(self) -> None:
        _log.info("broker.reconnected")
        self._healthy = True
        for callback in self.on_reconnect:
            callback()

    async def close(self) -> None:
        """Flush and close. Never ``drain()``: with pull subscriptions it waits for its time-out."""
        if self._watching is not None:
            self._watching.cancel()
        try:
            if self.client.is_connected:
                await asyncio.wait_for(self.client.flush(), 2)
            await asyncio.wait_for(self.client.close(), 2)
        except Exception as error:
            _log.warning("broker.close_failed", error=type(error).__name__)
