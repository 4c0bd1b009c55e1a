"""Changes as JSON over HTTP, for whoever has neither protobuf nor a broker: server-sent events.

``GET /v1/changes`` is one call of WatchChanges at this gateway's own gRPC door: key, role, budgets,
drain and errors are the same. A change is one event, in protobuf's JSON form. The id of an event is
a cursor: clients of this format send the last one when they come again (``Last-Event-ID``).
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import grpc
import msgspec
from bluetick.v1.message_service_pb2 import WatchChangesRequest, WatchChangesResponse
from bluetick.v1.message_service_pb2_grpc import MessageServiceStub
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PATH: Final = "/v1/changes"
_CODES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.OUT_OF_RANGE: 410,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_OURS: Final = 500
_QUERY_BYTES_MAX: Final = 16 * 1024
# Words of these fields may be short: states=delivered.
_ENUMS: Final = {"states": "MESSAGE_STATE_", "channels": "CHANNEL_"}
_OWN: Final = ("cursor", "start_time", "is_coalescing")
# Where an address to listen on is reached from here.
_NEAR: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 not to listen on
_YES: Final = {"true": True, "1": True, "false": False, "0": False}


class EventDoor:
    """The ASGI part that answers ``GET /v1/changes``."""

    def __init__(self) -> None:
        """Build it; it answers 503 until ``open``."""
        self._channel: grpc.aio.Channel | None = None

    def open(self, host: str, port: int) -> None:
        """Call the gRPC door that listens there."""
        near = _NEAR.get(host, host)
        self._channel = grpc.aio.insecure_channel(
            f"{near}:{port}", (("grpc.max_receive_message_length", 16 * 1024 * 1024),)
        )

    async def answer(self, asgi: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Send events until the watch ends or the client leaves."""
        if self._channel is None:
            await _refuse(send, 503, {"reason": "STARTING", "message": "Try again.", "retry_s": 1})
            return
        if asgi["method"] != "GET":
            await _refuse(send, 405, {"reason": "METHOD_NOT_ALLOWED", "message": "GET it."})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in asgi["headers"]}
        try:
            request = _request(asgi["query_string"], headers.get(b"last-event-id", ""))
        except (json_format.ParseError, ValueError) as problem:
            await _refuse(send, 400, {"reason": "QUERY_UNREADABLE", "message": str(problem)})
            return
        metadata = tuple(
            (name, headers[name.encode()])
            for name in ("authorization", "x-request-id")
            if name.encode() in headers
        )
        call = MessageServiceStub(self._channel).WatchChanges(request, metadata=metadata)
        leaving = asyncio.create_task(_left(receive, call))
        try:
            await _tell(call, send)
        finally:
            leaving.cancel()
            call.cancel()

    async def close(self) -> None:
        """Close the connection to our own door."""
        if self._channel is not None:
            await self._channel.close()


def _request(query: bytes, last_event_id: str) -> WatchChangesRequest:
    """Return what the query asks for; names are those of the protos' fields."""
    if len(query) > _QUERY_BYTES_MAX:
        raise ValueError(f"The query has more than {_QUERY_BYTES_MAX} bytes.")
    asked: dict[str, Any] = {"filter": {}}
    for name, value in parse_qsl(query.decode("ascii"), keep_blank_values=True):
        if name in _OWN:
            asked[name] = _YES.get(value, value) if name.startswith("is_") else value
        elif name.startswith("is_"):
            asked["filter"][name] = _YES.get(value, value)
        else:
            prefix = _ENUMS.get(name, "")
            word = value.upper() if prefix else value
            if not word.startswith(prefix):
                word = prefix + word
            asked["filter"].setdefault(name, []).append(word)
    if last_event_id:
        asked["cursor"] = last_event_id
        asked.pop("start_time", None)
    found: WatchChangesRequest = json_format.ParseDict(asked, WatchChangesRequest())
    return found


async def _left(receive: Any, call: Any) -> None:
    """End the call when the client goes."""
    while (await receive())["type"] != "http.disconnect":
        continue
    call.cancel()


async def _tell(call: Any, send: Any) -> None:
    try:
        answer = await call.read()
        if answer is grpc.aio.EOF:
            await call.code()
            answer = WatchChangesResponse()
    except grpc.aio.AioRpcError as error:
        await _refuse(send, _CODES.get(error.code(), _OURS), _acts(error))
        return
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while answer is not grpc.aio.EOF:
            await _send_part(send, events_of(answer))
            answer = await call.read()
    except grpc.aio.AioRpcError as error:
        # It began well, so its end is an event; clients of this format come again by themselves.
        await _send_part(send, _event("end", msgspec.json.encode(_acts(error)).decode()))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def events_of(answer: WatchChangesResponse) -> str:
    """Return the events of an answer: the last one has the cursor behind all of them."""
    # A sign of life has no data: it fires nothing, and moves the id.
    place = f"id: {answer.cursor}\n"
    if not answer.changes:
        return f"{place}: alive\n\n"
    told = [f"data: {_json(change)}\n" for change in answer.changes]
    return "\n".join(told[:-1]) + ("\n" if told[1:] else "") + place + told[-1] + "\n"


def _json(message: Message) -> str:
    return json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True)


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


async def _send_part(send: Any, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _refuse(send: Any, status: int, acts: Mapping[str, Any]) -> None:
    body = msgspec.json.encode(acts)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if (retry_s := acts.get("retry_s")) is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(retry_s))))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _acts(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Return reason, text and details, as the gRPC answer has them."""
    acts: dict[str, Any] = {"reason": error.code().name, "message": error.details() or ""}
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            acts |= {"reason": info.reason, "metadata": dict(info.metadata)}
        elif detail.Unpack(retry):
            acts["retry_s"] = retry.retry_delay.ToTimedelta().total_seconds()
    return acts
