"""The gateway's HTTP ports: the probes, with the state of the services behind."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

from libs.runtime.lifecycle import Scope
from libs.runtime.probe_http import QuietServer, probe_app, serve_until_closed
from services.gateway.adapters.event_door import PATH, EventDoor
from services.gateway.watch_upstreams import UpstreamWatch


def web_app(
    scope: Scope, watch: UpstreamWatch, events: EventDoor | None = None
) -> Callable[..., Awaitable[None]]:
    """Return the ASGI app: /healthz, /metrics, /readyz as JSON, and with ``events`` /v1/changes.

    ``upstreams`` has the state of each service behind, ``why`` the reason of each that does not
    serve: they are told whether or not they make the gateway unready.
    """
    probes = probe_app(scope)

    async def app(asgi: dict[str, Any], receive: Any, send: Any) -> None:
        if events is not None and asgi["type"] == "http" and asgi["path"] == PATH:
            await events.answer(asgi, receive, send)
            return
        if asgi["type"] != "http" or asgi["path"] != "/readyz":
            await probes(asgi, receive, send)
            return
        is_ready = scope.is_ready and watch.is_ready
        words = {upstream: state.word for upstream, state in watch.states.items()}
        why = watch.reasons if scope.is_ready else {"gateway": "starting or stopping"}
        body = msgspec.json.encode({"ready": is_ready, "upstreams": words, "why": why})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        status = 200 if is_ready else 503
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def open_web_door(
    scope: Scope,
    watch: UpstreamWatch,
    *,
    host: str,
    port: int,
    name: str,
    events: EventDoor | None = None,
) -> None:
    """Serve the app on one port until the scope closes.

    Raises:
        OSError: the port is taken.
    """
    config = uvicorn.Config(
        web_app(scope, watch, events),
        host=host,
        port=port,
        log_level="warning",
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    await serve_until_closed(QuietServer(config), scope, name)
