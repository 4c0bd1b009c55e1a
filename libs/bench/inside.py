"""How to call a service straight, past the gateway, and how to call through it."""

from __future__ import annotations

from libs.bench.machine import RunningMachine
from libs.runtime.rpc_context import INTERNAL_TOKEN, REQUEST_ID, ROLE, TENANT

Metadata = tuple[tuple[str, str], ...]


def service_address(machine: RunningMachine, service: str) -> str:
    """host:port of a service's own gRPC."""
    port = machine.environment(service)[f"BLUETICK_{service.upper()}_GRPC_PORT"]
    return f"127.0.0.1:{port}"


def inside_metadata(machine: RunningMachine, role: str) -> Metadata:
    """What the gateway would tell a service about the caller."""
    return (
        (TENANT, machine.tenant),
        (ROLE, role),
        (REQUEST_ID, "bench"),
        (INTERNAL_TOKEN, machine.environment("gateway")["BLUETICK_INTERNAL_TOKEN"]),
    )


def outside_metadata(machine: RunningMachine) -> Metadata:
    """What anybody shows to the gateway."""
    return (("authorization", f"Bearer {machine.api_key}"),)
