"""The gRPC server of a service: health, reflection, the gateway's token, errors in one place."""

import hmac
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import grpc

from libs.runtime import logs, metrics
from libs.runtime.lifecycle import Scope
from libs.runtime.outages import Outage
from libs.runtime.rpc_connections import CONNECTION_AGE_S, server_options
from libs.runtime.rpc_context import INTERNAL_TOKEN, REQUEST_ID
from libs.runtime.rpc_drain import Drain
from libs.runtime.rpc_errors import RpcError, Unauthenticated, Unavailable, Unimplemented, abort
from libs.runtime.rpc_handlers import ByPath, Methods, decoded, health_and_reflection
from libs.runtime.rpc_health import Health
from libs.runtime.rpc_streams import until_drained

_log = logs.get_logger()
_DRAIN_S = 10.0
_RETRY_S = 1.0

_rpc_seconds = metrics.histogram(
    "rpc_duration_seconds", "Time to answer an RPC", ("method", "code")
)

Add = Callable[[Any, Any], None]


class _Guard:
    """Outermost: lets nobody past without the token, and no exception out with its text."""

    def __init__(self, internal_token: str, drain: Drain) -> None:
        self._token = internal_token.encode()
        self._drain = drain

    def wrap(self, path: str, handler: Any) -> Any:
        """Return the handler of one method, guarded."""
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(path, handler))
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(path, handler))
        raise ValueError(f"{path} streams its requests; no service of ours does")

    def _check(self, context: Any) -> None:
        shown = _metadata_of(context, INTERNAL_TOKEN)
        # An unset token must not be matched by an unset header.
        if not self._token or not hmac.compare_digest(shown.encode(), self._token):
            raise Unauthenticated("Call through the gateway.", reason="INTERNAL_TOKEN_WRONG")

    def _unary(self, path: str, handler: Any) -> Any:
        name = path.rsplit("/", 1)[-1]
        respond, ok_seconds = handler.unary_unary, _rpc_seconds.labels(name, "OK")
        decode, encode = handler.request_deserializer, handler.response_serializer

        async def call(raw: bytes, context: Any) -> Any:
            start, seconds = time.perf_counter(), ok_seconds
            await self._drain.enter()
            try:
                self._check(context)
                return encode(await respond(decoded(raw, decode, path), context))
            except Exception as error:
                answer = _answer_to(error, context)
                seconds = _rpc_seconds.labels(name, answer.code.name)
                await abort(context, answer, _metadata_of(context, REQUEST_ID))
            finally:
                self._drain.leave()
                seconds.observe(time.perf_counter() - start)

        return call

    def _stream(self, path: str, handler: Any) -> Any:
        respond, decode = handler.unary_stream, handler.request_deserializer
        encode = handler.response_serializer

        async def call(raw: bytes, context: Any) -> Any:
            await self._drain.enter()
            try:
                self._check(context)
                items = respond(decoded(raw, decode, path), context)
                async with aclosing(until_drained(items, self._drain)) as told:
                    async for item in told:
                        yield encode(item)
            except Exception as error:
                answer = _answer_to(error, context)
                await abort(context, answer, _metadata_of(context, REQUEST_ID))
            finally:
                self._drain.leave()

        return call


def _metadata_of(context: Any, name: str) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return str(value)
    return ""


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
    if isinstance(error, Outage):
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
        connection_age_s: float = CONNECTION_AGE_S,
    ) -> None:
        """Build it; ``services`` are (generated add function, servicer, full service name)."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", request_bytes_max),
                ("grpc.max_send_message_length", 16 * 1024 * 1024),
                # Two services on one port by mistake must fail, not share it silently.
                ("grpc.so_reuseport", 0),
                *server_options(connection_age_s),
            ],
        )
        self._drain = Drain()
        names = [name for _, _, name in services]
        self._health = Health(names)
        ours = Methods()
        for add, servicer, _ in services:
            add(servicer, ours)
        guard = _Guard(internal_token, self._drain)
        handlers = health_and_reflection(self._health, names).by_path
        handlers |= {path: guard.wrap(path, handler) for path, handler in ours.by_path.items()}
        self._server.add_generic_rpc_handlers((ByPath(handlers),))

    async def start(self, host: str, port: int, scope: Scope) -> int:
        """Listen, and close with ``scope``; return the port. Health says what the scope needs.

        Raises:
            RuntimeError: the port is taken.
        """
        bound = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        await self._health.say(*scope.look())
        scope.spawn(self._health.follow(scope.look, scope.stopping), "rpc_health")
        scope.defer(self._stop)
        return bound

    async def _stop(self) -> None:
        await self._health.enter_graceful_shutdown()
        await self._drain.stop(self._server, _DRAIN_S)
