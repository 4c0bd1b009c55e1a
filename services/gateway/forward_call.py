"""Hands one call, byte for byte, to the service that owns it, and its answer back.

The payload is never decoded. In this order: who is calling, may they, how long, forward. A call
that ends in any way ends the call behind it too: gRPC does not do that by itself for streams.
"""

import time
from typing import Any

import grpc

from libs.runtime import logs, metrics
from services.gateway.admit_call import Credentials, Gatekeeper, Metadata, RequestIds
from services.gateway.answer_error import answer_to
from services.gateway.domain.deadlines import DeadlineLimits, timeout_of
from services.gateway.domain.routes import Route
from services.gateway.upstream_port import UpstreamPort

_log = logs.get_logger()

_seconds = metrics.histogram(
    "gateway_call_duration_seconds", "Time to answer a call, streams to their end", ("rpc", "code")
)
_in_flight = metrics.gauge("gateway_calls_in_flight", "Calls and streams that run now")

# Tries of a call that has no side effects. The second goes to another replica, if there is one.
_READ_TRIES = 2


class _Call:
    """The books of one call: opened first, closed last, whatever happens between."""

    __slots__ = ("began", "code", "credentials", "request_id")

    def __init__(self, context: Any, request_ids: RequestIds) -> None:
        self.began = time.perf_counter()
        # What it stays if neither an answer nor an error comes.
        self.code = "CANCELLED"
        self.credentials = Credentials.read(context.invocation_metadata())
        self.request_id = self.credentials.request_id or request_ids.next()
        _in_flight.inc()


class Forwarder:
    """Forwards the calls of one RPC."""

    def __init__(
        self,
        route: Route,
        *,
        gatekeeper: Gatekeeper,
        upstreams: UpstreamPort,
        limits: DeadlineLimits,
        request_ids: RequestIds,
    ) -> None:
        self._route = route
        self._gatekeeper = gatekeeper
        self._upstreams = upstreams
        self._limits = limits
        self._request_ids = request_ids
        self._tries = _READ_TRIES if route.is_read else 1
        self._rpc = route.path.rpartition(".")[2]
        self._ok_seconds = _seconds.labels(self._rpc, "OK")

    async def forward_unary(self, request: bytes, context: Any) -> bytes | None:
        """Forward a call with one answer."""
        call = _Call(context, self._request_ids)
        try:
            metadata = await self._open(context, call)
            response = await self._ask(request, metadata, context)
            call.code = "OK"
            return response
        except Exception as error:
            await self._fail(context, error, call)
            return None
        finally:
            self._close(call)

    async def forward_stream(self, request: bytes, context: Any) -> None:
        """Forward a call with many answers, at the pace at which the caller reads them."""
        call, stream = _Call(context, self._request_ids), None
        try:
            metadata = await self._open(context, call)
            start = self._upstreams.stream(self._route.path)
            stream = start(request, timeout=self._timeout_s(context), metadata=metadata)
            async for response in stream:
                await context.write(response)
            call.code = "OK"
        except Exception as error:
            await self._fail(context, error, call)
        finally:
            if stream is not None:
                stream.cancel()
            self._close(call)

    async def _open(self, context: Any, call: _Call) -> Metadata:
        # Only a caller's own id is echoed: a message of its own costs a sixth of a call's time.
        if call.credentials.request_id:
            await context.send_initial_metadata((("x-request-id", call.request_id),))
        return self._gatekeeper.admit(self._route, call.credentials.key, call.request_id)

    async def _ask(self, request: bytes, metadata: Metadata, context: Any) -> bytes:
        start = self._upstreams.unary(self._route.path)
        tries_left = self._tries
        while True:
            tries_left -= 1
            upstream_call = start(request, timeout=self._timeout_s(context), metadata=metadata)
            try:
                return await upstream_call
            except grpc.aio.AioRpcError as error:
                if not tries_left or not _was_never_answered(error):
                    raise
            finally:
                upstream_call.cancel()

    def _timeout_s(self, context: Any) -> float:
        remaining_s = context.time_remaining()
        return timeout_of(remaining_s, self._limits, is_stream=self._route.is_stream)

    async def _fail(self, context: Any, error: Exception, call: _Call) -> None:
        """Tell the caller why; does not return. A cancellation never comes here."""
        answer = answer_to(error, self._route, call.request_id)
        call.code = answer.code.name
        await context.abort(answer.code, answer.text, answer.trailing_metadata)

    def _close(self, call: _Call) -> None:
        duration_s = time.perf_counter() - call.began
        _in_flight.dec()
        if call.code == "OK":
            self._ok_seconds.observe(duration_s)
        else:
            _seconds.labels(self._rpc, call.code).observe(duration_s)
        _log.debug(
            "call.answered",
            rpc=self._rpc,
            code=call.code,
            request_id=call.request_id,
            duration_ms=round(duration_s * 1000, 3),
        )


def _was_never_answered(error: grpc.aio.AioRpcError) -> bool:
    """Tell a lost connection from a service that says itself when to come back."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and not error.trailing_metadata()
