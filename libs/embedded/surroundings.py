"""What the environment says of somebody's servers: nothing that a machine of our own may hear.

A shell that has BLUETICK_DATABASE_URL of production, or PGHOST, is where people try things out.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

SERVICE_SETTINGS = "BLUETICK_"
# asyncpg completes an address by these, and PGSSLMODE or PGTARGETSESSIONATTRS turn ours away.
POSTGRES_DEFAULTS = "PG"
_NATS_DEFAULTS = "NATS_"
# gRPC and HTTP clients would send what is for this machine to a proxy.
_NO_PROXY = ("no_proxy", "NO_PROXY")
_LOOPBACK = "127.0.0.1,localhost"


def without_servers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` as a machine of our own may see it."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith((SERVICE_SETTINGS, POSTGRES_DEFAULTS, _NATS_DEFAULTS))
    }
    told = next((kept[name] for name in _NO_PROXY if kept.get(name)), "")
    return kept | dict.fromkeys(_NO_PROXY, ",".join(filter(None, [told, _LOOPBACK])))


def forget_servers(environment: MutableMapping[str, str]) -> None:
    """Make ``environment`` (this process's own, as a rule) what ``without_servers`` returns."""
    kept = without_servers(environment)
    for name in [name for name in environment if name not in kept]:
        del environment[name]
    environment.update(kept)


def forget_postgres_defaults(environment: MutableMapping[str, str]) -> None:
    """Leave no word about a PostgreSQL that is not ours to the clients of one that is."""
    for name in [name for name in environment if name.startswith(POSTGRES_DEFAULTS)]:
        del environment[name]
