"""The public gRPC server: our RPCs are forwarded, health and reflection are answered here."""

from collections.abc import Mapping
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from libs.runtime.rpc_errors import Unimplemented, abort
from services.gateway.domain.routes import Route
from services.gateway.forward_call import Forwarder

_OURS = "/bluetick."


class _Routes(grpc.GenericRpcHandler):
    """Finds the handler of an RPC by its path; handlers are made once, not for each call."""

    def __init__(self, routes: Mapping[str, Route], forwarders: Mapping[str, Forwarder]) -> None:
        self._handlers = {path: _handler(routes[path], forwarders[path]) for path in routes}

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler; None leaves the call to health and reflection."""
        path = handler_call_details.method
        handler = self._handlers.get(path)
        if handler is None and path.startswith(_OURS):
            return grpc.unary_unary_rpc_method_handler(_no_such_rpc)
        return handler


def _handler(route: Route, forwarder: Forwarder) -> Any:
    # Without serializers, bytes go through as they are.
    if route.is_stream:
        return grpc.unary_stream_rpc_method_handler(forwarder.forward_stream)
    return grpc.unary_unary_rpc_method_handler(forwarder.forward_unary)


async def _no_such_rpc(_request: bytes, context: Any) -> None:
    await abort(context, Unimplemented("There is no such RPC; reflection lists all there are."))


class RpcDoor:
    """The server that callers see."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        forwarders: Mapping[str, Forwarder],
        *,
        request_bytes_max: int,
        response_bytes_max: int,
        calls_in_flight_max: int,
        reuse_port: bool,
    ) -> None:
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=calls_in_flight_max,
            options=(
                ("grpc.max_receive_message_length", request_bytes_max),
                ("grpc.max_send_message_length", response_bytes_max),
                ("grpc.so_reuseport", int(reuse_port)),
                # Old connections end, so that new replicas get their share.
                ("grpc.max_connection_age_ms", 300_000),
                # Callers may notice a vanished gateway within a minute.
                ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
            ),
        )
        self._server.add_generic_rpc_handlers((_Routes(routes, forwarders),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = sorted({route.service for route in routes.values()})
        reflection.enable_server_reflection(
            (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

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

    async def close(self, drain_s: float) -> None:
        """Turn health down, take no new calls, let running ones end within ``drain_s``."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(drain_s)
