"""Knows which services behind the gateway answer, and says so in health, metrics and logs."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from libs.runtime import logs, metrics
from services.gateway.domain.routes import Upstream
from services.gateway.domain.upstream_states import UNKNOWN, Needs, UpstreamState, is_ready, reasons

_log = logs.get_logger()
# However often it is looked: a busy machine is not a service that is down.
_ANSWER_S_MIN = 1.0

_up = metrics.gauge(
    "gateway_upstream_up", "1 while the service's health check says SERVING", ("upstream",)
)

# Between looks while the gateway is not ready: whoever waits for it need not wait for the pace.
_HURRY_S = 0.2


class Checks(Protocol):
    """Asks a service for its health."""

    async def check(self, upstream: Upstream, timeout_s: float) -> UpstreamState:
        """Return what the service says, or UNREACHABLE; never raises."""


class Health(Protocol):
    """Tells callers the health of a public service."""

    async def set_health(self, service: str, *, is_serving: bool) -> None:
        """Say whether a public service can be called."""


class UpstreamWatch:
    """Checks every service behind the gateway, again and again."""

    def __init__(
        self,
        checks: Checks,
        health: Health,
        owners: Mapping[str, Upstream],
        needs: Needs,
    ) -> None:
        self._checks = checks
        self._health = health
        self._owners = owners
        self._needs: Needs = needs
        self.states: dict[Upstream, UpstreamState] = dict.fromkeys(Upstream, UNKNOWN)

    @property
    def is_ready(self) -> bool:
        """Whether the services behind let the gateway do something for a caller."""
        return is_ready(self.states, self._needs)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each service that does not serve does not."""
        return reasons(self.states)

    async def run(self, every_s: float, stopping: asyncio.Event) -> None:
        """Check until ``stopping`` is set."""
        while not stopping.is_set():
            await self.look(timeout_s=every_s)
            try:
                pause_s = every_s if self.is_ready else min(every_s, _HURRY_S)
                await asyncio.wait_for(stopping.wait(), pause_s)
            except TimeoutError:
                continue

    async def look(self, timeout_s: float) -> None:
        """Check all once, at the same time, and tell what changed."""
        limit_s = max(timeout_s, _ANSWER_S_MIN)
        states = await asyncio.gather(*(self._checks.check(each, limit_s) for each in Upstream))
        for upstream, state in zip(Upstream, states, strict=True):
            before, self.states[upstream] = self.states[upstream], state
            if state.word != before.word:
                await self._tell(upstream, state)
        await self._health.set_health("", is_serving=self.is_ready)

    async def _tell(self, upstream: Upstream, state: UpstreamState) -> None:
        _up.labels(upstream.value).set(int(state.is_serving))
        if state.is_serving:
            _log.info("upstream.found", upstream=upstream.value)
        else:
            _log.warning("upstream.lost", upstream=upstream.value, state=state.word, why=state.why)
        for service, owner in self._owners.items():
            if owner is upstream:
                await self._health.set_health(service, is_serving=state.is_serving)
