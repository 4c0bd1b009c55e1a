"""Pulls from a durable consumer that several replicas share, and acts on typed verdicts.

Own pull requests on own inboxes instead of the client's ``fetch``: four times cheaper a message,
and a request that the broker forgot (restart, half-open connection) is noticed and sent again.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs
from libs.runtime.broker import Broker
from libs.runtime.database import DatabaseUnavailable

_log = logs.get_logger()

_PULL_MESSAGES = 256
_PULL_EXPIRES_S = 10.0
_HEARTBEAT_S = 2.0
# Two missed heartbeats and a bit: the request is lost.
_SILENCE_MAX_S = 5.0
_SLOTS = 2
_WATCH_EVERY_S = 1.0
_GIVE_BACK_S = 2.0
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


@dataclass(slots=True)
class _Slot:
    """One pull request under way, on an inbox of its own."""

    subscription: Subscription | None = None
    left: Subscription | None = None
    inbox: str = ""
    remaining: int = 0
    touched: float = 0.0


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
        self._queue: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._slots = [_Slot() for _ in range(_SLOTS)]
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stop``; finishes and acknowledges the batch in hand."""
        await self._ensure_consumer()
        self._broker.on_reconnect.append(self._pull_again)
        watchdog = asyncio.create_task(self._watch(), name=f"{self._durable}_pull_watchdog")
        try:
            await self._pull_where_idle()
            while not self._stopping:
                batch = self._take()
                if not batch:
                    self._arrived.clear()
                    await self._arrived.wait()
                    continue
                await self._pull_where_idle()
                await self._process(batch)
        finally:
            watchdog.cancel()
            self._broker.on_reconnect.remove(self._pull_again)
            await self._give_back()
            self._done.set()

    async def stop(self) -> None:
        """Take no more; return when the batch in hand is done. Unhandled messages come again."""
        self._stopping = True
        self._stopped.set()
        self._arrived.set()
        await self._done.wait()

    async def _give_back(self) -> None:
        """Hand what was pulled and not begun to the other replicas now, not after ``ack_wait``."""
        for slot in self._slots:
            if slot.subscription is not None and self._broker.client.is_connected:
                try:
                    # Drained, not just left: what the broker has sent already comes in first.
                    draining = slot.subscription.drain()  # type: ignore[no-untyped-call]
                    await asyncio.wait_for(draining, _GIVE_BACK_S)
                except (nats.errors.Error, OSError, TimeoutError) as error:
                    _log.debug("pull.abandoned", consumer=self._durable, error=str(error))
        waiting = [_delivery(message) for message in self._queue]
        self._queue.clear()
        await self._answer(waiting, b"-NAK")

    # -- pulling -----------------------------------------------------------------------------------

    async def _ensure_consumer(self) -> None:
        config = ConsumerConfig(
            durable_name=self._durable,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=self._ack_wait_s,
            max_deliver=-1,
            max_ack_pending=self._ack_pending_max,
        )
        while not self._stopping:
            try:
                await self._broker.jetstream.add_consumer(self._stream, config)
                return
            except (JetStreamError, nats.errors.Error, OSError) as error:
                _log.warning("consumer.unreachable", consumer=self._durable, error=str(error))
                await asyncio.sleep(0.5)

    async def _pull_where_idle(self) -> None:
        """Keep requests under way, unless enough is waiting already."""
        now = time.monotonic()
        for slot in self._slots:
            if self._stopping or len(self._queue) > 2 * self._batch_messages_max:
                return
            if slot.remaining > 0 and now - slot.touched < _SILENCE_MAX_S:
                continue
            try:
                await self._pull(slot, is_fresh=slot.remaining == 0)
            except (nats.errors.Error, OSError) as error:
                _log.debug("pull.failed", consumer=self._durable, error=str(error))
                slot.remaining = 0

    async def _pull(self, slot: _Slot, *, is_fresh: bool) -> None:
        """Send a pull request. One that went silent gets a new inbox: late answers to the old one
        must not be counted against the new request."""
        # Said first: whoever looks at the slot while we wait must find it taken.
        slot.remaining = _PULL_MESSAGES
        slot.touched = time.monotonic()
        client = self._broker.client
        if slot.subscription is None or not is_fresh:
            if slot.left is not None:
                await slot.left.unsubscribe()
            if slot.subscription is not None:
                _log.info("pull.repeated", consumer=self._durable)
            # The old inbox stays open until the next change: what is on its way still comes in.
            slot.left, slot.inbox = slot.subscription, client.new_inbox()
            slot.subscription = await client.subscribe(
                slot.inbox,
                cb=self._receiver(slot, slot.inbox),
                pending_msgs_limit=100_000,
                pending_bytes_limit=512 * 1024 * 1024,
            )
        request = {
            "batch": _PULL_MESSAGES,
            "max_bytes": self._batch_bytes_max * 2,
            "expires": int(_PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        await client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}",
            json.dumps(request).encode(),
            reply=slot.inbox,
        )

    def _receiver(self, slot: _Slot, inbox: str) -> Callable[[Msg], Awaitable[None]]:
        async def received(message: Msg) -> None:
            if slot.inbox == inbox:
                self._receive(slot, message)
            elif (message.headers or {}).get("Status") is None:
                self._queue.append(message)
                self._arrived.set()

        return received

    def _receive(self, slot: _Slot, message: Msg) -> None:
        slot.touched = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status == "100":
            return
        if status is not None:
            # 404 and 408: nothing more came in time. 409: a limit or a deleted consumer. 503: none.
            slot.remaining = 0
            if status == "503":
                # Nobody answers yet; the watchdog asks again.
                return
        else:
            slot.remaining -= 1
            self._queue.append(message)
        self._arrived.set()
        if slot.remaining <= 0:
            asyncio.get_running_loop().create_task(self._pull_where_idle())

    def _pull_again(self) -> None:
        for slot in self._slots:
            slot.touched = 0.0
        asyncio.get_running_loop().create_task(self._pull_where_idle())

    async def _watch(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            now = time.monotonic()
            if now - before > _SILENCE_MAX_S / 2:
                # It was us who slept: what came meanwhile lies unread in the socket.
                for slot in self._slots:
                    slot.touched = now
            before = now
            if self._broker.client.is_connected:
                await self._pull_where_idle()

    def _take(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while (
            self._queue and len(batch) < self._batch_messages_max and size < self._batch_bytes_max
        ):
            message = self._queue.popleft()
            size += len(message.data)
            batch.append(_delivery(message))
        return batch

    # -- verdicts ----------------------------------------------------------------------------------

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
