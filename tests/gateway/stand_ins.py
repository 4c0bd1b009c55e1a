"""The services behind the gateway, as real gRPC servers that remember what they were sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc

Respond = Callable[[bytes, Any], Awaitable[bytes | None]]
Stream = Callable[[bytes, Any], Awaitable[None]]


@dataclass
class Received:
    """One call as a service got it."""

    path: str
    request: bytes
    metadata: dict[str, str]
    remaining_s: float


async def echo(request: bytes, _context: Any) -> bytes:
    """Answer with the request."""
    return request


async def _nothing(_request: bytes, _context: Any) -> bytes:
    return b""


@dataclass
class StandIn(grpc.GenericRpcHandler):
    """One service: takes any RPC, answers as ``respond`` says; streams as ``stream`` says."""

    name: str
    respond: Respond = echo
    stream: Stream | None = None  # if set, every RPC is a stream
    stream_of: dict[str, Stream] = field(default_factory=dict)  # by path; the others are calls
    received: list[Received] = field(default_factory=list)
    target: str = ""
    _server: Any = None

    def service(self, handler_call_details: Any) -> Any:
        """Return a handler for whatever RPC is called."""
        path = handler_call_details.method
        if path.startswith("/grpc."):
            return None
        if path.startswith("/bluetick.v1.KeyService/"):
            # Asked by the gateway itself, again and again: no key was ever issued.
            return grpc.unary_unary_rpc_method_handler(_nothing)

        async def unary(request: bytes, context: Any) -> bytes | None:
            self._note(path, request, context)
            return await self.respond(request, context)

        async def stream(request: bytes, context: Any) -> None:
            self._note(path, request, context)
            await answers(request, context)

        answers = self.stream_of.get(path, self.stream)
        if answers is not None:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _note(self, path: str, request: bytes, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        self.received.append(Received(path, request, metadata, context.time_remaining()))

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), self._server)
        bound = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()
        self.target = f"dns:///127.0.0.1:{bound}"

    async def stop(self) -> None:
        """Vanish, with all that runs."""
        await self._server.stop(0)


@dataclass
class Backend:
    """All that is behind the gateway."""

    ingest: StandIn
    status: StandIn
    analytics: StandIn

    @classmethod
    async def start(cls) -> "Backend":
        """Start the three services."""
        backend = cls(StandIn("ingest"), StandIn("status"), StandIn("analytics"))
        for service in (backend.ingest, backend.status, backend.analytics):
            await service.start()
        return backend

    async def stop(self) -> None:
        """Stop the three services."""
        for service in (self.ingest, self.status, self.analytics):
            await service.stop()


async def call(
    channel: grpc.aio.Channel,
    path: str,
    request: bytes = b"",
    *,
    key: str | None = "admin-key-of-demo",
    metadata: tuple[tuple[str, str], ...] = (),
    timeout_s: float | None = 5,
) -> bytes:
    """Call one RPC with bytes as they are."""
    if key is not None:
        metadata = (("authorization", f"Bearer {key}"), *metadata)
    answer: bytes = await channel.unary_unary(path)(request, timeout=timeout_s, metadata=metadata)
    return answer
