"""The least that a callback door can do: check the signature, decode, answer 200. A program.

`python -m libs.bench.floor_door SECRET` listens on a free port of the loopback and prints it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import sys
from typing import Any

import msgspec
import uvicorn
import uvloop


class FloorDoor:
    """A bare ASGI application: no framework, no store, no answer but 200 and 401."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._decoder = msgspec.json.Decoder()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = b""
        is_more = True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        expected = b"sha256=" + hmac.digest(self._secret, body, hashlib.sha256).hex().encode()
        given = next((v for k, v in scope["headers"] if k == b"x-hub-signature-256"), b"")
        status = 200 if hmac.compare_digest(expected, given) else 401
        if status == 200:
            self._decoder.decode(body)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def serve(secret: str) -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        FloorDoor(secret), http="httptools", lifespan="off", log_config=None, access_log=False
    )
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
