"""A service's life: start, ready, drain on SIGTERM in bounded time."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from libs.runtime import logs
from libs.runtime.readiness import Readiness
from libs.runtime.settings import RuntimeSettings, SettingsT, load

_log = logs.get_logger()

# Whether a part can work, and why not. Quick: it looks at what is known, it does not ask.
Probe = Callable[[], tuple[bool, str]]


class Scope:
    """What a running service consists of. Closed in the reverse order of its building."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.readiness = Readiness()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closers: list[Callable[[], Awaitable[Any]]] = []
        self._failure: BaseException | None = None

    def look(self) -> tuple[bool, str]:
        """Return whether the service can work, and if not, everything that is missing."""
        faults = self.readiness.faults()
        return not faults, "; ".join(faults)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run ``work`` beside the service. If it raises, the whole service ends with an error.

        It should return soon after ``stopping`` is set; it is cancelled when the scope closes.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def defer(self, close: Callable[[], Awaitable[Any]]) -> None:
        """Call ``close`` at the end; what was built last is closed first."""
        self._closers.append(close)

    def ready(self) -> None:
        """Say that the service can take work."""
        self.readiness.is_open = True

    @property
    def is_ready(self) -> bool:
        """Whether the service takes work: it is open, and nothing that it needs has a fault."""
        return self.readiness.is_ready

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task.crashed", task=task.get_name(), exc_info=error)
            self._failure = self._failure or error
            self.stopping.set()

    async def close(self) -> None:
        """Close everything; an error in one closer does not keep the others from running."""
        self.readiness.is_open = False
        self.stopping.set()
        for close in reversed(self._closers):
            try:
                await close()
            except Exception as error:
                _log.error("closing.failed", exc_info=error)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def failed(self) -> bool:
        """Whether a part of the service crashed."""
        return self._failure is not None


def settle(scope: Scope) -> None:
    """Say that everything is built and the service takes work."""
    # What is built now lives as long as the process; the collector need not look at it again.
    gc.collect()
    gc.freeze()
    scope.ready()


async def _live(
    settings: RuntimeSettings, build: Callable[[Scope], Coroutine[Any, Any, object]]
) -> int:
    scope = Scope()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, scope.stopping.set)
    building = loop.create_task(build(scope))
    stopping = loop.create_task(scope.stopping.wait())
    # A start that waits for a broker or a database must still hear SIGTERM.
    await asyncio.wait({building, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not building.done():
        building.cancel()
    failure = (await asyncio.gather(building, return_exceptions=True))[0]
    if not isinstance(failure, BaseException):
        failure = None
        _log.info("service.started")
        await scope.stopping.wait()
        _log.info("service.stopping")
    stopping.cancel()
    try:
        await asyncio.wait_for(scope.close(), settings.shutdown_s)
    except TimeoutError:
        _log.error("service.stop_overdue", limit_s=settings.shutdown_s)
        return 1
    if failure is not None and not isinstance(failure, asyncio.CancelledError):
        _log.error("service.start_failed", error=str(failure), exc_info=failure)
        return 1
    _log.info("service.stopped")
    return 1 if scope.failed else 0


def run_service(
    name: str,
    settings_class: type[SettingsT],
    build: Callable[[Scope, SettingsT], Coroutine[Any, Any, object]],
) -> None:
    """Run one service until SIGTERM or SIGINT, then exit: 0 after a clean end, else 1.

    ``build`` starts everything, registers closers with ``scope.defer`` and calls ``scope.ready``.
    Settings that cannot be used are all named, and end it with 2.
    """
    settings = load(settings_class)
    logs.configure(name, settings)
    # Under this loop the door takes twice the callbacks a second, and a forwarded RPC costs an
    # eighth less CPU.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_live(settings, lambda scope: build(scope, settings)))
    sys.exit(code)
