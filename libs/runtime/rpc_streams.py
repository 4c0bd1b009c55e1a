"""Streams of a service that are told when the server stops, instead of being cut."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from libs.runtime.rpc_drain import Drain
from libs.runtime.rpc_errors import Unavailable

_RETRY_S = 1.0


class ServerDraining(Unavailable):
    """This server stops; another one has the rest. gRPC code: UNAVAILABLE."""

    reason = "SERVER_DRAINING"

    def __init__(self, retry_s: float = _RETRY_S) -> None:
        super().__init__(
            "This server is stopping; call again, and resume a stream after what you have.",
            retry_s=retry_s,
        )


class _Interruption:
    """Ends a stream while its handler waits for news, never in the middle of an answer."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.is_waiting = False
        self.is_asked = False

    def ask(self) -> None:
        """End the stream now, or when the answer on its way has been sent."""
        self.is_asked = True
        if self.is_waiting and self._task is not None:
            self.is_waiting = False
            self._task.cancel()

    def was_it(self) -> bool:
        """Tell whether a cancellation was ours; if so it is taken back."""
        if not self.is_asked or self._task is None:
            return False
        self._task.uncancel()
        return True


async def until_drained(
    items: AsyncGenerator[Any, None], drain: Drain
) -> AsyncGenerator[Any, None]:
    """Give ``items`` until they end, or until ``drain`` ends the stream.

    The handler that makes the items sees a cancellation, as when its caller leaves.

    Raises:
        ServerDraining: the server stops.
    """
    if drain.is_draining:
        raise ServerDraining
    interruption = _Interruption()
    ask = interruption.ask
    drain.open_stream(ask)
    try:
        while not interruption.is_asked:
            interruption.is_waiting = True
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if interruption.was_it():
                    break
                raise
            interruption.is_waiting = False
            yield item
        raise ServerDraining
    finally:
        drain.close_stream(ask)
        await items.aclose()
