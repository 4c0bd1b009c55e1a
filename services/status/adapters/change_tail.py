"""The end of one tenant's changes: read once for all who watch there, kept while there is room."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from bluetick.v1.common_pb2 import MessageState

from libs.runtime import logs
from services.status.adapters.change_reader import ChangeReader, Stored
from services.status.watch_changes import Batch

_log = logs.get_logger()

# After one batch others are waited for that long, so that many changes cost each reader one answer.
_LINGER_S: Final = 0.02
# Of many who wait for one change so many are told together, then others have their turn, here and
# in the gateway: an answer costs either a quarter of a millisecond.
_WOKEN_TOGETHER: Final = 8
_TURN_S: Final = 0.004


class Tail:
    """Changes from ``seq`` on. Runs as a task of its own while somebody watches."""

    def __init__(
        self,
        reader: ChangeReader,
        seq: int,
        *,
        last_seen: Callable[[], int],
        bytes_max: Callable[[], int],
    ) -> None:
        """Build it.

        Args:
            reader: reads what follows ``seq``, itself included.
            seq: the first sequence that it covers.
            last_seen: the last sequence that the stream is known to have had.
            bytes_max: what may be kept at the moment.
        """
        self.reader = reader
        self._last_seen = last_seen
        self._bytes_max = bytes_max
        self.covered_from = seq  # what is here begins with this sequence
        self.seq = seq  # the first one not yet passed
        self.users = 0
        self.fault: Exception | None = None
        self._batches: deque[Batch] = deque()
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled. What ends it otherwise is told to everybody who watches."""
        seen = 0
        # Beside the reading, which must not wait until many have been told.
        telling = asyncio.create_task(self._tell(), name="tail_telling")
        try:
            while True:
                if not self.reader.is_asking:
                    # Older than the question: what the broker then does not have is not there.
                    seen = self._last_seen()
                stored = await self.reader.next()
                self._keep(stored)
                self.seq = max(self.seq, self.reader.seq + 1, 0 if stored else seen + 1)
                if stored:
                    self._news.set()
                    await asyncio.sleep(_LINGER_S)
        except Exception as error:
            self.fail(error)
        finally:
            telling.cancel()
            await self.reader.close()

    def lose(self) -> None:
        """The connection is another one."""
        self.reader.lose()

    def fail(self, fault: Exception) -> None:
        """End all who watch."""
        self.fault = self.fault or fault
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def after(self, seq: int, bytes_max: int) -> list[Batch]:
        """Return batches from ``seq`` on, some at most; one at least if there is any."""
        found: list[Batch] = []
        size = 0
        for batch in reversed(self._batches):
            if batch.seq < seq:
                break
            found.append(batch)
        found.reverse()
        for count, batch in enumerate(found):
            size += batch.size
            if count and size > bytes_max:
                return found[:count]
        return found

    def has(self, seq: int) -> bool:
        """Return whether anything from ``seq`` on is here."""
        return bool(self._batches) and self._batches[-1].seq >= seq

    async def wait(self, seconds: float) -> None:
        """Return when there is news, or after some time."""
        news = asyncio.get_running_loop().create_future()
        self._waiting.add(news)
        try:
            await asyncio.wait((news,), timeout=seconds)
        finally:
            self._waiting.discard(news)

    def _keep(self, stored: list[Stored]) -> None:
        for one in stored:
            batch = batch_of(one)
            self._batches.append(batch)
            self._bytes += batch.size
        most = self._bytes_max()
        while self._bytes > most and len(self._batches) > 1:
            gone = self._batches.popleft()
            self._bytes -= gone.size
            self.covered_from = gone.seq + 1

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for count, news in enumerate(tuple(self._waiting), 1):
                if not news.done():
                    news.set_result(None)
                if not count % _WOKEN_TOGETHER:
                    await asyncio.sleep(_TURN_S)


def batch_of(stored: Stored) -> Batch:
    """Return what the stream holds, not decoded yet."""
    name = f"MESSAGE_STATE_{stored.state.upper()}"
    state = MessageState.Value(name) if name in MessageState.keys() else 0  # noqa: SIM118
    return Batch(stored.seq, state, stored.data)
