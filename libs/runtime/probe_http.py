"""Health and metrics over HTTP, for services whose own door is not HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from libs.runtime import measures, metrics
from libs.runtime.lifecycle import Scope


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the service's life-cycle decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


async def serve_until_closed(server: QuietServer, scope: Scope, name: str) -> None:
    """Start ``server``, return when it listens, close it with ``scope``.

    Raises:
        OSError: the port is taken.
    """
    config = server.config
    config.load()
    # uvicorn answers a taken port with sys.exit; binding first gives an error that can be read.
    listener = config.bind_socket() if config.uds is None else None
    task = scope.spawn(server.serve(sockets=[listener] if listener else None), name)
    while not server.started and not task.done():  # noqa: ASYNC110 uvicorn offers no event
        await asyncio.sleep(0.005)

    async def close() -> None:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)

    scope.defer(close)


def probe_app(scope: Scope) -> Callable[..., Awaitable[None]]:
    """Return the ASGI app of /healthz (alive), /readyz (takes work) and /metrics."""

    async def app(asgi: dict[str, Any], _receive: Any, send: Any) -> None:
        if asgi["type"] != "http":
            return
        status, content_type, body = answer_probe(asgi["path"], scope)
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def answer_probe(path: str, scope: Scope) -> tuple[int, bytes, bytes]:
    """Return (status, content type, body) for a probe's path; 404 for any other."""
    if path == "/healthz":
        return 200, b"text/plain", b"alive\n"
    if path == "/readyz":
        faults = scope.readiness.faults()
        if not faults:
            return 200, b"text/plain", b"ready\n"
        return 503, b"text/plain; charset=utf-8", "".join(f"{why}\n" for why in faults).encode()
    if path == "/metrics":
        measures.READY.set(int(scope.is_ready))
        return 200, metrics.CONTENT_TYPE.encode(), metrics.exposition()
    return 404, b"text/plain", b"not found\n"


async def start_probe_server(scope: Scope, host: str, port: int) -> None:
    """Serve the probes on their own port until the scope closes; health over gRPC follows."""
    config = uvicorn.Config(
        probe_app(scope),
        host=host,
        port=port,
        log_level="warning",
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    await serve_until_closed(QuietServer(config), scope, "probe_http")
