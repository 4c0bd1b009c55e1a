"""How gRPC connections live and what they take, so that no end cuts what the other allows.

A connection that reaches its age is closed gently: calls that run on it go on for the grace, new
ones take a new connection, and so reach new replicas. The grace is longer than any stream may
live, on every server; streams therefore end when the product says, never because of a connection.
"""

from typing import Any

# No stream of any server lives longer, seconds; settings of single streams stay below it.
STREAM_MAX_S = 86_400.0
CONNECTION_AGE_S = 300.0
# How often a silent peer is asked whether it is there. A peer that vanished without a word is
# dropped, with all its streams, after this and ``_KEEPALIVE_TIMEOUT_S``.
KEEPALIVE_S = 60.0
# Calls that wait to be looked at; each takes some KiB.
PENDING_MAX = 20_000

_KEEPALIVE_TIMEOUT_S = 20.0
# Between a stream's last moment and the end of the connection under it.
_MARGIN_S = 60.0

Options = tuple[tuple[str, Any], ...]


def server_options(
    connection_age_s: float = CONNECTION_AGE_S, keepalive_s: float = KEEPALIVE_S
) -> Options:
    """Return a server's channel arguments for ages, keep-alive and its queue.

    gRPC itself varies the age by a tenth, so that connections do not end all at once.
    """
    return (
        ("grpc.max_connection_age_ms", round(connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round((STREAM_MAX_S + _MARGIN_S) * 1000)),
        *_keepalive(keepalive_s),
        # Else a server takes the pings of an idle stream for an attack after two of them, and
        # closes the connection (its default allows one in five minutes).
        ("grpc.http2.min_ping_interval_without_data_ms", round(keepalive_s * 500)),
        # Calls that arrived and were not looked at yet. Above its own bound (1,000) gRPC drops them
        # without a word, as CANCELLED; our budgets refuse with the limit and a time to come back.
        ("grpc.server.max_pending_requests", PENDING_MAX),
        ("grpc.server.max_pending_requests_hard_limit", 2 * PENDING_MAX),
    )


def channel_options(keepalive_s: float = KEEPALIVE_S) -> Options:
    """Return a channel's arguments that go with ``server_options``."""
    return _keepalive(keepalive_s)


def _keepalive(keepalive_s: float) -> Options:
    return (
        ("grpc.keepalive_time_ms", round(keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(_KEEPALIVE_TIMEOUT_S * 1000)),
        # An idle stream has no data for an hour; its pings go on all the same.
        ("grpc.http2.max_pings_without_data", 0),
    )
