"""Changes from the broker, for a listener: what it may fetch was set up for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bluetick.client.memory import Memory
from bluetick.v1.change_pb2 import MessageChanged, MessageChangedBatch

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg

_STREAM: Final = "CHANGES"
# Messages in hand: each is to be done with before the broker gives it again (30 s).
_FETCH: Final = 8
_FETCH_S: Final = 5.0
_STILL_AT_IT_S: Final = 10.0
_PAUSE_S: Final = 0.5


class Listener:
    """Follows the changes of one listener: ``async for change in listener.changes()``.

    What was given stays given when the broker knows that you are done with it: when you ask for
    what follows. Outages and restarts are waited out, and what comes again is given once.
    """

    def __init__(self, url: str, *, memory: int = 100_000) -> None:
        """Build it.

        Args:
            url: ``nats://listener:password@host:port``; the listener's name is the user.
            memory: changes that are remembered as given, so that none is given twice.

        Raises:
            ImportError: install ``bluetick-client[nats]``.
            ValueError: the URL names no user.
        """
        import nats.aio.client  # noqa: F401 says at once what is missing

        name = urlsplit(url).username
        if not name:
            raise ValueError("The URL names no listener: nats://listener:password@host:port.")
        self._url = url
        self._consumer = f"listener-{name}"
        self._memory = Memory(memory)

    async def changes(self) -> AsyncIterator[MessageChanged]:
        """Give each change once."""
        client = await self._connected()
        consumer = _Consumer(client, self._consumer)
        try:
            while True:
                for message in await consumer.fetch():
                    busy_time = time.monotonic()
                    for change in MessageChangedBatch.FromString(message.data).changes:
                        if self._memory.knows(change):
                            continue
                        yield change
                        self._memory.keep(change)
                        if time.monotonic() - busy_time > _STILL_AT_IT_S:
                            busy_time = time.monotonic()
                            await _tell(message.in_progress)
                    await _tell(message.ack)
        finally:
            await client.close()

    async def _connected(self) -> "NatsClient":
        from nats.aio.client import Client as NatsClient

        client = NatsClient()
        while True:
            try:
                await client.connect(
                    self._url,
                    name=self._consumer,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]
                    ping_interval=5,
                    max_outstanding_pings=2,
                    error_cb=_ignore,
                )
            except OSError:
                await asyncio.sleep(_PAUSE_S)  # not there yet
                continue
            return client


class _Consumer:
    """The listener's consumer, bound to again after each trouble."""

    def __init__(self, client: "NatsClient", name: str) -> None:
        self._client = client
        self._name = name
        self._bound: Any = None

    async def fetch(self) -> "list[Msg]":
        """Return messages; none if none came in time, or the broker is away."""
        from nats.errors import Error as NatsError
        from nats.js.errors import Error as JetStreamError

        try:
            if self._bound is None:
                jetstream = self._client.jetstream()
                self._bound = await jetstream.pull_subscribe_bind(self._name, stream=_STREAM)
            found: list[Msg] = await self._bound.fetch(_FETCH, timeout=_FETCH_S)
            return found
        except TimeoutError:
            return []
        except (NatsError, JetStreamError, OSError):
            # What is on its way to the old subscription comes again by itself.
            bound, self._bound = self._bound, None
            if bound is not None:
                await _tell(bound.unsubscribe)
            await asyncio.sleep(_PAUSE_S)
            return []


async def _tell(word: Any) -> None:
    """Tell the broker; if it does not hear it, it gives the message again."""
    from nats.errors import Error as NatsError

    try:
        await word()
    except (NatsError, OSError):
        return


async def _ignore(_error: Exception) -> None:
    """What goes wrong is seen where it is waited for."""
