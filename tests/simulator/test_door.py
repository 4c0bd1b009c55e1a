"""The simulator's callbacks are retried as a provider retries them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.simulator.callback import Callback
from libs.simulator.door import Door, DoorClosed

CALLBACK = Callback(headers=(("X-Test", "1"),), body=b'{"a":1}', update_count=1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class ScriptedDoor:
    """A real server on a real socket that gives the scripted answers; None hangs up."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    return
                writer.write(answer)
        except EOFError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_door(script: ScriptedDoor) -> AsyncIterator[Door]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = Door(f"http://127.0.0.1:{port}/callbacks/meta/acct_1")
    yield door
    await door.close()
    server.close()
    await server.wait_closed()


async def deliver_all(script: ScriptedDoor, count: int) -> list[int]:
    async with a_door(script) as door:
        return [await door.deliver(CALLBACK) for _ in range(count)]


def test_answered_callbacks_share_a_connection() -> None:
    """A connection per callback would measure the network stack, not the door."""
    script = ScriptedDoor(OK, CHUNKED, OK)

    retries = asyncio.run(deliver_all(script, 3))

    assert retries == [0, 0, 0]
    assert (script.connections, len(script.bodies)) == (1, 3)


def test_busy_and_broken_answers_are_retried_with_the_same_bytes() -> None:
    """Only 200 means taken: 503 and a lost connection both mean "again"."""
    script = ScriptedDoor(BUSY, None, OK)

    retries = asyncio.run(deliver_all(script, 1))

    assert retries == [2]
    assert script.bodies == [CALLBACK.body] * 3


def test_a_refusal_is_told_at_once() -> None:
    """A wrong secret never becomes right by repetition."""
    with pytest.raises(DoorClosed, match="401"):
        asyncio.run(deliver_all(ScriptedDoor(REFUSED), 1))
