"""Tells the broker that messages are still being worked on, so that it gives them to nobody else.

The time after which silence counts as death can be short then, however long the work takes.
"""

import asyncio
from collections.abc import Callable, Iterable

import nats.errors
from nats.aio.client import Client

from libs.runtime.delivery import Delivery

_WORD = b"+WPI"


class InProgress:
    """All messages of one consumer in this process that are not acknowledged yet."""

    def __init__(self, client: Client, *, every_s: float) -> None:
        self._client = client
        self._every_s = every_s
        self._replies: set[str] = set()

    def add(self, batch: Iterable[Delivery]) -> None:
        """Begin to speak for messages."""
        self._replies.update(delivery.reply for delivery in batch)

    def remove(self, batch: Iterable[Delivery]) -> None:
        """Speak for them no longer."""
        self._replies.difference_update(delivery.reply for delivery in batch)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is worked on."""
        return not self._replies

    async def run(self, waiting: Callable[[], Iterable[str]]) -> None:
        """Speak for what is worked on and for what ``waiting`` gives, until cancelled."""
        before: set[str] = set()
        while True:
            await asyncio.sleep(self._every_s)
            now = self._replies.union(waiting())
            try:
                # What came since the last look has time left; mostly that is everything.
                for reply in before & now:
                    await self._client.publish(reply, _WORD)
            except (nats.errors.Error, OSError):
                continue  # the connection heals itself; a redelivery changes nothing
            finally:
                before = now
