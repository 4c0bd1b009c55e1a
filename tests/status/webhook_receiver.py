"""Somebody's server that webhooks are posted to, which checks them by the standard's own text."""

import asyncio
import hmac
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import h11


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def ref(self) -> str:
        return str(json.loads(self.body).get("data", {}).get("message_ref"))

    def is_signed_by(self, secret: str) -> bool:
        """Whether one of the signatures is by this secret."""
        key = b64decode(secret.split("_", 1)[1])
        text = f"{self.webhook_id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = "v1," + b64encode(hmac.new(key, text, sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


# Status, and more headers.
Answer = tuple[int, dict[str, str]]
OK: Answer = (200, {})


@dataclass
class Receiver:
    """The server: ``answer`` decides, ``requests`` tells what came."""

    answer: Callable[[Request], Answer] = lambda _: OK
    delay_s: float = 0.0
    tls: ssl.SSLContext | None = None
    closes: bool = False  # connections, after each answer, without a word
    raw: bytes = b""  # instead of an answer
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    open_count: int = 0  # connections
    _connections: int = 0
    _tasks: set[Any] = field(default_factory=set)
    _server: Any = None

    async def start(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def taken(self) -> list[str]:
        return [request.ref for request in self.requests]

    async def until(self, count: int, timeout_s: float = 15.0) -> list[Request]:
        """Wait for so many requests."""
        async with asyncio.timeout(timeout_s):
            while len(self.requests) < count:
                await asyncio.sleep(0.01)
        return self.requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self._connections += 1
        self.open_count += 1
        number = self._connections
        try:
            while (request := await _read(reader, number)) is not None:
                self.requests.append(request)
                await asyncio.sleep(self.delay_s)
                if self.raw:
                    writer.write(self.raw)
                    await writer.drain()
                    return
                status, more = self.answer(request)
                headers = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n".encode())
                await writer.drain()
                if self.closes:
                    return
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.open_count -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    state = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = state.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65_536)
            if not data:
                return None
            state.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Request(head.target.decode(), headers, body, connection)
