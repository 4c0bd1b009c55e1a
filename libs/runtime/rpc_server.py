"""The gRPC server of a service: health, reflection, the gateway's token, errors in one place."""

import asyncio
import hmac
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from libs.runtime import logs, metrics
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.database import DatabaseUnavailable
from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_context import INTERNAL_TOKEN, REQUEST_ID
from libs.runtime.rpc_errors import RpcError, Unauthenticated, Unavailable, Unimplemented, abort

_log = logs.get_logger()
_OPEN = ("/grpc.health.v1.", "/grpc.reflection.")
_DRAIN_S = 10.0
_RETRY_S = 1.0

_rpc_seconds = metrics.histogram(
    "rpc_duration_seconds", "Time to answer an RPC", ("method", "code")
)

Add = Callable[[Any, Any], None]


class _Guard(grpc.aio.ServerInterceptor):
    """Outermost: lets nobody past without the token, and no exception out with its text."""

    def __init__(self, internal_token: str) -> None:
        self._token = internal_token.encode()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        if handler.unary_unary is not None:
            guarded = self._unary(handler.unary_unary, details.method)
            return grpc.unary_unary_rpc_method_handler(
                guarded, handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream is not None:
            stream = self._stream(handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return handler

    def _check(self, context: Any) -> None:
        shown = dict(context.invocation_metadata() or ()).get(INTERNAL_TOKEN, "")
        # An unset token must not be matched by an unset header.
        if not self._token or not hmac.compare_digest(shown.encode(), self._token):
            raise Unauthenticated("Call through the gateway.", reason="INTERNAL_TOKEN_WRONG")

    def _unary(self, handler: Callable[..., Awaitable[Any]], method: str) -> Any:
        name = method.rsplit("/", 1)[-1]

        async def call(request: Any, context: Any) -> Any:
            loop = asyncio.get_running_loop()
            start, code = loop.time(), "OK"
            try:
                self._check(context)
                return await handler(request, context)
            except Exception as error:
                answer = _answer_to(error, context)
                code = answer.code.name
                await abort(context, answer, _request_id(context))
            finally:
                _rpc_seconds.labels(name, code).observe(loop.time() - start)

        return call

    def _stream(self, handler: Callable[..., Any]) -> Any:
        async def call(request: Any, context: Any) -> Any:
            try:
                self._check(context)
                async for item in handler(request, context):
                    yield item
            except Exception as error:
                await abort(context, _answer_to(error, context), _request_id(context))

        return call


def _request_id(context: Any) -> str:
    return str(dict(context.invocation_metadata() or ()).get(REQUEST_ID, ""))


def _answer_to(error: Exception, context: Any) -> RpcError:
    """Map an exception to what the caller may know of it."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, grpc.aio.AbortError) or context.done():
        # Already answered by the handler itself.
        raise error
    if isinstance(error, NotImplementedError):
        # What a generated servicer raises for a method that nobody has overridden.
        return Unimplemented("This call is not available yet.")
    if isinstance(error, BrokerUnavailable | DatabaseUnavailable):
        _log.warning("rpc.postponed", error=type(error).__name__)
        return Unavailable("Try again.", retry_s=_RETRY_S)
    correlation_id = uuid.uuid4().hex
    _log.error("rpc.crashed", correlation_id=correlation_id, exc_info=error)
    return RpcError(
        "An error of ours; tell us the correlation id.",
        metadata={"correlation_id": correlation_id},
    )


class RpcServer:
    """A gRPC server that drains: health goes down first, calls in flight finish."""

    def __init__(
        self,
        *,
        internal_token: str,
        services: Sequence[tuple[Add, Any, str]],
        request_bytes_max: int = 4 * 1024 * 1024,
    ) -> None:
        """Build it; ``services`` are (generated add function, servicer, full service name)."""
        self._server = grpc.aio.server(
            interceptors=[_Guard(internal_token)],
            options=[
                ("grpc.max_receive_message_length", request_bytes_max),
                ("grpc.max_send_message_length", 16 * 1024 * 1024),
                # Two services on one port by mistake must fail, not share it silently.
                ("grpc.so_reuseport", 0),
                # Old connections end, so that new replicas get their share.
                ("grpc.max_connection_age_ms", 300_000),
                ("grpc.max_connection_age_grace_ms", 30_000),
            ],
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [name for _, _, name in services]
        for add, servicer, _ in services:
            add(servicer, self._server)
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._names = ["", *names]

    async def start(self, host: str, port: int, scope: Scope) -> int:
        """Listen, and close with ``scope``; return the port.

        Raises:
            RuntimeError: the port is taken.
        """
        bound = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        scope.defer(self._stop)
        return bound

    async def _stop(self) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_DRAIN_S)
