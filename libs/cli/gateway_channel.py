"""How the commands reach the gateway, and how its refusals are told to a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc
import typer

T = TypeVar("T")

DEFAULT_GATEWAY = "127.0.0.1:50051"
_DEADLINE_S = 10.0

_CURES = {
    grpc.StatusCode.UNAVAILABLE: "Nobody answers at {gateway}. Is it running? `bluetick up` starts "
    "everything; --gateway or BLUETICK_GATEWAY says where.",
    grpc.StatusCode.DEADLINE_EXCEEDED: "{gateway} took longer than {deadline:g} s to answer.",
    grpc.StatusCode.UNAUTHENTICATED: "The gateway does not know this API key. "
    "--api-key or BLUETICK_API_KEY says it; `bluetick up` prints one.",
    grpc.StatusCode.PERMISSION_DENIED: "This API key may not do that: {details}",
}


class GatewayCaller:
    """Calls with a key and a deadline; a refusal ends the command with one readable line."""

    def __init__(self, gateway: str, api_key: str) -> None:
        self._gateway = gateway
        self.metadata = (("authorization", f"Bearer {api_key}"),)
        self.channel = grpc.insecure_channel(gateway)

    def call(self, method: Callable[..., T], request: object) -> T:
        """Return the answer, or exit 1 with the reason on stderr."""
        try:
            return method(request, metadata=self.metadata, timeout=_DEADLINE_S)
        except grpc.RpcError as error:
            typer.echo(explain(error, self._gateway), err=True)
            raise typer.Exit(1) from error

    def call_or_none(self, method: Callable[..., T], request: object) -> T | None:
        """The answer, or None if this gateway has none: for what is only an ornament."""
        try:
            return method(request, metadata=self.metadata, timeout=_DEADLINE_S)
        except grpc.RpcError:
            return None


def explain(error: grpc.RpcError, gateway: str) -> str:
    """One line for a person: what went wrong, and what to do."""
    code, details = error.code(), error.details() or ""
    cure = _CURES.get(code, "{details} ({code})")
    return cure.format(gateway=gateway, deadline=_DEADLINE_S, details=details, code=code.name)
