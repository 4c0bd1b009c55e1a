"""uvicorn with the time-outs that it lacks."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def guarded_protocol(request_timeout_s: float) -> type[asyncio.Protocol]:
    """Return an HTTP protocol that closes connections whose requests dawdle.

    uvicorn waits for ever for the rest of a request, so that a few thousand half-sent ones would
    occupy the door. Here a request, headers and body, has ``request_timeout_s`` from its first
    byte (from the connection, for the first one); then the connection is closed.
    """

    class GuardedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _is_unfinished = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._timer = self.loop.call_later(request_timeout_s, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            # Nearly all requests come in one piece, and cost no timer.
            if not self._is_unfinished:
                self._stop_waiting()
            elif self._timer is None:
                self._timer = self.loop.call_later(request_timeout_s, self._give_up)

        def on_message_begin(self) -> None:
            self._is_unfinished = True
            super().on_message_begin()

        def on_message_complete(self) -> None:
            self._is_unfinished = False
            super().on_message_complete()

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                self.transport.close()

    return GuardedProtocol


def door_config(
    app: Any, *, host: str, port: int, connections_max: int, request_timeout_s: float, drain_s: int
) -> uvicorn.Config:
    """Return the set-up of the door's server."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=guarded_protocol(request_timeout_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=connections_max,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_s,
    )
