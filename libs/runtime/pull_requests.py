"""Keeps pull requests to a durable consumer under way, whatever becomes of the connection.

Own requests on own inboxes instead of the client's ``fetch``: four times cheaper a message, and a
request that the broker forgot (restart, half-open connection) is noticed and sent again.
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

from libs.runtime import logs
from libs.runtime.broker import Broker

_log = logs.get_logger()

_PULL_MESSAGES = 256
_PULL_EXPIRES_S = 10.0
_HEARTBEAT_S = 2.0
# Two missed heartbeats and a bit: the request is lost.
_SILENCE_MAX_S = 5.0
_SLOTS = 2
_WATCH_EVERY_S = 1.0
_GIVE_BACK_S = 2.0


@dataclass(slots=True)
class _Slot:
    """One pull request under way, on an inbox of its own."""

    subscription: Subscription | None = None
    left: Subscription | None = None
    inbox: str = ""
    remaining: int = 0
    touched: float = 0.0


class PullRequests:
    """What the broker sends on request, in order of arrival."""

    def __init__(
        self, broker: Broker, *, stream: str, durable: str, waiting_max: int, bytes_max: int
    ) -> None:
        """Build it; no new request goes out while ``waiting_max`` messages wait to be taken.

        One request asks for ``bytes_max`` bytes at most.
        """
        self._client = broker.client
        self._on_reconnect = broker.on_reconnect
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._durable = durable
        self._waiting_max = waiting_max
        self._bytes_max = bytes_max
        self._slots = [_Slot() for _ in range(_SLOTS)]
        self._waiting: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        # Set when nobody answers for the consumer: it, or its stream, may be gone.
        self.missing = asyncio.Event()
        self._closed = False
        self._paused = False
        self._watchdog: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start to ask."""
        self._on_reconnect.append(self.ask_again)
        self._watchdog = asyncio.create_task(self._watch(), name=f"{self._durable}_pull_watchdog")
        await self.ask_where_idle()

    async def wait(self) -> None:
        """Return when something may have arrived, or after ``wake``."""
        if not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()

    def wake(self) -> None:
        """End a ``wait``, and ask no more."""
        self._closed = True
        self._arrived.set()

    def take(self, messages_max: int, bytes_max: int) -> list[Msg]:
        """Return what has arrived, up to the limits; a message may pass the limit of bytes."""
        batch: list[Msg] = []
        size = 0
        while self._waiting and len(batch) < messages_max and size < bytes_max:
            message = self._waiting.popleft()
            size += len(message.data)
            batch.append(message)
        return batch

    def waiting(self) -> list[Msg]:
        """Return what has arrived and was not taken."""
        return list(self._waiting)

    async def close(self) -> list[Msg]:
        """Stop asking; return what arrived and was not taken, to be given back.

        Without that, other replicas would get it only after the consumer's ``ack_wait``.
        """
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._on_reconnect.remove(self.ask_again)
        return await self._withdraw()

    async def pause(self) -> list[Msg]:
        """Take back all requests until ``resume``; return what arrived and was not taken."""
        self._paused = True
        return await self._withdraw()

    async def resume(self) -> None:
        """Ask again."""
        self._paused = False
        await self.ask_where_idle()

    async def _withdraw(self) -> list[Msg]:
        for slot in self._slots:
            subscription, slot.subscription, slot.remaining = slot.subscription, None, 0
            if subscription is not None and self._client.is_connected:
                try:
                    # Drained, not just left: what the broker has sent already comes in first.
                    draining = subscription.drain()  # type: ignore[no-untyped-call]
                    await asyncio.wait_for(draining, _GIVE_BACK_S)
                except (nats.errors.Error, OSError, TimeoutError) as error:
                    _log.debug("pull.abandoned", consumer=self._durable, error=str(error))
        rest = list(self._waiting)
        self._waiting.clear()
        return rest

    async def ask_where_idle(self) -> None:
        """Keep requests under way, unless enough is waiting already."""
        now = time.monotonic()
        for slot in self._slots:
            if self._closed or self._paused or len(self._waiting) > self._waiting_max:
                return
            if slot.remaining > 0 and now - slot.touched < _SILENCE_MAX_S:
                continue
            try:
                await self._ask(slot, is_fresh=slot.remaining == 0)
            except (nats.errors.Error, OSError) as error:
                _log.debug("pull.failed", consumer=self._durable, error=str(error))
                slot.remaining = 0

    async def _ask(self, slot: _Slot, *, is_fresh: bool) -> None:
        """Send a request. One that went silent gets a new inbox: late answers to the old one must
        not be counted against the new request."""
        # Said first: whoever looks at the slot while we wait must find it taken.
        slot.remaining = _PULL_MESSAGES
        slot.touched = time.monotonic()
        if slot.subscription is None or not is_fresh:
            if slot.left is not None:
                await slot.left.unsubscribe()
            if slot.subscription is not None:
                _log.info("pull.repeated", consumer=self._durable)
            # The old inbox stays open until the next change: what is on its way still comes in.
            slot.left, slot.inbox = slot.subscription, self._client.new_inbox()
            slot.subscription = await self._client.subscribe(
                slot.inbox,
                cb=self._receiver(slot, slot.inbox),
                pending_msgs_limit=100_000,
                pending_bytes_limit=512 * 1024 * 1024,
            )
        request = {
            "batch": _PULL_MESSAGES,
            "max_bytes": self._bytes_max,
            "expires": int(_PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        await self._client.publish(self._subject, json.dumps(request).encode(), reply=slot.inbox)

    def _receiver(self, slot: _Slot, inbox: str) -> Callable[[Msg], Awaitable[None]]:
        async def received(message: Msg) -> None:
            if slot.inbox == inbox:
                self._receive(slot, message)
            elif (message.headers or {}).get("Status") is None:
                self._waiting.append(message)
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
                self.missing.set()
                return
            why = (message.headers or {}).get("Description", "")
            if status == "409" and "MaxBytes" not in why:
                # The consumer is gone, or moves. (Full of the bytes asked for is a plain end.)
                _log.info("pull.refused", consumer=self._durable, why=why)
                self.missing.set()
                return
        else:
            slot.remaining -= 1
            self._waiting.append(message)
        self._arrived.set()
        if slot.remaining <= 0:
            asyncio.get_running_loop().create_task(self.ask_where_idle())

    def ask_again(self) -> None:
        """Send all requests again: the broker, or another consumer, has forgotten them."""
        for slot in self._slots:
            slot.touched = 0.0
        asyncio.get_running_loop().create_task(self.ask_where_idle())

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
            if self._client.is_connected:
                await self.ask_where_idle()
