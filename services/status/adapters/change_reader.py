"""Reads one tenant's changes from the stream: in order, without a gap, from any sequence on.

By a consumer of the broker's that lives in its memory and only as long as it is asked: what it was
asked last, and where it stands, is known here. Whenever there is a doubt (another connection, no
answer, a number left out), another one is made that begins where this one stood.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs
from libs.runtime.broker import CHANGES_STREAM, Broker
from libs.runtime.outages import Outage
from services.status.log_events import LogEvent

_log = logs.get_logger()

# How long the broker waits for the messages that it was asked for.
_EXPIRES_S: Final = 20.0
# Beyond that, an answer is not on its way any more.
_OVERDUE_S: Final = 3.0
# The broker forgets a consumer that nobody asks.
_FORGOTTEN_S: Final = 120.0
_RETRY_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
# Tokens of an acknowledgement's subject: $JS.ACK.<stream>.<consumer>.<tries>.<seq>.<number>
# .<time>.<pending>; with a domain and an account before the stream where there are any.
_ACK_TOKENS: Final = 9


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of the stream."""

    seq: int
    state: str  # in lower case
    data: bytes
    pending: int  # messages that the broker had behind it when it gave it


class ChangeReader:
    """Gives what follows ``after_seq``. For one task at a time."""

    def __init__(
        self,
        broker: Broker,
        tenant_id: str,
        after_seq: int,
        check: Callable[[], Awaitable[object]],
        *,
        messages_max: int,
    ) -> None:
        """Build it.

        Args:
            broker: where the stream is.
            tenant_id: whose changes.
            after_seq: they follow this sequence.
            check: awaited before each consumer is made; raises if the stream is not the one any
                more that ``after_seq`` belongs to.
        """
        self._broker = broker
        self._messages_max = messages_max
        self._subject = f"bluetick.changes.v1.{tenant_id}.>"
        self._check = check
        self.seq = after_seq  # of the last message given
        self.pending = 0  # messages behind the last one given, when the broker gave it
        self._consumer = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._arrived: list[Stored] = []
        self._news = asyncio.Event()
        self._asked = 0  # messages that the broker still owes to the last question
        self._is_lost = True
        self._number = 0  # of the last message that the consumer gave
        self._seq_heard = after_seq

    @property
    def is_asking(self) -> bool:
        """Whether the broker is being asked; what it says may be older than now."""
        return self._asked > 0

    def lose(self) -> None:
        """The connection is another one: ask anew."""
        self._is_lost = True
        self._news.set()

    async def open(self) -> None:
        """Make the consumer, so that ``pending`` is known. Waits for a broker that is away."""
        tries = 0
        while self._is_lost:
            try:
                await self._make()
            except (JetStreamError, nats.errors.Error, Outage, OSError) as error:
                event: LogEvent = "changes.unreadable"
                _log.info(event, error=f"{type(error).__name__}: {error}"[:200])
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1

    async def next(self) -> list[Stored]:
        """Return what has come, or wait for it; nothing when the broker had nothing for 20 s."""
        while True:
            if self._arrived:
                found, self._arrived = self._arrived, []
                self.seq, self.pending = found[-1].seq, found[-1].pending
                return found
            if self._is_lost:
                await self.open()
            if not self._asked and not await self._ask():
                continue
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _EXPIRES_S + _OVERDUE_S)
            except TimeoutError:
                self._is_lost = True
                continue
            if not (self._arrived or self._is_lost or self._asked):
                return []

    async def close(self) -> None:
        """Let the broker forget the consumer."""
        await self._leave()
        if not self._consumer:
            return
        try:
            jetstream = self._broker.jetstream
            await asyncio.wait_for(jetstream.delete_consumer(CHANGES_STREAM, self._consumer), 1)
        except (JetStreamError, nats.errors.Error, OSError, TimeoutError):
            return  # it forgets by itself

    async def _make(self) -> None:
        await self._check()
        await self._leave()
        self._arrived = [one for one in self._arrived if one.seq > self.seq]
        self._seq_heard = self._arrived[-1].seq if self._arrived else self.seq
        self._number = 0
        name = f"watch-{uuid.uuid4().hex}"
        info = await self._broker.jetstream.add_consumer(
            CHANGES_STREAM,
            ConsumerConfig(
                name=name,
                filter_subject=self._subject,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._seq_heard + 1,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=_FORGOTTEN_S,
            ),
        )
        self._consumer = name
        self.pending = len(self._arrived) + (info.num_pending or 0)
        self._inbox = self._broker.client.new_inbox()

        async def heard(message: Msg) -> None:
            # Not what the consumer before had still on its way.
            if self._consumer == name:
                self._hear(message)

        self._subscription = await self._broker.client.subscribe(self._inbox, cb=heard)
        self._asked = 0
        self._is_lost = False

    async def _ask(self) -> bool:
        question = {"batch": self._messages_max, "expires": int(_EXPIRES_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{CHANGES_STREAM}.{self._consumer}"
        # Said first: the answer may be here before the publish has returned.
        self._asked = self._messages_max
        try:
            await self._broker.client.publish(
                subject, json.dumps(question).encode(), reply=self._inbox
            )
        except (nats.errors.Error, OSError):
            self._is_lost = True
            await asyncio.sleep(_RETRY_S[0])
            return False
        return True

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except (nats.errors.Error, OSError):
                return

    def _hear(self, message: Msg) -> None:
        if message.headers is not None and (status := message.headers.get("Status")) is not None:
            # 404, 408: it has nothing more. Anything else: the consumer is gone, or moves.
            self._asked = 0
            self._is_lost = self._is_lost or status not in ("404", "408")
        else:
            self._take(message)
        self._news.set()

    def _take(self, message: Msg) -> None:
        seq, number, pending = position(message.reply)
        if number != self._number + 1 or seq <= self._seq_heard:
            self._is_lost = True
            return
        self._number, self._seq_heard = number, seq
        self._asked -= 1
        state = message.subject.rpartition(".")[2]
        self._arrived.append(Stored(seq, state, message.data, pending))


def position(reply: str) -> tuple[int, int, int]:
    """Return sequence in the stream, number by the consumer, and how many it has behind that."""
    tokens = reply.split(".")
    if len(tokens) > _ACK_TOKENS:
        tokens = [*tokens[:2], *tokens[4:]]
    return int(tokens[5]), int(tokens[6]), int(tokens[8])
