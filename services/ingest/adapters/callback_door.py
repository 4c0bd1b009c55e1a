"""The door that providers call: HTTP in, one durable answer out.

A bare ASGI callable: a web framework would cost as much as everything else that happens here.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from libs.runtime import logs, metrics
from libs.runtime.accounts import Account, Accounts
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.clock import Clock
from services.ingest.adapters.link_door import LinkDoor
from services.ingest.adapters.request_body import (
    BodyDesk,
    BodyLimits,
    BodyRefused,
    Receive,
    SenderLeft,
)
from services.ingest.adapters.seldom_log import SeldomLog
from services.ingest.log_events import LogEvent
from services.ingest.providers.provider import Answer, AsksOutside, Callback, Provider, Refused
from services.ingest.providers.registry import BY_NAME, PROVIDERS
from services.ingest.record_callback import DoorBook, EventSink, record_callback
from services.ingest.record_outside_callback import Outside, record_outside_callback
from services.ingest.wrap_links import LINKS_PATH

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ProbeAnswer = Callable[[str], tuple[int, bytes, bytes]]

_log = logs.get_logger()
_callbacks = metrics.counter(
    "ingest_callbacks_total", "Callbacks answered", ("provider", "http_status")
)
_in_flight = metrics.gauge("ingest_requests_in_flight", "Callbacks worked on at this moment")
_body_bytes = metrics.gauge("ingest_bytes_in_flight", "Bytes of bodies held at this moment")

PREFIX = "/callbacks/"
_CLOSE = (b"connection", b"close")


class DoorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the door."""

    body: BodyLimits = BodyLimits()
    requests_in_flight_max: int = 2_000
    retry_after_s: int = 2
    signature_age_s_max: int = 0


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
        self._links = links
        self._outside = outside
        self._doors = doors
        self._accounts = accounts
        self._events = events
        self._clock = clock
        self._limits = limits
        self._public_url = public_url.rstrip("/")
        self._probes = probes
        self._desk = BodyDesk(limits.body)
        self._seldom = SeldomLog()
        self._retry_after = (b"retry-after", str(limits.retry_after_s).encode())
        self._counters: dict[tuple[str, int], Any] = {}
        self._stored = {
            provider.name: _messages(
                provider.answer.http_status,
                provider.answer.body,
                [(b"content-type", provider.answer.content_type.encode())],
            )
            for provider in PROVIDERS
        }
        # Asking every provider each time would cost more than the rest of the door.
        self._asking = {each.name: each for each in PROVIDERS if isinstance(each, AsksOutside)}
        self._requests_in_flight = 0
        _in_flight.set_function(lambda: self._requests_in_flight)
        _body_bytes.set_function(lambda: self._desk.bytes_in_flight)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if self._links is not None and path.startswith(LINKS_PATH):
            await _send(send, *await self._links.answer(scope))
            return
        if not path.startswith(PREFIX):
            status, content_type, body = self._probes(path)
            await _send(send, status, body, [(b"content-type", content_type)])
            return
        names = path[len(PREFIX) :].split("/")
        account = self._accounts.find(*names) if len(names) == 2 else None
        provider = BY_NAME.get(names[0])
        if account is None or provider is None:
            await _send(send, 404, b"not found\n", [])
            return
        try:
            answer, more = await self._answer(scope, receive, account, provider)
        except SenderLeft:
            return
        self._count(provider.name, answer.http_status)
        if answer is provider.answer:
            # Nearly all answers: the same few bytes each time.
            head, tail = self._stored[provider.name]
            await send(head)
            await send(tail)
            return
        headers = [(b"content-type", answer.content_type.encode()), *more]
        await _send(send, answer.http_status, answer.body, headers)

    async def _answer(
        self,
        scope: MutableMapping[str, Any],
        receive: Receive,
        account: Account,
        provider: Provider,
    ) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        method: str = scope["method"]
        if method == "HEAD":
            # Somebody looks whether the address is there.
            return Answer(), []
        if method not in provider.methods:
            allow = ", ".join(sorted(provider.methods | {"HEAD"}))
            return Answer(405), [(b"allow", allow.encode()), _CLOSE]
        if self._requests_in_flight >= self._limits.requests_in_flight_max:
            return self._postponed(account, "requests_in_flight")
        self._requests_in_flight += 1
        try:
            body = await self._desk.take(receive, scope["headers"])
            try:
                return await self._record(self._callback(scope, body), account, provider)
            finally:
                self._desk.give_back(body)
        except BodyRefused as refused:
            if refused.http_status == 503:
                return self._postponed(account, "bytes_in_flight")
            return Answer(refused.http_status), [_CLOSE]
        except BrokerUnavailable:
            return self._postponed(account, "broker")
        except SenderLeft:
            raise
        except Exception as error:
            crashed: LogEvent = "door.crashed"
            _log.error(crashed, provider=provider.name, exc_info=error)
            return Answer(503), [self._retry_after]
        finally:
            self._requests_in_flight -= 1

    def _callback(self, scope: MutableMapping[str, Any], body: bytes) -> Callback:
        query = scope["query_string"].decode("latin-1")
        url = f"{self._public_url}{scope['path']}"
        return Callback(
            method=scope["method"],
            query=query,
            headers={name.decode("latin-1"): value.decode("latin-1")
                     for name, value in scope["headers"]},
            body=body,
            external_url=f"{url}?{query}" if query else url,
            receive_time_us=self._clock.now_us(),
            signature_age_s_max=self._limits.signature_age_s_max,
        )  # fmt: skip

    async def _record(
        self, callback: Callback, account: Account, provider: Provider
    ) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        asking = self._asking.get(provider.name)
        if asking is None or self._outside is None:
            outcome = await record_callback(callback, account, provider, self._events, self._doors)
        else:
            outcome = await record_outside_callback(
                callback, account, asking, self._events, self._outside, self._doors
            )
        if isinstance(outcome, Refused):
            if outcome.http_status == 401 and self._doors is not None:
                self._doors.refused(account)
            refused: LogEvent = "callback.refused"
            self._seldom.warning(
                refused,
                (account.provider, account.account, outcome.reason),
                provider=account.provider,
                account=account.account,
                reason=outcome.reason,
                http_status=outcome.http_status,
            )
            more = [self._retry_after] if outcome.http_status == 503 else []
            return Answer(outcome.http_status), more
        return outcome, []

    def _postponed(self, account: Account, why: str) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        postponed: LogEvent = "callback.postponed"
        self._seldom.warning(
            postponed,
            (account.provider, account.account, why),
            provider=account.provider,
            account=account.account,
            why=why,
        )
        return Answer(503), [self._retry_after]

    def _count(self, provider: str, http_status: int) -> None:
        # Looking a labelled counter up costs more than counting.
        counter = self._counters.get((provider, http_status))
        if counter is None:
            counter = _callbacks.labels(provider, str(http_status))
            self._counters[provider, http_status] = counter
        counter.inc()


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    for message in _messages(status, body, headers):
        await send(message)


def _messages(
    status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    headers = [
        (b"content-length", str(len(body)).encode()),
        # What we echo (a challenge) must never be read as a page.
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
