"""The stream of changes for all who watch in this process: read once a tenant, given to many.

A connection of its own: what watchers read never waits before, or behind, what status works on.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import msgspec
import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from libs.runtime import logs
from libs.runtime.broker import CHANGES_STREAM, Broker, BrokerUnavailable
from libs.runtime.clock import Clock
from libs.runtime.outages import Outage
from libs.runtime.progress import Progress
from services.status import measures
from services.status.adapters.change_reader import ChangeReader
from services.status.adapters.change_reading import ChangeReading
from services.status.adapters.change_tail import Tail
from services.status.answer_progress import Flow, answer_progress
from services.status.watch_changes import Look, made_anew

_log = logs.get_logger()

_LOOK_EVERY_S: Final = 5.0
# As long as nobody watches, no more happens that often than finding that out.
_IDLE_S: Final = 0.5
_LOOK_TIMEOUT_S: Final = 3.0
# Messages that the broker is asked for at once: at the end of the stream, and behind it.
_TAIL_MESSAGES: Final = 64
_CATCH_UP_MESSAGES: Final = 4
_TAIL_BYTES_MIN: Final = 64 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _State(msgspec.Struct):
    first_seq: int
    last_seq: int
    messages: int
    first_ts: datetime


class _Info(msgspec.Struct):
    created: datetime | None = None
    state: _State | None = None


_decode = msgspec.json.Decoder(_Info).decode


class ChangeFeed:
    """``watch_changes.Feed`` on JetStream."""

    def __init__(self, broker: Broker, flow: Flow, clock: Clock, *, kept_bytes_max: int) -> None:
        """Build it.

        Args:
            broker: a connection of its own.
            flow: how far the flow has come.
            clock: for that.
            kept_bytes_max: bytes of the stream's end that are kept for those who watch there.
        """
        self._broker = broker
        self._flow = flow
        self._clock = clock
        self._kept_bytes_max = kept_bytes_max
        self._tails: dict[str, Tail] = {}
        self._tasks: dict[Tail, asyncio.Task[None]] = {}
        self._stream_id = 0
        self._last_seq = 0  # the highest that a look has seen
        self._seen_time = 0.0  # when that look was over
        self._progress: deque[Progress] = deque(maxlen=4)
        self._readers: set[ChangeReader] = set()
        broker.on_reconnect.append(self._reconnected)

    async def look(self) -> Look:
        """Ask the stream."""
        subject = f"$JS.API.STREAM.INFO.{CHANGES_STREAM}"
        start = monotonic()
        try:
            answer = await self._broker.client.request(subject, b"", timeout=_LOOK_TIMEOUT_S)
            info = _decode(answer.data)
        except (nats.errors.Error, OSError, msgspec.MsgspecError, TimeoutError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
        if info.created is None or info.state is None:
            raise BrokerUnavailable("the stream of changes does not answer")
        state = info.state
        look = Look(
            stream_id=_us(info.created),
            first_seq=state.first_seq if state.messages else state.last_seq + 1,
            last_seq=state.last_seq,
            first_time_us=_us(state.first_ts) if state.messages else 0,
        )
        # Of looks that ran at once, the one that ends last may have seen less.
        is_set_back = look.last_seq < self._last_seq and start > self._seen_time
        if look.stream_id != self._stream_id or is_set_back:
            self._begin(look)
        if look.last_seq >= self._last_seq:
            self._last_seq, self._seen_time = look.last_seq, monotonic()
        return look

    async def seq_at(self, time_us: int) -> int:
        """Have the broker find it, as where a consumer would begin."""
        name = f"watch-{uuid.uuid4().hex}"
        jetstream = self._broker.jetstream
        try:
            info = await jetstream.add_consumer(
                CHANGES_STREAM,
                ConsumerConfig(
                    name=name,
                    deliver_policy=DeliverPolicy.BY_START_TIME,
                    opt_start_time=_EPOCH + timedelta(microseconds=time_us),
                    ack_policy=AckPolicy.NONE,
                    mem_storage=True,
                    num_replicas=1,
                    inactive_threshold=5.0,
                ),
            )
            await jetstream.delete_consumer(CHANGES_STREAM, name)
        except (JetStreamError, nats.errors.Error, OSError) as error:
            raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
        return (info.delivered.stream_seq or 0) + 1 if info.delivered else 1

    @asynccontextmanager
    async def reading(
        self, tenant_id: str, stream_id: int, seq: int
    ) -> AsyncIterator[ChangeReading]:
        """Join the tenant's tail, or begin it."""
        tail = self._tails.get(tenant_id)
        if tail is None or tail.fault is not None:
            tail = self._tail(tenant_id, stream_id)
        tail.users += 1
        measures.WATCHES.inc()
        reading = ChangeReading(self, tail, tenant_id, stream_id, seq)
        try:
            yield reading
        finally:
            measures.WATCHES.dec()
            tail.users -= 1
            await reading.close()
            if not tail.users:
                await self._end(tenant_id, tail)

    async def keep_looking(self, stopping: asyncio.Event) -> None:
        """Look at the stream, and ask how far the flow has come, while somebody watches."""
        while not stopping.is_set():
            if self._tails:
                try:
                    await self.look()
                    self._progress.appendleft(await answer_progress(self._flow, self._clock))
                except (JetStreamError, nats.errors.Error, Outage, OSError) as error:
                    _log.debug("changes.unseen", error=type(error).__name__)
            pause_s = _LOOK_EVERY_S if self._tails else _IDLE_S
            try:
                await asyncio.wait_for(stopping.wait(), pause_s)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """End what runs."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def until_us(self, seq: int) -> int:
        """Return up to when everything is before ``seq``; 0: not known."""
        for progress in self._progress:
            if progress.changes_seq < seq:
                return progress.complete_until_us
        return 0

    def catch_up(self, tenant_id: str, stream_id: int, seq: int) -> ChangeReader:
        """Return a reader for one who is behind the tail; ``forget`` it at the end."""
        return self._reader(tenant_id, stream_id, seq, _CATCH_UP_MESSAGES)

    def _reader(self, tenant_id: str, stream_id: int, seq: int, messages_max: int) -> ChangeReader:

        async def check() -> None:
            look = await self.look()
            if look.stream_id != stream_id or reader.seq > look.last_seq:
                raise made_anew(look)

        reader = ChangeReader(self._broker, tenant_id, seq - 1, check, messages_max=messages_max)
        self._readers.add(reader)
        return reader

    async def forget(self, reader: ChangeReader) -> None:
        """Close a reader."""
        self._readers.discard(reader)
        await reader.close()

    def _tail(self, tenant_id: str, stream_id: int) -> Tail:
        seq = self._last_seq + 1
        tail = Tail(
            self._reader(tenant_id, stream_id, seq, _TAIL_MESSAGES),
            seq,
            last_seen=lambda: self._last_seq,
            bytes_max=lambda: max(_TAIL_BYTES_MIN, self._kept_bytes_max // len(self._tasks)),
        )
        self._tails[tenant_id] = tail
        self._tasks[tail] = asyncio.create_task(tail.run(), name=f"tail_{tenant_id}")
        return tail

    async def _end(self, tenant_id: str, tail: Tail) -> None:
        if self._tails.get(tenant_id) is tail:
            del self._tails[tenant_id]
        self._readers.discard(tail.reader)
        task = self._tasks.pop(tail, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _begin(self, look: Look) -> None:
        """Another stream than before: nobody's place is in it."""
        tails, self._tails = self._tails, {}
        for tail in tails.values():
            tail.fail(made_anew(look))
        self._stream_id, self._last_seq = look.stream_id, look.last_seq
        self._progress.clear()

    def _reconnected(self) -> None:
        for reader in self._readers:
            reader.lose()


def _us(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
