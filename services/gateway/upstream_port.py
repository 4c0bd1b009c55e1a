"""What the gateway asks of the connections to the services behind it."""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from services.gateway.admit_call import Metadata


class UnaryCall(Awaitable[bytes], Protocol):
    """A call on its way. Awaiting it gives the answer, or raises ``AioRpcError``."""

    def cancel(self) -> bool:
        """End the call; nothing happens if it has ended."""


class StreamCall(Protocol):
    """A stream on its way. Iterating it gives answers, or raises ``AioRpcError``."""

    def cancel(self) -> bool:
        """End the stream; nothing happens if it has ended."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the answers, in order; slow reading slows the service down."""


class StartUnary(Protocol):
    """Starts calls of one RPC."""

    def __call__(self, request: bytes, *, timeout: float, metadata: Metadata) -> UnaryCall:
        """Start a call; it ends after ``timeout`` seconds at the latest."""


class StartStream(Protocol):
    """Starts streams of one RPC."""

    def __call__(self, request: bytes, *, timeout: float, metadata: Metadata) -> StreamCall:
        """Start a stream; it ends after ``timeout`` seconds at the latest."""


class UpstreamPort(Protocol):
    """The services behind the gateway. Bytes go in and come out as they are."""

    def unary(self, path: str) -> StartUnary:
        """Return what starts calls of the RPC, at the service that owns it."""

    def stream(self, path: str) -> StartStream:
        """Return what starts streams of the RPC, at the service that owns it."""
