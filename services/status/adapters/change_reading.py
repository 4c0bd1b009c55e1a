"""One caller's way through its tenant's changes: alone where it is behind, then with all others."""

import asyncio
from collections import deque
from typing import Final, Protocol

from libs.runtime.outages import Outage
from services.status.adapters.change_reader import ChangeReader, Stored
from services.status.adapters.change_tail import Tail, batch_of
from services.status.watch_changes import Batch, Look, expired

# Bytes of the stream that one reading takes before others have a turn.
_TAKEN_BYTES_MAX: Final = 256 * 1024
# What has come is given also to who does not wait.
_MOMENT_S: Final = 0.05
_RETRY_S: Final = 0.5


class Source(Protocol):
    """What a reading needs of the feed."""

    async def look(self) -> Look:
        """Look at the stream now."""

    def until_us(self, seq: int) -> int:
        """Return up to when everything is before ``seq``; 0: not known."""

    def catch_up(self, tenant_id: str, stream_id: int, seq: int) -> ChangeReader:
        """Return a reader of what begins with ``seq``."""

    async def forget(self, reader: ChangeReader) -> None:
        """Close a reader."""


class ChangeReading:
    """``watch_changes.Reading``."""

    def __init__(
        self, source: Source, tail: Tail, tenant_id: str, stream_id: int, seq: int
    ) -> None:
        """Begin with ``seq``."""
        self._source = source
        self._tail = tail
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self.seq = seq
        self._reader: ChangeReader | None = None
        self._goal = 0  # where the tail began before the reader was made
        self._fetching: asyncio.Task[list[Stored]] | None = None
        self._read: deque[Batch] = deque()

    @property
    def until_us(self) -> int:
        """See ``Reading``."""
        return self._source.until_us(self.seq)

    async def next(self, wait_s: float) -> list[Batch]:
        """See ``Reading``."""
        if self._tail.fault is not None:
            raise self._tail.fault
        if self._read or self.seq < self._tail.covered_from:
            return await self._catch_up(wait_s)
        return await self._follow(wait_s)

    async def close(self) -> None:
        """Give up what is under way."""
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()
            await asyncio.wait((fetching,))
        await self._leave()

    async def _follow(self, wait_s: float) -> list[Batch]:
        tail = self._tail
        if wait_s and not tail.has(self.seq):
            self.seq = max(self.seq, tail.seq)
            await tail.wait(wait_s)
            if tail.fault is not None:
                raise tail.fault
            if self.seq < tail.covered_from:
                return []  # it came, and went, while we did not look
        found = tail.after(self.seq, _TAKEN_BYTES_MAX)
        if found:
            self.seq = found[-1].seq + 1
        if not tail.has(self.seq):
            self.seq = max(self.seq, tail.seq)
        return found

    async def _catch_up(self, wait_s: float) -> list[Batch]:
        if not self._read and not await self._fetched(max(wait_s, _MOMENT_S)):
            return []
        found: list[Batch] = []
        size = 0
        while self._read and size < _TAKEN_BYTES_MAX:
            found.append(self._read.popleft())
            size += found[-1].size
        if found:
            self.seq = found[-1].seq + 1
        if not self._read and self._reader is not None and not self._reader.pending:
            # The broker had nothing more when it gave that, and the tail had begun by then.
            self.seq = max(self.seq, self._goal)
            await self._leave()
        # What comes may be a week of changes; others are next.
        await asyncio.sleep(0)
        return found

    async def _fetched(self, wait_s: float) -> bool:
        """Return whether a fetch has ended; one that has not goes on, and nothing of it is lost."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="watch_catch_up")
        done, _ = await asyncio.wait((self._fetching,), timeout=wait_s)
        if not done:
            return False
        fetching, self._fetching = self._fetching, None
        self._read.extend(map(batch_of, fetching.result()))
        return True

    async def _fetch(self) -> list[Stored]:
        if self._reader is None:
            self._goal = self._tail.covered_from
            self._reader = self._source.catch_up(self._tenant_id, self._stream_id, self.seq)
        await self._reader.open()
        stored = await self._reader.next() if self._reader.pending else []
        # Afterwards: if the stream begins before our place even now, nothing went from under us.
        look = await self._look()
        if look.first_seq > self.seq:
            raise expired(look, "CURSOR_EXPIRED", "The stream no longer has what comes next")
        return stored

    async def _look(self) -> Look:
        while True:
            try:
                return await self._source.look()
            except Outage:
                # What was read is given only once it is known to be whole.
                await asyncio.sleep(_RETRY_S)

    async def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await self._source.forget(reader)
