"""Shares the endpoints of webhooks between replicas, and works at those that are ours."""

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Final

from libs.runtime import logs
from libs.runtime.clock import Clock
from libs.runtime.outages import Outage
from libs.runtime.rpc_errors import OutOfRange
from libs.runtime.verdicts import explained
from services.status import measures
from services.status.domain.due import DAY_US
from services.status.domain.webhooks import Endpoint
from services.status.log_events import LogEvent
from services.status.send_webhooks import EndpointSender
from services.status.webhook_ports import LeaseLost, LetterStore, Sending

_log = logs.get_logger()

LEASE_S: Final = 20.0
# Endpoints taken at one look, so that replicas which start together share them.
_CLAIMS_MAX: Final = 16
# Requests at once to all endpoints that are held, more or less: each is a file that is open.
_REQUESTS_MAX: Final = 512
# A sender that failed begins again after so long.
_PAUSE_S: Final = 2.0
_FORGET_EVERY_S: Final = 60.0

# What was sent is stored before a sender ends, unless that takes longer.
_PATIENCE_S: Final = 2.0
_SETTLE_S: Final = 5.0

Key = tuple[str, str]


def new_owner() -> str:
    """Return a name for this process that no other has."""
    return uuid.uuid4().hex


class KeepWebhooks:
    """Holds leases, and a sender for each endpoint that is held."""

    def __init__(self, sending: Sending, *, look_s: float = 1.0, lease_s: float = LEASE_S) -> None:
        """Look every ``look_s``; what a killed process held is free after ``lease_s``."""
        self._sending = sending
        self._look_s = look_s
        self._lease_s = lease_s
        self._tasks: dict[Key, tuple[EndpointSender, asyncio.Task[None]]] = {}
        self._not_before: dict[Key, float] = {}
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until ``stopping``."""
        leased = 0.0
        self._ended.clear()
        try:
            while not stopping.is_set():
                now = monotonic()
                try:
                    held = await self._sending.store.lease(
                        self._sending.owner, self._lease_s, _CLAIMS_MAX
                    )
                    leased = now
                    await self._work_at(held)
                except Outage as error:
                    failed: LogEvent = "webhooks.unleased"
                    _log.warning(failed, error=str(error)[:200])
                    if now - leased > self._lease_s / 2:
                        await self._stop(list(self._tasks))  # they may be others' soon
                try:
                    await asyncio.wait_for(stopping.wait(), self._look_s)
                except TimeoutError:
                    continue
        finally:
            await self._stop(list(self._tasks))
            measures.WEBHOOK_ENDPOINTS.set(0)
            try:
                await self._sending.store.release(self._sending.owner)
            except Outage:
                pass  # they end by themselves
            finally:
                self._ended.set()

    async def settle(self) -> None:
        """Return when nothing is sent any more; whatever is under way is cut and sent again."""
        await asyncio.wait_for(self._ended.wait(), _SETTLE_S)

    async def _work_at(self, held: Iterable[Endpoint]) -> None:
        wanted = {(one.tenant_id, one.endpoint_id): one for one in held}
        await self._stop(
            [
                key
                for key, (sender, task) in self._tasks.items()
                if task.done()
                or key not in wanted
                or wanted[key].revision != sender.endpoint.revision
            ]
        )
        share = max(1, min(self._sending.concurrent_max, _REQUESTS_MAX // max(1, len(wanted))))
        for key, endpoint in wanted.items():
            if key not in self._tasks and monotonic() >= self._not_before.get(key, 0.0):
                sender = EndpointSender(self._sending, endpoint, requests_max=share)
                task = asyncio.create_task(sender.run(), name=f"webhook_{endpoint.endpoint_id}")
                self._tasks[key] = sender, task
        self._not_before = {key: at for key, at in self._not_before.items() if key in wanted}
        measures.WEBHOOK_ENDPOINTS.set(len(self._tasks))

    async def _stop(self, keys: list[Key]) -> None:
        ending = {key: self._tasks.pop(key) for key in keys}
        tasks = {key: task for key, (_, task) in ending.items()}
        await asyncio.gather(
            *(sender.end(_PATIENCE_S) for sender, task in ending.values() if not task.done())
        )
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
        for key, task in tasks.items():
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._not_before[key] = monotonic() + _PAUSE_S
                _tell(key, error)


def _tell(key: Key, error: BaseException) -> None:
    """Log why a sender ended, unless that is in the order of things."""
    causes = list(_causes(error))
    if all(isinstance(cause, LeaseLost) for cause in causes):
        return
    first = causes[0]
    if all(isinstance(cause, (LeaseLost, Outage, OutOfRange)) for cause in causes):
        interrupted: LogEvent = "webhook.interrupted"
        _log.info(interrupted, tenant=key[0], endpoint=key[1], error=type(first).__name__)
        return
    failed: LogEvent = "webhook.failed"
    why = explained(first) if isinstance(first, Exception) else type(first).__name__
    _log.error(failed, tenant=key[0], endpoint=key[1], why=why, exc_info=first)


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    else:
        yield error


async def forget_dead_letters(
    store: LetterStore, clock: Clock, days: int, stopping: asyncio.Event
) -> None:
    """Delete dead letters after ``days``, a piece at a time, until ``stopping``."""
    while not stopping.is_set():
        pause_s = _FORGET_EVERY_S
        try:
            if await store.forget_dead(clock.now_us() - days * DAY_US):
                pause_s = 1.0
        except Outage as error:
            failed: LogEvent = "webhooks.forgetting_failed"
            _log.warning(failed, error=str(error)[:200])
        try:
            await asyncio.wait_for(stopping.wait(), pause_s)
        except TimeoutError:
            continue
