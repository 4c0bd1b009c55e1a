"""The durable consumer on the broker: made where it is missing, and made again when it vanishes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from libs.runtime import logs, measures
from libs.runtime.broker import Broker
from libs.runtime.verdicts import explained

_log = logs.get_logger()

_LOOK_EVERY_S: Final = 2.0
_RETRY_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
# Looks that fail before it is said; one may get lost with a reconnect.
_FAILED_LOOKS_MAX: Final = 2

# Returns the first sequence that a consumer has to give; 1: all that the stream has.
Start = Callable[[], Awaitable[int]]


class Durable:
    """One consumer of one stream, shared by all replicas."""

    def __init__(
        self,
        broker: Broker,
        *,
        stream: str,
        name: str,
        ack_wait_s: float,
        ack_pending_max: int,
        start: Start | None,
        found_again: Callable[[], None],
    ) -> None:
        """Build it; ``found_again`` is called after it was made again."""
        self._jetstream = broker.jetstream
        self._stream = stream
        self._name = name
        self._ack_wait_s = ack_wait_s
        self._ack_pending_max = ack_pending_max
        self._start = start
        self._found_again = found_again
        self.fault = "its consumer is not made yet"

    async def made(self, stopped: asyncio.Event) -> None:
        """Return when it is there as wanted, or ``stopped``."""
        tries = 0
        while not stopped.is_set():
            try:
                await self._make()
                self.fault = ""
                return
            except Exception as error:
                # The stream may be missing (it is made again, too), the broker away, or a setting
                # refused: each is said, and none is taken for another.
                self._blame(f"consumer {self._name} of {self._stream}: {explained(error)}")
            await _sleep(stopped, _RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1

    async def keep(self, stopped: asyncio.Event, missing: asyncio.Event) -> None:
        """Look at it again and again, at once when ``missing`` is set, until ``stopped``."""
        failed_looks = 0
        while not stopped.is_set():
            await _sleep(missing, _LOOK_EVERY_S)
            missing.clear()
            try:
                self._measure(await self._jetstream.consumer_info(self._stream, self._name))
            except NotFoundError:
                _log.warning("consumer.vanished", consumer=self._name, stream=self._stream)
                await self.made(stopped)
                self._found_again()
            except (JetStreamError, nats.errors.Error, OSError) as error:
                failed_looks += 1
                if failed_looks >= _FAILED_LOOKS_MAX:
                    self._blame(f"consumer {self._name} of {self._stream}: {explained(error)}")
                continue
            failed_looks = 0
            self.fault = ""

    async def _make(self) -> None:
        try:
            found = await self._jetstream.consumer_info(self._stream, self._name)
        except NotFoundError:
            await self._jetstream.add_consumer(self._stream, await self._wanted())
            measures.CONSUMER_MADE.labels(self._name).inc()
            _log.info("consumer.made", consumer=self._name, stream=self._stream)
            return
        config = found.config
        if (config.ack_wait, config.max_ack_pending) != (self._ack_wait_s, self._ack_pending_max):
            # Where it began cannot be changed, and need not be.
            config.ack_wait, config.max_ack_pending = self._ack_wait_s, self._ack_pending_max
            await self._jetstream.add_consumer(self._stream, config)
            _log.info("consumer.changed", consumer=self._name, ack_wait_s=self._ack_wait_s)

    async def _wanted(self) -> ConsumerConfig:
        start = await self._start() if self._start is not None else 1
        return ConsumerConfig(
            durable_name=self._name,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE if start > 1 else DeliverPolicy.ALL,
            opt_start_seq=start if start > 1 else None,
            ack_wait=self._ack_wait_s,
            max_deliver=-1,
            max_ack_pending=self._ack_pending_max,
        )

    def _measure(self, info: ConsumerInfo) -> None:
        measures.CONSUMER_LAG.labels(self._name).set(info.num_pending or 0)
        measures.CONSUMER_IN_HAND.labels(self._name).set(info.num_ack_pending or 0)

    def _blame(self, fault: str) -> None:
        if fault != self.fault:
            _log.warning("consumer.unreachable", why=fault)
        self.fault = fault


async def _sleep(woken: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(woken.wait(), seconds)
    except TimeoutError:
        return
