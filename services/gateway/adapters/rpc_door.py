"""The public gRPC server: our RPCs are forwarded, health and reflection are answered here."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2

from libs.runtime.rpc_connections import server_options
from libs.runtime.rpc_drain import Drain
from libs.runtime.rpc_errors import Unimplemented, abort
from libs.runtime.rpc_handlers import ByPath, health_and_reflection
from services.gateway.domain.routes import Route

_OURS = "/bluetick."


class Forwarder(Protocol):
    """Forwards the calls of one RPC."""

    async def forward(self, request: bytes, context: Any) -> bytes | None:
        """Forward a call: return its answer, or write its answers and return None."""


class _Routes(ByPath):
    """Finds the handler of an RPC by its path; handlers are made once, not for each call."""

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler; what looks like ours and is not gets our words."""
        handler = super().service(handler_call_details)
        if handler is None and handler_call_details.method.startswith(_OURS):
            return grpc.unary_unary_rpc_method_handler(_no_such_rpc)
        return handler


def _handler(route: Route, forwarder: Forwarder) -> Any:
    # Without serializers, bytes go through as they are.
    if route.is_stream:
        return grpc.unary_stream_rpc_method_handler(forwarder.forward)
    return grpc.unary_unary_rpc_method_handler(forwarder.forward)


async def _no_such_rpc(_request: bytes, context: Any) -> None:
    await abort(context, Unimplemented("There is no such RPC; reflection lists all there are."))


class RpcDoor:
    """The server that callers see."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        forwarders: Mapping[str, Forwarder],
        drain: Drain,
        *,
        request_bytes_max: int,
        response_bytes_max: int,
        connection_age_s: float,
        reuse_port: bool,
    ) -> None:
        """Build it. Budgets are the forwarders'; gRPC's own would refuse health as well."""
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", request_bytes_max),
                ("grpc.max_send_message_length", response_bytes_max),
                ("grpc.so_reuseport", int(reuse_port)),
                *server_options(connection_age_s),
            ),
        )
        self._drain = drain
        self._health = health.aio.HealthServicer()
        services = sorted({route.service for route in routes.values()})
        handlers = health_and_reflection(self._health, services).by_path
        handlers |= {path: _handler(route, forwarders[path]) for path, route in routes.items()}
        self._server.add_generic_rpc_handlers((_Routes(handlers),))

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            RuntimeError: the port is taken.
        """
        bound = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        return bound

    async def set_health(self, service: str, *, is_serving: bool) -> None:
        """Say whether a public service can be called, in grpc.health.v1."""
        states = health_pb2.HealthCheckResponse
        await self._health.set(service, states.SERVING if is_serving else states.NOT_SERVING)

    async def close(self, unready_s: float, drain_s: float) -> None:
        """Turn health down, serve on for ``unready_s``, then end within ``drain_s``."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(unready_s)
        await self._drain.stop(self._server, drain_s)
