"""Hands one unary call, byte for byte, to the service that owns it, and its answer back.

The payload is never decoded. In this order: who is calling, may they, is there room, how long,
forward.
"""

from typing import Any

import grpc

from services.gateway.admit_call import Metadata
from services.gateway.domain.deadlines import DeadlineLimits, timeout_of
from services.gateway.receive_call import Reception
from services.gateway.upstream_port import UpstreamPort

# Tries of a call that has no side effects. The second goes to another replica, if there is one.
_READ_TRIES = 2
# A connection that was lost, and a replica that stopped before any of its handlers saw the call.
_LOST = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class CallForwarder:
    """Forwards the calls of one RPC with one answer."""

    def __init__(
        self, reception: Reception, *, upstreams: UpstreamPort, limits: DeadlineLimits
    ) -> None:
        self._reception = reception
        self._path = reception.route.path
        self._upstreams = upstreams
        self._limits = limits
        self._tries = _READ_TRIES if reception.route.is_read else 1

    async def forward(self, request: bytes, context: Any) -> bytes | None:
        """Forward a call; its caller gets the answer, or why there is none."""
        reception = self._reception
        call = reception.begin(context)
        try:
            metadata = await reception.admit(call, context)
            response = await self._ask(request, metadata, context)
            call.code = "OK"
            return response
        except Exception as error:
            await reception.fail(context, error, call)
            return None
        finally:
            reception.end(call)

    async def _ask(self, request: bytes, metadata: Metadata, context: Any) -> bytes:
        start = self._upstreams.unary(self._path)
        tries_left = self._tries
        while True:
            tries_left -= 1
            timeout_s = timeout_of(context.time_remaining(), self._limits, is_stream=False)
            upstream_call = start(request, timeout=timeout_s, metadata=metadata)
            try:
                return await upstream_call
            except grpc.aio.AioRpcError as error:
                if not tries_left or not _was_never_answered(error):
                    raise
            finally:
                upstream_call.cancel()


def _was_never_answered(error: grpc.aio.AioRpcError) -> bool:
    """Tell a lost connection from a service that says itself when to come back."""
    return error.code() in _LOST and not error.trailing_metadata()
