"""Errors of services pass; everything else becomes our own words, without internals."""

import asyncio
from typing import Any

import grpc
import pytest

from libs.runtime.rpc_errors import NotFound, Unauthenticated, Unavailable, abort
from tests.gateway.errors import failure_of
from tests.gateway.stand_ins import Backend, call

_GET_MESSAGE = "/bluetick.v1.MessageService/GetMessage"
_RECORD = "/bluetick.v1.IngestService/RecordMessages"
_WATCH = "/bluetick.v1.MessageService/WatchChanges"


async def test_a_services_rich_error_passes_untouched(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """The service knows best why; callers build on its reason and metadata."""

    async def respond(_request: bytes, context: Any) -> None:
        error = NotFound("No such message.", reason="MESSAGE_NOT_FOUND", metadata={"ref": "m-1"})
        await abort(context, error, "id-of-the-service")

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert (failure.code, failure.text) == (grpc.StatusCode.NOT_FOUND, "No such message.")
    assert failure.reason == "MESSAGE_NOT_FOUND"
    assert failure.info.metadata["ref"] == "m-1"
    assert failure.request_id == "id-of-the-service"


async def test_a_streams_rich_error_passes_untouched(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """A watcher who was too slow learns it from the error at the end of the stream."""

    async def stream(_request: bytes, context: Any) -> None:
        await context.write(b"first")
        await abort(context, NotFound("Gone.", reason="CURSOR_TOO_OLD"))

    backend.status.stream = stream
    metadata = (("authorization", "Bearer reader-key-of-demo"),)

    call_ = channel.unary_stream(_WATCH)(b"", metadata=metadata, timeout=5)
    first = await call_.read()
    failure = await failure_of(call_.read())

    assert first == b"first"
    assert failure.reason == "CURSOR_TOO_OLD"


async def test_a_service_that_is_down_is_unavailable_with_a_time_to_come_back(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Callers retry by the book; they learn no address of ours."""
    port = backend.ingest.target.rpartition(":")[2]
    await backend.ingest.stop()

    failure = await failure_of(call(channel, _RECORD, metadata=(("x-request-id", "mine"),)))

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason == "SERVICE_UNAVAILABLE"
    assert failure.info.metadata["service"] == "ingest"
    assert failure.retry_s == 1.0
    assert failure.request_id == "mine"
    assert "127.0.0.1" not in failure.text
    assert port not in failure.text


async def test_the_other_services_stay_reachable_while_one_is_down(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Reports must not end because ingest does."""
    await backend.ingest.stop()

    assert await call(channel, _GET_MESSAGE, b"here") == b"here"


async def test_a_service_that_comes_back_is_used_again(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """No restart of the gateway, no long wait."""
    port = int(backend.ingest.target.rpartition(":")[2])
    await backend.ingest.stop()
    await failure_of(call(channel, _RECORD))

    await backend.ingest.start(port)

    async with asyncio.timeout(8):
        while True:
            try:
                assert await call(channel, _RECORD, b"back") == b"back"
                return
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                await asyncio.sleep(0.1)


async def test_a_service_that_says_when_to_come_back_is_not_asked_again_at_once(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Trying again under overload makes overload; only lost connections are tried twice."""

    async def respond(_request: bytes, context: Any) -> None:
        await abort(context, Unavailable("The database is away.", retry_s=7))

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert failure.retry_s == 7
    assert len(backend.status.received) == 1


async def test_a_write_is_never_tried_twice(channel: grpc.aio.Channel, backend: Backend) -> None:
    """Whether the first try arrived cannot be known; the caller decides."""

    async def respond(_request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    backend.ingest.respond = respond

    failure = await failure_of(call(channel, _RECORD))

    assert failure.reason == "SERVICE_UNAVAILABLE"
    assert len(backend.ingest.received) == 1


async def test_a_write_that_no_handler_saw_is_tried_at_another_replica(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """A replica that stops drops what arrives in that instant, and only that, as CANCELLED."""

    async def respond(request: bytes, context: Any) -> bytes:
        if len(backend.ingest.received) == 1:
            await context.abort(grpc.StatusCode.CANCELLED, "")
        return request

    backend.ingest.respond = respond

    assert await call(channel, _RECORD, b"taken") == b"taken"
    assert len(backend.ingest.received) == 2


async def test_a_lost_read_is_tried_twice_and_no_more(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """The second try may meet another replica; a third would only add load."""

    async def respond(_request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    backend.status.respond = respond

    await failure_of(call(channel, _GET_MESSAGE))

    assert len(backend.status.received) == 2


async def test_a_slow_service_ends_with_the_callers_deadline(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """The caller never waits longer than it said."""

    async def respond(_request: bytes, _context: Any) -> bytes:
        await asyncio.sleep(20)
        return b""

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE, timeout_s=0.3))

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNIMPLEMENTED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_an_error_without_details_gets_ours_and_loses_its_text(
    channel: grpc.aio.Channel,
    backend: Backend,
    code: grpc.StatusCode,
    expected: grpc.StatusCode,
) -> None:
    """Such texts come from transports and tracebacks; they hold addresses and code."""

    async def respond(_request: bytes, context: Any) -> None:
        await context.abort(code, "secret internals at 10.0.0.7")

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert failure.code is expected
    assert failure.reason
    assert failure.request_id
    assert "internals" not in failure.text


async def test_a_crash_in_a_service_shows_no_code(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """gRPC sends the text of an exception to the caller unless somebody stops it."""

    async def respond(_request: bytes, _context: Any) -> bytes:
        raise ValueError("password=hunter2")

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert failure.code is grpc.StatusCode.INTERNAL
    assert "hunter2" not in failure.text


async def test_a_plain_but_meant_error_keeps_its_code_and_text(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """A service may answer without details; the code then stands for the reason."""

    async def respond(_request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "page_size: at most 1,000")

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.text == "page_size: at most 1,000"
    assert failure.reason == "INVALID_ARGUMENT"


async def test_a_gateway_whose_token_is_refused_does_not_blame_the_callers_key(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """A wrong internal token is our mistake; the caller would look for theirs in vain."""

    async def respond(_request: bytes, context: Any) -> None:
        await abort(context, Unauthenticated("no", reason="INTERNAL_TOKEN_WRONG"))

    backend.status.respond = respond

    failure = await failure_of(call(channel, _GET_MESSAGE))

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.reason == "SERVICE_UNAVAILABLE"
