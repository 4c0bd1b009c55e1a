"""Two doors that differ in one thing: only one of them has the short way."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bluetick.v1.event_pb2 import EventBatch

from libs.runtime.accounts import Account, Accounts
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.lifecycle import Scope
from libs.runtime.probe_http import QuietServer, serve_until_closed
from services.ingest.adapters.callback_desk import DoorLimits
from services.ingest.adapters.callback_door import CallbackDoor
from services.ingest.adapters.connection_book import ConnectionLimits
from services.ingest.adapters.http_server import door_config
from services.ingest.adapters.request_body import BodyLimits
from services.ingest.adapters.shared_message import Done
from services.ingest.adapters.short_way import ShortWay
from services.ingest.domain.packed_events import PackedEvents
from tests.ingest.fuzzed_doors import targets
from tests.ingest.meta_bodies import NOW_US

BODY_BYTES_MAX = 20_000
_ANSWER = re.compile(rb"HTTP/1\.1 [2-5]")


# What is compared must not be a matter of its pace.
_LIMITS = {"body": BodyLimits(body_bytes_max=BODY_BYTES_MAX), "refusals_per_s_max": 1e6}
_CONNECTIONS = ConnectionLimits(request_timeout_s=0.2)


class FixedClock:
    """One moment for both doors."""

    def now_us(self) -> int:
        return NOW_US


class KeepingSink:
    """Keeps what is stored; while ``is_away``, nothing is. Answers in a later turn of the loop."""

    def __init__(self) -> None:
        self.stored: list[list[bytes]] = []
        self.soon_count = 0
        self.is_away = False

    async def submit(self, batch: EventBatch | None, packed: PackedEvents | None = None) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise BrokerUnavailable("away")
        self._keep(_unpacked(batch, packed))

    def submit_soon(
        self, batch: EventBatch | None, done: Done, packed: PackedEvents | None = None
    ) -> None:
        self.soon_count += 1
        if self.is_away:
            done(BrokerUnavailable("away"))
            return
        self._keep(_unpacked(batch, packed))
        asyncio.get_running_loop().call_later(0.001, done, None)

    def _keep(self, batch: EventBatch) -> None:
        # Events of a callback are in no particular order; a callback without any is no message.
        items = [event.SerializeToString(deterministic=True) for event in batch.events]
        items += [part.SerializeToString(deterministic=True) for part in batch.quarantined]
        if items:
            self.stored.append(sorted(items))


def _unpacked(batch: EventBatch | None, packed: PackedEvents | None) -> EventBatch:
    whole = batch.SerializeToString() if batch is not None else b""
    return EventBatch.FromString(whole + (packed.payload() if packed is not None else b""))


class Book:
    """Notes what the door says went through."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def took(self, account: Account, receive_time_us: int, occur_time_us: int) -> None:
        self.lines.append(("took", account.account, receive_time_us, occur_time_us))

    def refused(
        self, account: Account, reason: str = "", cure: str = "", *, is_unproven: bool = True
    ) -> None:
        self.lines.append(("refused", account.account, reason, cure, is_unproven))


@dataclass
class OneDoor:
    """A door on a port of its own, and everything that came of what was sent to it."""

    port: int
    sink: KeepingSink
    book: Book
    door: CallbackDoor

    def forget(self, *, is_away: bool) -> None:
        """Begin anew, with a broker that is away or not."""
        self.sink.stored.clear()
        self.sink.is_away = is_away
        self.book.lines.clear()

    async def send(self, pieces: Sequence[bytes], count: int = 0, rest: bytes = b"") -> bytes:
        """Send on a connection of its own; return all that was answered until it was closed.

        ``rest`` is sent when ``count`` requests in ``pieces`` are answered.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        heard = bytearray()
        try:
            async with asyncio.timeout(10):
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        writer.write(piece)
                        await writer.drain()
                        await asyncio.sleep(0.002)
                while rest and len(_ANSWER.findall(heard)) < count:
                    if not (said := await reader.read(65_536)):
                        return bytes(heard)
                    heard += said
                with contextlib.suppress(OSError):
                    writer.write(rest)
                    await writer.drain()
                return bytes(heard) + await reader.read()
        except OSError:
            return b"reset"
        finally:
            writer.close()


@dataclass
class TwoDoors:
    """The same accounts behind both."""

    short: OneDoor
    long: OneDoor
    limits: dict[str, Any] = field(default_factory=dict)

    def both(self) -> tuple[OneDoor, OneDoor]:
        """Both doors."""
        return self.short, self.long


@asynccontextmanager
async def two_doors(
    *, connections: ConnectionLimits = _CONNECTIONS, **limits: Any
) -> AsyncIterator[TwoDoors]:
    """Open both; ``limits`` are those of the door."""
    scope = Scope()
    try:
        short = await _open(scope, connections, has_short=True, limits=limits)
        long = await _open(scope, connections, has_short=False, limits=limits)
        yield TwoDoors(short, long, limits)
    finally:
        await scope.close()


async def _open(
    scope: Scope, connections: ConnectionLimits, *, has_short: bool, limits: dict[str, Any]
) -> OneDoor:
    bare = Account(provider="meta", account="bare", tenant="demo")
    accounts = Accounts([bare, *(target.account for target in targets().values())])
    sink, book = KeepingSink(), Book()
    door = CallbackDoor(
        accounts=accounts,
        events=sink,
        clock=FixedClock(),
        limits=DoorLimits(**{**_LIMITS, **limits}),
        public_url="https://hooks.example.com",
        probes=lambda _path: (404, b"text/plain", b"not found\n"),
        doors=book,
    )
    config = door_config(
        door,
        host="127.0.0.1",
        port=0,
        limits=connections,
        refusals=door.desk.refusals,
        drain_s=2,
        short_way=ShortWay(door.desk, sink) if has_short else None,
    )
    server = QuietServer(config)
    await serve_until_closed(server, scope, f"door_{has_short}")
    port = int(server.servers[0].sockets[0].getsockname()[1])
    return OneDoor(port, sink, book, door)
