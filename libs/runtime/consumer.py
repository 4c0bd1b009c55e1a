"""Handles what a durable consumer gives, and acts on verdicts. Replicas share a consumer."""

import asyncio
from collections.abc import Sequence
from time import monotonic, time

import nats.errors

from libs.runtime import logs, measures
from libs.runtime.broker import Broker, BrokerUnavailable
from libs.runtime.delivery import Delivery, Handle, Refused, delivery_of
from libs.runtime.durable import Durable, Start
from libs.runtime.in_progress import InProgress
from libs.runtime.isolation import Isolation, Stopped
from libs.runtime.pull_requests import PullRequests
from libs.runtime.set_aside import SetAside
from libs.runtime.sizes import pull_bytes_max
from libs.runtime.suspects import Suspects
from libs.runtime.verdicts import TryAgain, Unprocessable, Verdict, explained, rule_of

__all__ = ["Delivery", "Handle", "PullConsumer", "Refused", "TryAgain", "Unprocessable"]

_log = logs.get_logger()

# Growing pauses after a fault of ours; the last one repeats, so that work goes on soon after the
# cause has gone.
_PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 5.0)
# A replica that got nothing for so long after a fault knows of none any more: another may have done
# the work meanwhile.
_QUIET_S = 5.0
# So many messages set aside without one that passes are a fault of ours, whatever they say.
_SET_ASIDE_IN_A_ROW_MAX = 100


