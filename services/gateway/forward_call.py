"""Hands one unary call, byte for byte, to the service that owns it, and its answer back.

The payload is never decoded. In this order: who is calling, may they, is there room, how long,
forward.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from services.gateway.admit_call import Metadata
from services.gateway.domain.deadlines import DeadlineLimits, timeout_of
from services.gateway.receive_call import Reception
from services.gateway.upstream_port import UpstreamPort

# What the gateway has to do itself once a call has gone well.
After = Callable[[], Awaitable[None]]
# Tries of a call. The second goes to another replica, if there is one.
_TRIES = 2


class CallForwarder:
    """Forwards the calls of one RPC with one answer."""

    def __init__(
        self,
        reception: Reception,
        *,
        upstreams: UpstreamPort,
        limits: DeadlineLimits,
        after: After | None = None,
    ) -> None:
        """Forward to ``upstreams``; ``after`` runs before the answer to a call that went well."""
        self._reception = reception
        self._after = after
        self._path = reception.route.path
        self._upstreams = upstreams
        self._limits = limits
        self._is_read = reception.route.is_read

    async def forward(self, request: bytes, context: Any) -> bytes | None:
        """Forward a call; its caller gets the answer, or why there is none."""
        reception = self._reception
        call = reception.begin(context)
        try:
            metadata = await reception.admit(call, context)
            response = await self._ask(request, metadata, context)
            if self._after is not None:
                await self._after()
            call.code = "OK"
            return response
        except Exception as error:
            await reception.fail(context, error, call)
            return None
        finally:
            reception.end(call)

    async def _ask(self, request: bytes, metadata: Metadata, context: Any) -> bytes:
        start = self._upstreams.unary(self._path)
        tries_left = _TRIES
        while True:
            tries_left -= 1
            timeout_s = timeout_of(context.time_remaining(), self._limits, is_stream=False)
            upstream_call = start(request, timeout=timeout_s, metadata=metadata)
            try:
                return await upstream_call
            except grpc.aio.AioRpcError as error:
                if not tries_left or not _may_try_again(error, is_read=self._is_read):
                    raise
            finally:
                upstream_call.cancel()


def _may_try_again(error: grpc.aio.AioRpcError, *, is_read: bool) -> bool:
    """Tell whether a second try can do no harm.

    A service that answers at all does so with details, and says itself when to come back. Without
    them, UNAVAILABLE is a lost connection, behind which a write may have been done; CANCELLED is a
    server that stopped in the instant in which the call arrived: no handler ever saw it.
    """
    if error.trailing_metadata():
        return False
    code = error.code()
    lost = code is grpc.StatusCode.UNAVAILABLE and is_read
    return lost or code is grpc.StatusCode.CANCELLED
