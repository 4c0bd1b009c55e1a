"""Knows which services behind the gateway answer, and says so in health, metrics and logs."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from libs.runtime import logs, metrics
from services.gateway.domain.routes import Upstream

_log = logs.get_logger()

_up = metrics.gauge(
    "gateway_upstream_up", "1 while the service's health check says SERVING", ("upstream",)
)

_UNKNOWN = "UNKNOWN"
_SERVING = "SERVING"


class Checks(Protocol):
    """Asks a service for its health."""

    async def check(self, upstream: Upstream, timeout_s: float) -> str:
        """Return SERVING, another word of the health protocol, or UNREACHABLE; never raises."""


class Health(Protocol):
    """Tells callers the health of a public service."""

    async def set_health(self, service: str, *, is_serving: bool) -> None:
        """Say whether a public service can be called."""


class UpstreamWatch:
    """Checks every service behind the gateway, again and again.

    The gateway stays ready while they are down: it answers UNAVAILABLE with a time to come back,
    and taking it out of rotation would heal nothing.
    """

    def __init__(
        self, checks: Checks, health: Health, owners: Mapping[str, Upstream | None]
    ) -> None:
        self._checks = checks
        self._health = health
        self._owners = owners
        self.states: dict[Upstream, str] = dict.fromkeys(Upstream, _UNKNOWN)

    async def run(self, every_s: float, stopping: asyncio.Event) -> None:
        """Check until ``stopping`` is set."""
        while not stopping.is_set():
            await self.look(timeout_s=every_s)
            try:
                await asyncio.wait_for(stopping.wait(), every_s)
            except TimeoutError:
                continue

    async def look(self, timeout_s: float) -> None:
        """Check all once, at the same time, and tell what changed."""
        states = await asyncio.gather(*(self._checks.check(each, timeout_s) for each in Upstream))
        for upstream, state in zip(Upstream, states, strict=True):
            if state != self.states[upstream]:
                self.states[upstream] = state
                await self._tell(upstream, state)

    async def _tell(self, upstream: Upstream, state: str) -> None:
        is_serving = state == _SERVING
        _up.labels(upstream.value).set(int(is_serving))
        if is_serving:
            _log.info("upstream.found", upstream=upstream.value)
        else:
            _log.warning("upstream.lost", upstream=upstream.value, state=state)
        for service, owner in self._owners.items():
            if owner is upstream:
                await self._health.set_health(service, is_serving=is_serving)
