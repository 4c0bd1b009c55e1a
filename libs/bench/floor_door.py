"""The least that a callback door can do: check the signature, decode, answer 200. A program.

`python -m libs.bench.floor_door SERVER SECRET` listens on a free port of the loopback and prints
it; SERVER is uvicorn, granian-asgi or granian-rsgi.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import sys
from enum import StrEnum
from typing import Any

import msgspec
import uvicorn
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

_SIGNATURE = "x-hub-signature-256"


class FloorServer(StrEnum):
    """What answers."""

    UVICORN = "uvicorn"
    GRANIAN_ASGI = "granian-asgi"
    GRANIAN_RSGI = "granian-rsgi"


class FloorDoor:
    """A bare application: no framework, no store, no answer but 200 and 401."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._decoder = msgspec.json.Decoder()

    def status_of(self, body: bytes, signature: bytes) -> int:
        """200 if the signature is right and the body is JSON, else 401."""
        expected = b"sha256=" + hmac.digest(self._secret, body, hashlib.sha256).hex().encode()
        if not hmac.compare_digest(expected, signature):
            return 401
        self._decoder.decode(body)
        return 200

    async def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request in ASGI."""
        if scope["type"] != "http":
            return
        body = b""
        is_more = True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        name = _SIGNATURE.encode()
        given = next((v for k, v in scope["headers"] if k == name), b"")
        status = self.status_of(body, given)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def rsgi(self, scope: Any, protocol: Any) -> None:
        """Answer one request in granian's own protocol."""
        body = await protocol()
        given = scope.headers.get(_SIGNATURE) or ""
        protocol.response_empty(self.status_of(body, given.encode()), [])


async def serve(server: FloorServer, secret: str) -> None:
    """Serve until the process is ended."""
    door = FloorDoor(secret)
    if server is FloorServer.UVICORN:
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            door.asgi,
            http="httptools",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        await uvicorn.Server(config).serve(sockets=[listener])
        return
    is_rsgi = server is FloorServer.GRANIAN_RSGI
    port = _free_port()
    granian = Server(
        door.rsgi if is_rsgi else door.asgi,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI if is_rsgi else Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(granian.serve())
    await _listens(port)
    print(port, flush=True)
    await serving


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(FloorServer(sys.argv[1]), sys.argv[2]))
