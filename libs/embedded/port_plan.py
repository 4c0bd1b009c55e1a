"""Which port each door of a local machine gets."""

from __future__ import annotations

from collections.abc import Mapping

from libs.embedded.errors import EmbeddedError
from libs.embedded.ports import free_port

# By the name of the setting that the service reads.
DEFAULT_PORTS: Mapping[str, int] = {
    "BLUETICK_INGEST_HTTP_PORT": 8080,
    "BLUETICK_INGEST_GRPC_PORT": 50061,
    "BLUETICK_STATUS_GRPC_PORT": 50062,
    "BLUETICK_STATUS_PROBE_PORT": 9101,
    "BLUETICK_ANALYTICS_GRPC_PORT": 50063,
    "BLUETICK_ANALYTICS_PROBE_PORT": 9102,
    "BLUETICK_GATEWAY_GRPC_PORT": 50051,
    "BLUETICK_GATEWAY_WEB_PORT": 8081,
    "BLUETICK_GATEWAY_PROBE_PORT": 9103,
}


def free_ports() -> dict[str, int]:
    """A free port for each; no two the same."""
    ports: dict[str, int] = {}
    while len(ports) < len(DEFAULT_PORTS):
        port = free_port()
        if port not in ports.values():
            ports[list(DEFAULT_PORTS)[len(ports)]] = port
    return ports


def configured_ports(environment: Mapping[str, str]) -> dict[str, int]:
    """The default of each, or what ``environment`` says; 0 there means any free port.

    Raises:
        EmbeddedError: a value is no port.
    """
    ports = {}
    for name, default in DEFAULT_PORTS.items():
        value = environment.get(name, "") or str(default)
        if not value.isdecimal() or int(value) > 65535:
            raise EmbeddedError(f"{name} is {value!r}.", cure="Set it to a port, 0 to 65535.")
        ports[name] = int(value) or free_port()
    return ports
