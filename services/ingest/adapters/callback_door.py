"""The door that providers call: HTTP in, one durable answer out.

A bare ASGI callable: a web framework would cost as much as everything else that happens here. It is
the long way, which every request can go; plain callbacks take the short one (`short_way.py`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from libs.runtime.accounts import Account, Accounts
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from services.ingest.adapters.callback_desk import CallbackDesk, DoorLimits
from services.ingest.adapters.door_replies import CLOSE, Reply, reply, reply_of
from services.ingest.adapters.doorways import PREFIX, Doorway
from services.ingest.adapters.link_door import LinkDoor
from services.ingest.adapters.request_body import BodyRefused, Receive, SenderLeft
from services.ingest.adapters.short_way import BODY_BYTES_MAX
from services.ingest.adapters.turns import WaitedTooLong
from services.ingest.domain.fair_share import Party
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Answer, Callback, Provider, Refused
from services.ingest.record_callback import (
    DoorBook,
    EventSink,
    ReadCallback,
    read_callback,
    record_callback,
)
from services.ingest.record_outside_callback import Outside, record_outside_callback
from services.ingest.wrap_links import LINKS_PATH

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ProbeAnswer = Callable[[str], tuple[int, bytes, bytes]]

# A callback is kept with its query; those of providers who report in it are 2 KB at most.
QUERY_BYTES_MAX = 16 * 1024


def _address(scope: MutableMapping[str, Any]) -> str:
    client = scope.get("client")
    return client[0] if client else ""


class CallbackDoor:
    """Answers callbacks, tracked links, and the probes /healthz, /readyz and /metrics."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        events: EventSink,
        clock: Clock,
        limits: DoorLimits,
        public_url: str,
        probes: ProbeAnswer,
        outside: Outside | None = None,
        links: LinkDoor | None = None,
        doors: DoorBook | None = None,
    ) -> None:
        """Serve ``accounts``; ``probes`` answers paths that are neither callbacks nor links.

        Without ``outside`` nothing is ever called, without ``links`` none is followed.
        """
        self.desk = CallbackDesk(
            accounts=accounts,
            clock=clock,
            limits=limits,
            public_url=public_url,
            doors=doors,
            is_outside_asked=outside is not None,
            link_keys=None if links is None else links.keyring,
        )
        self._links = links
        self._outside = outside
        self._events = events
        self._probes = probes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        said = await self._reply(scope, receive)
        if said is not None:
            if delay_s := self.desk.delay_s(said, _address(scope)):
                await asyncio.sleep(delay_s)
            head, tail = said.messages()
            await send(head)
            await send(tail)

    async def _reply(self, scope: MutableMapping[str, Any], receive: Receive) -> Reply | None:
        path: str = scope["path"]
        if self._links is not None and path.startswith(LINKS_PATH):
            status, body, headers = await self._links.answer(scope)
            return reply(status, body, *headers)
        if not path.startswith(PREFIX):
            status, content_type, body = self._probes(path)
            return reply(status, body, (b"content-type", content_type))
        doorway = self.desk.find(path)
        if doorway is None:
            return self.desk.unknown()
        return await self._answer(scope, receive, doorway)

    async def _answer(
        self, scope: MutableMapping[str, Any], receive: Receive, doorway: Doorway
    ) -> Reply | None:
        began = time.perf_counter()
        method: str = scope["method"]
        body = b""
        said: Reply | None
        if method == "HEAD":
            # Somebody looks whether the address is there.
            said = reply_of(Answer())
        elif method not in doorway.provider.methods:
            allow = ", ".join(sorted(doorway.provider.methods | {"HEAD"}))
            said = reply_of(Answer(405), (b"allow", allow.encode()), CLOSE)
        elif len(scope["query_string"]) > QUERY_BYTES_MAX:
            said = reply_of(Answer(414), CLOSE)
        else:
            party = self.desk.party(doorway, _address(scope))
            if self.desk.has_room(party):
                body, said = await self._take(scope, receive, doorway, party)
            else:
                said = self.desk.postponed(doorway, "requests_in_flight")
        if said is not None:
            self.desk.count(doorway, said.http_status, len(body), began)
        return said

    async def _take(
        self, scope: MutableMapping[str, Any], receive: Receive, doorway: Doorway, party: Party
    ) -> tuple[bytes, Reply | None]:
        """Return the body and what its sender hears; None if nobody is there to hear it."""
        desk = self.desk
        body = b""
        desk.begin(party)
        try:
            limit = doorway.body_bytes_max
            body = await desk.bodies.take(receive, scope["headers"], party, limit)
            if (refusal := desk.over_limit(doorway, len(body))) is not None:
                return body, refusal
            query = scope["query_string"].decode("latin-1")
            callback = desk.callback(doorway, scope["method"], query, dict(scope["headers"]), body)
            return body, desk.reply(doorway, await self._record_in_turn(callback, doorway, party))
        except BodyRefused as refused:
            if refused.http_status == 503:
                return body, desk.postponed(doorway, "bytes_in_flight")
            return body, desk.too_large(doorway)
        except BrokerUnavailable:
            return body, desk.postponed(doorway, "broker")
        except WaitedTooLong:
            return body, desk.postponed(doorway, "turn")
        except SenderLeft:
            return body, None
        except Exception as error:
            return body, desk.crashed(doorway, error)
        finally:
            desk.end(party, len(body))

    async def _record_in_turn(
        self, callback: Callback, doorway: Doorway, party: Party
    ) -> Answer | Refused:
        if len(callback.body) <= BODY_BYTES_MAX:
            await self.desk.turns.small(party)
            return await self._record(callback, doorway, partial(self._read, doorway, party))
        async with self.desk.turns.large(party):
            return await self._record(callback, doorway, partial(self._read, doorway, party))

    async def _record(
        self, callback: Callback, doorway: Doorway, read: ReadCallback
    ) -> Answer | Refused:
        account, doors = doorway.account, self.desk.doors
        if doorway.asking is None or self._outside is None:
            return await record_callback(
                callback, account, doorway.provider, self._events, doors, read=read
            )
        return await record_outside_callback(
            callback, account, doorway.asking, self._events, self._outside, doors, read=read
        )

    def _read(
        self,
        doorway: Doorway,
        party: Party,
        callback: Callback,
        account: Account,
        provider: Provider,
    ) -> Answer | Refused | Reading:
        """Read, and note for whom how long."""
        began = time.perf_counter()
        try:
            return read_callback(callback, account, provider, doorway.parse)
        finally:
            self.desk.turns.spent(party, began)
