"""Health over gRPC that says what readiness says, with the reason."""

import asyncio
from collections.abc import Sequence
from typing import Any

from grpc_health.v1 import health, health_pb2

from libs.runtime.lifecycle import Probe

# Trailing metadata of an answer to Check: why it is not SERVING.
WHY = "x-bluetick-why"

_LOOK_S = 0.5
_WHY_CHARS_MAX = 300
_States = health_pb2.HealthCheckResponse


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # it has no types
    """The health of one server and of its services, all the same."""

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__()
        self._services = ("", *services)
        self._why = ""

    async def Check(self, request: Any, context: Any) -> Any:
        """Answer with the state, and beside it why it is not SERVING."""
        if self._why:
            context.set_trailing_metadata(((WHY, self._why),))
        return await super().Check(request, context)

    async def say(self, is_serving: bool, why: str = "") -> None:
        """Say whether the server can work; ``why`` holds no secret and no address."""
        self._why = "" if is_serving else _plain(why)
        for service in self._services:
            await self.set(service, _States.SERVING if is_serving else _States.NOT_SERVING)

    async def follow(self, probe: Probe, stopping: asyncio.Event) -> None:
        """Say what ``probe`` says, until ``stopping``; a change is told within half a second."""
        while not stopping.is_set():
            await self.say(*probe())
            try:
                await asyncio.wait_for(stopping.wait(), _LOOK_S)
            except TimeoutError:
                continue


def _plain(text: str) -> str:
    """Return ``text`` as metadata can carry it: one line of ASCII."""
    line = " ".join(text.split())[:_WHY_CHARS_MAX]
    return line.encode("ascii", "replace").decode()
