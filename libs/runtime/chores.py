"""Work beside the consumers: when it fails, that is said, and it is begun again.

A chore that meets a missing column must not end the service with it: consumers and reads go on, or
say for themselves that they cannot.
"""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Final

from libs.runtime import logs
from libs.runtime.lifecycle import Scope
from libs.runtime.verdicts import explained

_log = logs.get_logger()

_PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
# Without a failure for so long, it works.
_WORKS_AFTER_S: Final = 10.0


class _Chore:
    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._why = ""
        self._until_s = 0.0

    def fault(self) -> str:
        return self._why if monotonic() < self._until_s else ""

    async def run(self, stopping: asyncio.Event) -> None:
        failures = 0
        while not stopping.is_set():
            started_s = monotonic()
            try:
                await self._work()
                return
            except Exception as error:
                why = explained(error)
                if why != self.fault():
                    _log.error("chore.failed", chore=self._name, why=why, exc_info=error)
            failures = 0 if monotonic() - started_s > _WORKS_AFTER_S else failures + 1
            pause_s = _PAUSES_S[min(failures, len(_PAUSES_S)) - 1]
            self._why, self._until_s = why, monotonic() + pause_s + _WORKS_AFTER_S
            try:
                await asyncio.wait_for(stopping.wait(), pause_s)
            except TimeoutError:
                continue


def run_chore(scope: Scope, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``work()`` until the scope closes, again after each failure.

    While it fails, and some seconds longer, the service is not ready, with the reason.
    """
    chore = _Chore(name, work)
    scope.readiness.need(name, chore.fault)
    scope.spawn(chore.run(scope.stopping), name)
