"""The way of broker messages: gathered at the broker's pace, and few under way at once."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from services.ingest.adapters.message_pieces import PieceLimits
from services.ingest.adapters.shared_message import Done, SharedMessage

Send = Callable[[SharedMessage], Coroutine[Any, Any, None]]


class MessageLane:
    """Lets pieces share messages.

    With nothing under way a message leaves at the end of the loop's turn, with all that the turn
    brought; else it gathers what comes until the broker has answered the one before. Only a full
    one, or one that was kept for ``answer_patience_s``, goes beside others.
    """

    def __init__(
        self,
        send: Send,
        pieces: PieceLimits,
        *,
        in_flight_max: int,
        answer_patience_s: float,
        submit_timeout_s: float,
    ) -> None:
        """Give messages to ``send``, each once, which tells everybody how it ended."""
        self._send = send
        self._pieces = pieces
        self._in_flight_max = in_flight_max
        self._answer_patience_s = answer_patience_s
        self._submit_timeout_s = submit_timeout_s
        self._open: SharedMessage | None = None
        self._timer: asyncio.Handle | None = None
        self._sealed: deque[SharedMessage] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self.byte_count = 0  # of all that waits or is under way

    @property
    def is_sending(self) -> bool:
        """Whether a message is under way."""
        return bool(self._sending)

    def add(
        self,
        piece: bytes,
        event_count: int,
        loop: asyncio.AbstractEventLoop,
        done: Done | None = None,
    ) -> None:
        """Take a piece; ``done`` is told how its message ended."""
        share, limits = self._open, self._pieces
        if share is not None and (
            share.is_overdue
            or share.byte_count + len(piece) > limits.batch_bytes_max
            or share.event_count + event_count > limits.batch_events_max
        ):
            self._seal()
            share = None
        if share is None:
            share = self._open = SharedMessage(loop, self._submit_timeout_s)
            if self._sending:
                self._timer = loop.call_later(self._answer_patience_s, self._seal)
            else:
                self._timer = loop.call_soon(self._seal)
        share.add(piece, event_count)
        self.byte_count += len(piece)
        if done is not None:
            share.waiting.append(done)

    async def close(self) -> None:
        """Send what waits and return; bounded by the broker's own time-outs."""
        self._seal()
        while self._sending or self._sealed:
            await asyncio.gather(*self._sending, return_exceptions=True)
            await asyncio.sleep(0)

    def _seal(self) -> None:
        """Close the open share and send it, or let it queue for its turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._open is not None:
            self._sealed.append(self._open)
            self._open = None
        self._send_next()

    def _send_next(self) -> None:
        while self._sealed and len(self._sending) < self._in_flight_max:
            share = self._sealed.popleft()
            if share.is_overdue:
                self.byte_count -= share.byte_count
                continue
            task = asyncio.get_running_loop().create_task(self._send_one(share))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    async def _send_one(self, share: SharedMessage) -> None:
        try:
            await self._send(share)
        finally:
            self.byte_count -= share.byte_count

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if self._sealed:
            self._send_next()
        elif self._open is not None and not self._sending:
            self._seal()
