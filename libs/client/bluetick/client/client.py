"""The client: typed stubs over a channel that knows key, deadline, request id and retries."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from bluetick.client.errors import CallFailed
from bluetick.client.retries import Budget, Retries
from bluetick.client.watching import Changes
from bluetick.v1.analytics_service_pb2_grpc import AnalyticsServiceStub
from bluetick.v1.campaign_service_pb2_grpc import CampaignServiceStub
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceStub
from bluetick.v1.message_service_pb2 import ChangeFilter, WatchChangesRequest
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub

ResponseT = TypeVar("ResponseT")

# A gateway that comes back is found within two seconds; a silent connection after 80.
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


class Client:
    """Calls one gateway with one API key.

    ``ingest``, ``campaigns``, ``messages`` and ``analytics`` are the generated stubs. Each of their
    calls gets a deadline (``timeout_s`` unless it says its own), a request id, and other tries
    where they can do no harm; what fails raises ``CallFailed``.
    """

    def __init__(
        self,
        gateway: str,
        *,
        api_key: str,
        timeout_s: float = 10.0,
        retries: Retries | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Build it; it connects with the first call.

        Args:
            gateway: host:port.
            api_key: gives tenant and role.
            timeout_s: of a call that says none, all its tries together, seconds.
            retries: how calls are tried again.
            credentials: for TLS; None: in clear.
        """
        calls = _Calls(api_key, timeout_s, Budget(retries or Retries()))
        # Streams are tried again by whoever reads them, where they left off.
        interceptors = [calls, _Streams(api_key)]
        if credentials is None:
            channel = grpc.aio.insecure_channel(gateway, _OPTIONS, interceptors=interceptors)
        else:
            channel = grpc.aio.secure_channel(
                gateway, credentials, _OPTIONS, interceptors=interceptors
            )
        self._channel = channel
        self.ingest = IngestServiceStub(channel)
        self.campaigns = CampaignServiceStub(channel)
        self.messages = MessageServiceStub(channel)
        self.analytics = AnalyticsServiceStub(channel)

    async def __aenter__(self) -> Self:
        """Use it until the block ends."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that run end."""
        await self._channel.close()

    def changes(
        self,
        *,
        cursor: str = "",
        start_time: datetime | None = None,
        filter: ChangeFilter | None = None,
        is_coalescing: bool = False,
        memory: int = 100_000,
    ) -> Changes:
        """Follow the tenant's changes, for as long as you like.

        Outages, restarts and the age of streams are waited out; nothing is left out, and what comes
        again is given once.

        Args:
            cursor: from ``Changes.cursor``, of a run before; empty: from ``start_time``.
            start_time: begin with what was stored then or later; None: with what comes.
            filter: which changes.
            is_coalescing: of several changes of one message that wait, give the last one only.
            memory: changes that are remembered as given, so that none is given twice.
        """
        request = WatchChangesRequest(cursor=cursor, is_coalescing=is_coalescing)
        if filter is not None:
            request.filter.CopyFrom(filter)
        if start_time is not None:
            request.start_time.FromDatetime(start_time)
        return Changes(self.messages.WatchChanges, request, memory)

    async def pages(
        self, method: Callable[[Any], Awaitable[ResponseT]], request: Any
    ) -> AsyncIterator[ResponseT]:
        """Give the answers of a call that has pages, one after the other; ``request`` is kept."""
        question = type(request)()
        question.CopyFrom(request)
        while True:
            page = await method(question)
            yield page
            question.page_token = getattr(page, "next_page_token")  # noqa: B009 of any response
            if not question.page_token:
                return


class _Calls(grpc.aio.UnaryUnaryClientInterceptor):
    """What every call with one answer gets."""

    def __init__(self, api_key: str, timeout_s: float, budget: Budget) -> None:
        self._key = ("authorization", f"Bearer {api_key}")
        self._timeout_s = timeout_s
        self._budget = budget

    async def intercept_unary_unary(
        self, continuation: Any, details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Call until it is answered, or may not be tried again."""
        loop = asyncio.get_running_loop()
        metadata = _metadata(details, self._key)
        request_id = next(value for name, value in metadata if name == "x-request-id")
        path = _text(details.method)
        end = loop.time() + (details.timeout or self._timeout_s)
        tries = 0
        while True:
            tries += 1
            call = await continuation(
                _with(details, metadata, max(end - loop.time(), 0.001)), request
            )
            try:
                await call
            except grpc.aio.AioRpcError as error:
                failure = CallFailed(error, str(request_id))
                pause_s = self._budget.pause_s(failure, path, tries)
                if pause_s is None or loop.time() + pause_s >= end:
                    raise failure from None
                await asyncio.sleep(pause_s)
                continue
            self._budget.succeeded()
            return call


class _Streams(grpc.aio.UnaryStreamClientInterceptor):
    """What every call with many answers gets."""

    def __init__(self, api_key: str) -> None:
        self._key = ("authorization", f"Bearer {api_key}")

    async def intercept_unary_stream(
        self, continuation: Any, details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Call once."""
        metadata = _metadata(details, self._key)
        return await continuation(_with(details, metadata, details.timeout), request)


def _with(
    details: grpc.aio.ClientCallDetails, metadata: grpc.aio.Metadata, timeout_s: float | None
) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        details.method, timeout_s, metadata, details.credentials, details.wait_for_ready
    )


def _metadata(details: grpc.aio.ClientCallDetails, key: tuple[str, str]) -> grpc.aio.Metadata:
    given = tuple(details.metadata or ())
    if not any(name == "x-request-id" for name, _ in given):
        given = (*given, ("x-request-id", uuid.uuid4().hex))
    return grpc.aio.Metadata(*given, key)


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
