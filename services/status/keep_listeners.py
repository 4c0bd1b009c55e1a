"""Keeps the consumers of other teams: made where they are missing, as the file says."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from libs.runtime import logs
from libs.runtime.listeners import Listener
from libs.runtime.outages import Outage
from services.status.log_events import LogEvent

_log = logs.get_logger()
_LOOK_EVERY_S: Final = 10.0


class Consumers(Protocol):
    """The consumers on the broker."""

    async def ensure(self, listener: Listener) -> bool:
        """Return whether the listener's consumer had to be made.

        Raises:
            Outage: the broker does not answer, or refuses.
        """


async def keep_listeners(
    consumers: Consumers, listeners: Sequence[Listener], stopping: asyncio.Event
) -> None:
    """Look after them until ``stopping``; one that cannot be made delays no other."""
    while not stopping.is_set():
        for listener in listeners:
            try:
                if await consumers.ensure(listener):
                    made: LogEvent = "listener.made"
                    _log.info(made, listener=listener.name, tenant=listener.tenant)
            except Outage as error:
                failed: LogEvent = "listener.unmade"
                _log.warning(failed, listener=listener.name, error=str(error)[:200])
        try:
            await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_S)
        except TimeoutError:
            continue
