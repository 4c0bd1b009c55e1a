"""Handles what a durable consumer gives, and acts on typed verdicts. Replicas share a consumer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs
from libs.runtime.broker import Broker
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.pull_requests import PullRequests

_log = logs.get_logger()

# After so many deliveries a message that crashes its handler is set aside.
_CRASHES_MAX = 5


class TryAgain(Exception):
    """A dependency is down. The messages are given back and come again after ``delay_s``."""

    def __init__(self, why: str, delay_s: float = 1.0) -> None:
        super().__init__(why)
        self.delay_s = delay_s


class Unprocessable(Exception):
    """No retry can help this message. It goes to quarantine, then counts as done."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One broker message."""

    data: bytes
    subject: str
    stream_seq: int
    stored_time_us: int  # when the broker stored it, microseconds since 1970
    delivery_count: int  # 1 the first time
    reply: str


Handle = Callable[[list[Delivery]], Awaitable[None]]
Quarantine = Callable[[Delivery, str], Awaitable[None]]


class PullConsumer:
    """Gives batches to ``handle`` one after another; each batch is acknowledged after it returned.

    ``handle`` returns: the batch is done. It raises ``TryAgain`` (or ``DatabaseUnavailable``): the
    batch comes again. ``Unprocessable`` or any other error: the batch is halved until the message
    at fault is alone; that one goes to ``quarantine``.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        stream: str,
        durable: str,
        handle: Handle,
        quarantine: Quarantine,
        batch_messages_max: int = 256,
        batch_bytes_max: int = 8 * 1024 * 1024,
        ack_wait_s: float = 10.0,
        ack_pending_max: int = 20_000,
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._durable = durable
        self._handle = handle
        self._quarantine = quarantine
        self._batch_messages_max = batch_messages_max
        self._batch_bytes_max = batch_bytes_max
        self._ack_wait_s = ack_wait_s
        self._ack_pending_max = ack_pending_max
        self._requests = PullRequests(
            broker,
            stream=stream,
            durable=durable,
            waiting_max=2 * batch_messages_max,
            bytes_max=2 * batch_bytes_max,
        )
        self._stopped = asyncio.Event()
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stop``; finishes and acknowledges the batch in hand."""
        try:
            await self._ensure_consumer()
            await self._requests.open()
            while not self._stopped.is_set():
                batch = self._requests.take(self._batch_messages_max, self._batch_bytes_max)
                if not batch:
                    await self._requests.wait()
                    continue
                await self._requests.ask_where_idle()
                await self._process([_delivery(message) for message in batch])
        finally:
            rest = await self._requests.close()
            await self._answer([_delivery(message) for message in rest], b"-NAK")
            self._done.set()

    async def stop(self) -> None:
        """Take no more; return when the batch in hand is done. Unhandled messages come again."""
        self._stopped.set()
        self._requests.wake()
        await self._done.wait()

    async def _ensure_consumer(self) -> None:
        config = ConsumerConfig(
            durable_name=self._durable,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=self._ack_wait_s,
            max_deliver=-1,
            max_ack_pending=self._ack_pending_max,
        )
        while not self._stopped.is_set():
            try:
                await self._broker.jetstream.add_consumer(self._stream, config)
                return
            except (JetStreamError, nats.errors.Error, OSError) as error:
                _log.warning("consumer.unreachable", consumer=self._durable, error=str(error))
                await asyncio.sleep(0.5)

    async def _process(self, batch: list[Delivery]) -> None:
        try:
            await self._handle(batch)
        except (TryAgain, DatabaseUnavailable) as verdict:
            delay_s = getattr(verdict, "delay_s", 1.0)
            _log.warning("batch.postponed", consumer=self._durable, why=str(verdict)[:200])
            await self._answer(batch, b'-NAK {"delay": %d}' % int(delay_s * 1e9))
            # No use in pulling the next batch into the same closed door.
            await self._pause(delay_s)
        except Exception as error:
            await self._isolate(batch, error)
        else:
            await self._answer(batch, b"+ACK")

    async def _isolate(self, batch: list[Delivery], error: Exception) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._process(batch[:middle])
            await self._process(batch[middle:])
            return
        delivery = batch[0]
        is_bug = not isinstance(error, Unprocessable)
        if is_bug:
            _log.error(
                "message.crashed",
                consumer=self._durable,
                stream_seq=delivery.stream_seq,
                delivery_count=delivery.delivery_count,
                exc_info=error,
            )
            if delivery.delivery_count < _CRASHES_MAX:
                await self._answer(batch, b'-NAK {"delay": %d}' % int(1e9))
                return
        reason = f"{type(error).__name__}: {error}" if is_bug else str(error)
        try:
            await self._quarantine(delivery, reason)
        except Exception as failure:
            _log.error("quarantine.failed", consumer=self._durable, error=str(failure))
            await self._answer(batch, b'-NAK {"delay": %d}' % int(1e9))
            return
        _log.error(
            "message.quarantined",
            consumer=self._durable,
            stream_seq=delivery.stream_seq,
            reason=reason[:200],
        )
        await self._answer(batch, b"+ACK")

    async def _answer(self, batch: list[Delivery], word: bytes) -> None:
        """Tell the broker. A lost answer costs a redelivery, which changes nothing."""
        try:
            for delivery in batch:
                await self._broker.client.publish(delivery.reply, word)
        except (nats.errors.Error, OSError) as error:
            _log.warning("answer.lost", consumer=self._durable, error=str(error))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return


def _delivery(message: Msg) -> Delivery:
    metadata = message.metadata
    return Delivery(
        data=message.data,
        subject=message.subject,
        stream_seq=metadata.sequence.stream,
        stored_time_us=int(metadata.timestamp.timestamp() * 1e6),
        delivery_count=metadata.num_delivered or 1,
        reply=message.reply,
    )