class PullConsumer:
    """Gives batches to ``handle``, several at once; each is acknowledged after its call returned.

    What follows an error is the table in verdicts.py. While a replica lives, what it has in hand
    stays its own however long that takes; of a replica that was killed, others get it within
    ``ack_wait_s``.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        stream: str,
        durable: str,
        handle: Handle,
        concurrent_max: int = 1,
        batch_messages_max: int = 256,
        batch_bytes_max: int = 8 * 1024 * 1024,
        ack_wait_s: float = 4.0,
        ack_pending_max: int = 20_000,
        start: Start | None = None,
    ) -> None:
        """Build it.

        Args:
            broker: where the stream is.
            stream: its name.
            durable: name of the consumer that all replicas share; made where it is missing.
            handle: does the work of one batch, see delivery.Handle.
            concurrent_max: calls of ``handle`` at once.
            batch_messages_max: messages in one batch.
            batch_bytes_max: bytes in one batch, from which on it takes no further message.
            ack_wait_s: after which silence the broker gives a message to another replica.
            ack_pending_max: messages in the hands of all replicas together.
            start: where a consumer that is made (again) begins; None: with all there is.
        """
        self._client = broker.client
        self._name = durable
        self._handle = handle
        self._concurrent_max = concurrent_max
        self._batch_messages_max = batch_messages_max
        self._batch_bytes_max = batch_bytes_max
        self._set_aside = SetAside(broker, service=durable, stream=stream)
        self._requests = PullRequests(
            broker,
            stream=stream,
            durable=durable,
            waiting_max=2 * batch_messages_max,
            # Any message that the stream can hold must fit, or it would stop everything behind it.
            bytes_max=max(2 * batch_bytes_max, pull_bytes_max(broker.payload_bytes_max)),
        )
        self.durable = Durable(
            broker,
            stream=stream,
            name=durable,
            ack_wait_s=ack_wait_s,
            ack_pending_max=ack_pending_max,
            start=start,
            found_again=self._requests.ask_again,
        )
        self._in_progress = InProgress(broker.client, every_s=ack_wait_s / 4)
        self._suspects = Suspects()
        self._isolation = Isolation(self._try, self._suspects)
        self._set_aside_in_a_row = 0
        self._fault = ""
        self._pauses = 0
        self._paused_s = 0.0
        self._open = asyncio.Event()
        self._stopped = asyncio.Event()
        self._done = asyncio.Event()
        self._lone: asyncio.Queue[Delivery] = asyncio.Queue()

    @property
    def fault(self) -> str:
        """Why it does not work; empty while it does. For readiness."""
        return self._fault or self.durable.fault

    async def run(self) -> None:
        """Work until ``stop``; finishes and acknowledges the batches in hand."""
        missing = self._requests.missing
        beside = [
            asyncio.create_task(self.durable.keep(self._stopped, missing), name="durable"),
            asyncio.create_task(self._in_progress.run(self._waiting), name="in_progress"),
            asyncio.create_task(self._work_lone(), name="lone"),
            asyncio.create_task(self._forget_fault(), name="fault"),
        ]
        try:
            await self.durable.made(self._stopped)
            await self._requests.open()
            self._open.set()
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._concurrent_max):
                    workers.create_task(self._work())
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            rest = [delivery_of(message) for message in await self._requests.close()]
            while not self._lone.empty():
                rest.append(self._lone.get_nowait())
            await self._give_back(rest)
            self._done.set()

    async def stop(self) -> None:
        """Take no more; return when what is in hand is done. Unhandled messages come again."""
        self._stopped.set()
        self._open.set()
        self._requests.wake()
        await self._done.wait()

    def _waiting(self) -> list[str]:
        return [message.reply for message in self._requests.waiting()]

    async def _work(self) -> None:
        while not self._stopped.is_set():
            await self._open.wait()
            messages = self._requests.take(self._batch_messages_max, self._batch_bytes_max)
            if not messages:
                await self._requests.wait()
                continue
            await self._requests.ask_where_idle()
            batch = []
            for message in messages:
                delivery = delivery_of(message)
                if self._suspects.knows(delivery.stream_seq):
                    # It made others fail before; alone, it keeps nobody.
                    self._in_progress.add([delivery])
                    self._lone.put_nowait(delivery)
                else:
                    batch.append(delivery)
            if batch:
                await self._process(batch)

    async def _work_lone(self) -> None:
        while True:
            await self._open.wait()
            await self._process([await self._lone.get()])

    async def _process(self, batch: list[Delivery]) -> None:
        self._in_progress.add(batch)
        try:
            error = await self._try(batch)
            if error is None:
                return
            verdict = rule_of(error).verdict
            measures.CONSUMER_FAILURES.labels(self._name, verdict.value).inc()
            if verdict is Verdict.STOP:
                raise Stopped(error, batch)
            outcome = await self._isolation.isolate(batch, error)
            await self._give_back(outcome.given_back, delay_s=outcome.delay_s)
            try:
                await self._keep(outcome.set_aside)
            except (BrokerUnavailable, TryAgain) as failure:
                rest = [refused.delivery for refused in outcome.set_aside]
                raise Stopped(failure, rest) from failure
        except Stopped as stopped:
            await self._give_back(stopped.rest)
            await self._pause(stopped.error)
        finally:
            self._in_progress.remove(batch)

    async def _try(self, batch: list[Delivery]) -> Exception | None:
        """Handle and acknowledge; or return why nothing of the batch was done."""
        with measures.HANDLE_SECONDS.labels(self._name).time():
            try:
                refused = await self._handle(batch) or ()
                # If this fails the others are committed; handling them again changes nothing.
                await self._keep(refused)
            except Exception as error:
                return error
        if len(refused) < len(batch):
            self._passed()
        self._suspects.forget(batch)
        await self._answer(batch, b"+ACK")
        oldest_us = min(delivery.stored_time_us for delivery in batch)
        measures.BEHIND_SECONDS.labels(self._name).observe(max(0.0, time() - oldest_us / 1e6))
        return None

    async def _forget_fault(self) -> None:
        while True:
            await asyncio.sleep(_QUIET_S / 5)
            is_quiet = self._open.is_set() and self._in_progress.is_empty
            if is_quiet and monotonic() - self._paused_s > _QUIET_S:
                self._works()

    def _passed(self) -> None:
        self._suspects.passed()
        self._set_aside_in_a_row = 0
        self._works()

    def _works(self) -> None:
        self._pauses = 0
        if self._fault:
            self._fault = ""
            measures.CONSUMER_STOPPED.labels(self._name).set(0)
            _log.info("consumer.resumed", consumer=self._name)

    async def _keep(self, refused: Sequence[Refused]) -> None:
        """Keep messages for the operator, then acknowledge them.

        Raises:
            BrokerUnavailable: they cannot be kept now.
            TryAgain: so many in a row are a fault of ours.
        """
        if not refused:
            return
        in_a_row = self._set_aside_in_a_row + len(refused)
        if in_a_row > _SET_ASIDE_IN_A_ROW_MAX:
            last = refused[-1].reason
            raise TryAgain(f"{in_a_row} messages in a row would be set aside, the last for {last}")
        await self._set_aside.keep(refused)
        self._set_aside_in_a_row = in_a_row
        measures.SET_ASIDE.labels(self._name).inc(len(refused))
        for one in refused:
            seq, why = one.delivery.stream_seq, one.reason
            _log.error("message.set_aside", consumer=self._name, stream_seq=seq, reason=why)
        done = [one.delivery for one in refused]
        self._suspects.forget(done)
        await self._answer(done, b"+ACK")

    async def _pause(self, error: Exception) -> None:
        """Stop all work of this replica for a while; others get what it had."""
        if not self._open.is_set() or self._stopped.is_set():
            return  # another batch of ours met the same trouble
        self._open.clear()
        pause_s = _PAUSES_S[min(self._pauses, len(_PAUSES_S) - 1)]
        self._pauses += 1
        why = explained(error)
        if why != self._fault:
            _log.error("consumer.stopped", consumer=self._name, why=why, exc_info=error)
        self._fault = why
        measures.CONSUMER_STOPPED.labels(self._name).set(1)
        rest = await self._requests.pause()
        await self._give_back([delivery_of(message) for message in rest])
        try:
            await asyncio.wait_for(self._stopped.wait(), pause_s)
        except TimeoutError:
            await self._requests.resume()
        self._paused_s = monotonic()
        self._open.set()

    async def _give_back(self, batch: Sequence[Delivery], delay_s: float = 0.0) -> None:
        word = b'-NAK {"delay": %d}' % int(delay_s * 1e9) if delay_s else b"-NAK"
        await self._answer(batch, word)

    async def _answer(self, batch: Sequence[Delivery], word: bytes) -> None:
        """Tell the broker. A lost answer costs a redelivery, which changes nothing."""
        try:
            for delivery in batch:
                await self._client.publish(delivery.reply, word)
        except (nats.errors.Error, OSError) as error:
            _log.warning("answer.lost", consumer=self._name, error=str(error))
