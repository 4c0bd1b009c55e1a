"""NATS JetStream: a connection that heals, publishing that ends, streams that never forget."""

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs
from libs.runtime.broker_checks import BrokerUnsuitable, check_durability, wait_for_port
from libs.runtime.settings import RuntimeSettings

_log = logs.get_logger()

EVENTS_STREAM = "EVENTS"
CHANGES_STREAM = "CHANGES"
# A lane only spreads load over streams at size; one lane is the default and nothing depends on it.
EVENTS_SUBJECT = "bluetick.events.v1.0"
EVENTS_SUBJECTS = "bluetick.events.v1.>"
CHANGES_SUBJECTS = "bluetick.changes.v1.>"

_ATOMIC_MESSAGES_MAX = 1_000
_WATCH_EVERY_S = 3.0
_RTT_LIMIT_S = 2.0


def changes_subject(tenant_id: str, state: str) -> str:
    """Return the subject of changes into ``state`` (lower case: ``delivered``)."""
    return f"bluetick.changes.v1.{tenant_id}.{state}"


class BrokerUnavailable(Exception):
    """The broker did not acknowledge. Whether it stored the message is unknown: send it again."""


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
        """Create the two streams if they are missing.

        Raises:
            BrokerUnsuitable: a stream of that name exists and could lose acknowledged data.
        """
        settings = self._settings
        wanted = (
            (EVENTS_STREAM, EVENTS_SUBJECTS, settings.events_retention_h),
            (CHANGES_STREAM, CHANGES_SUBJECTS, settings.changes_retention_h),
        )
        for name, subjects, retention_h in wanted:
            config = StreamConfig(
                name=name,
                subjects=[subjects],
                retention=RetentionPolicy.LIMITS,
                # A full stream must say no: with "old" it would delete what was acknowledged.
                discard=DiscardPolicy.NEW,
                storage=StorageType.FILE,
                max_age=retention_h * 3600.0,
                max_bytes=settings.stream_bytes_max,
                num_replicas=settings.nats_replicas,
                duplicate_window=120.0,
                allow_atomic=name == CHANGES_STREAM,
                allow_direct=False,
            )
            await self._ensure_stream(config)

    async def _ensure_stream(self, config: StreamConfig) -> None:
        name = config.name or ""
        while True:
            try:
                found = (await self.jetstream.stream_info(name)).config
                break
            except NotFoundError:
                try:
                    await self.jetstream.add_stream(config)
                except APIError as error:
                    # Another replica was faster; look again.
                    _log.info("stream.creation_lost", stream=name, error=str(error.description))
                    await asyncio.sleep(0.1)
            except (JetStreamError, nats.errors.Error) as error:
                _log.warning("stream.unreachable", stream=name, error=str(error))
                await asyncio.sleep(0.5)
        if found.discard != DiscardPolicy.NEW or found.retention != RetentionPolicy.LIMITS:
            raise BrokerUnsuitable(
                f"Stream {name} exists with retention {found.retention} and discard "
                f"{found.discard}; it needs limits and new, or acknowledged data may be deleted."
            )

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        msg_id: str,
        stream: str,
        headers: dict[str, str] | None = None,
    ) -> PubAck:
        """Publish one message and return the broker's acknowledgement: it is on disk.

        Raises:
            BrokerUnavailable: no acknowledgement within ``nats_publish_timeout_s``.
        """
        try:
            async with asyncio.timeout(self._settings.nats_publish_timeout_s):
                # A new dict each time: the client writes into it.
                future = await self.jetstream.publish_async(
                    subject,
                    payload,
                    stream=stream,
                    headers={**(headers or {}), "Nats-Msg-Id": msg_id},
                )
                return await future
        except (TimeoutError, nats.errors.Error, JetStreamError, OSError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error

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
        answer = json.loads(reply.data)
        if "error" in answer:
            _log.info("atomic_batch.refused", error=answer["error"].get("description", ""))
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
