"""Changes as JSON over HTTP: server-sent events from a real gateway before a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from bluetick.v1 import change_pb2
from bluetick.v1 import common_pb2 as words
from bluetick.v1 import message_service_pb2 as pb
from bluetick.v1 import message_service_pb2_grpc as rpc
from google.protobuf import json_format

from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_errors import OutOfRange
from libs.runtime.rpc_server import RpcServer
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import build
from tests.gateway.conftest import TOKEN
from tests.gateway.ports import free_port

READER = {"authorization": "Bearer reader-key-of-demo"}


def a_change(number: int) -> change_pb2.MessageChanged:
    image = change_pb2.MessageImage(state=words.MESSAGE_STATE_READ)
    return change_pb2.MessageChanged(message_ref=f"ref-{number}", version=number, new_image=image)


class _Watches(rpc.MessageServiceServicer):
    """Tells two changes, a sign of life and a third one, then stays open."""

    def __init__(self) -> None:
        self.asked: list[pb.WatchChangesRequest] = []
        self.left = asyncio.Event()

    async def WatchChanges(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked.append(request)
        if request.cursor == "gone":
            raise OutOfRange("gone", reason="CURSOR_EXPIRED", metadata={"oldest_cursor": "old"})
        try:
            yield pb.WatchChangesResponse(cursor="a", changes=[a_change(1), a_change(2)])
            yield pb.WatchChangesResponse(cursor="b")
            yield pb.WatchChangesResponse(cursor="c", changes=[a_change(3)])
            await asyncio.sleep(60)
        finally:
            self.left.set()


@pytest.fixture
async def watches() -> _Watches:
    return _Watches()


@pytest.fixture
async def web(watches: _Watches, settings: GatewaySettings) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway's web door."""
    behind, scope, port = Scope(), Scope(), free_port()
    server = RpcServer(
        internal_token=TOKEN,
        services=[(rpc.add_MessageServiceServicer_to_server, watches, "bluetick.v1.M")],
    )
    target = f"dns:///127.0.0.1:{await server.start('127.0.0.1', 0, behind)}"
    await build(
        scope,
        settings.model_copy(update={"gateway_status_target": target, "gateway_web_port": port}),
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield client
    await scope.close()
    await behind.close()


async def events(web: httpx.AsyncClient, count: int, **request: Any) -> list[tuple[str, Any]]:
    """Read as a browser does: (last id, data) of each event that fires."""
    found: list[tuple[str, Any]] = []
    last, data = "", ""
    async with web.stream("GET", "/v1/changes", **request) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                last = line.removeprefix("id: ")
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
            elif not line and data:
                found.append((last, json.loads(data)))
                data = ""
                if len(found) == count:
                    break
    return found


async def test_each_change_is_an_event_in_json_with_a_place_to_come_back_to(
    web: httpx.AsyncClient, watches: _Watches
) -> None:
    """A change whose answer is not whole yet moves no place: none is lost when the line breaks."""
    found = await events(web, 3, headers=READER)

    assert [last for last, _ in found] == ["", "a", "c"]
    for number, (_, data) in enumerate(found, 1):
        assert json_format.ParseDict(data, change_pb2.MessageChanged()) == a_change(number)
    # The client has left: nothing is watched for it any more.
    await asyncio.wait_for(watches.left.wait(), 5)


async def test_the_query_is_the_request_and_a_client_that_comes_again_says_where_it_was(
    web: httpx.AsyncClient, watches: _Watches
) -> None:
    """The names are those of the protos."""
    query = (
        "start_time=2026-11-01T00:00:00Z&is_coalescing=true&states=delivered"
        "&states=MESSAGE_STATE_READ&campaign_ids=spring&channels=sms&providers=meta&is_final_only=1"
    )
    await events(web, 1, params=query, headers=READER)
    await events(web, 1, params=query, headers={**READER, "Last-Event-ID": "a"})

    first, again = watches.asked
    assert first.filter == pb.ChangeFilter(
        states=[words.MESSAGE_STATE_DELIVERED, words.MESSAGE_STATE_READ],
        campaign_ids=["spring"],
        channels=[words.CHANNEL_SMS],
        providers=["meta"],
        is_final_only=True,
    )
    assert first.is_coalescing
    assert first.start_time.ToJsonString() == "2026-11-01T00:00:00Z"
    assert (again.cursor, again.HasField("start_time")) == ("a", False)


@pytest.mark.parametrize(
    ("query", "headers", "code", "reason"),
    [
        ("", {}, 401, "API_KEY_MISSING"),
        ("", {"authorization": "Bearer nobody's"}, 401, "API_KEY_UNKNOWN"),
        ("states=sideways", READER, 400, "QUERY_UNREADABLE"),
        ("colour=red", READER, 400, "QUERY_UNREADABLE"),
        ("is_final_only=perhaps", READER, 400, "QUERY_UNREADABLE"),
        ("cursor=gone", READER, 410, "CURSOR_EXPIRED"),
    ],
)
async def test_a_refusal_is_a_status_with_the_reason_that_grpc_would_give(
    web: httpx.AsyncClient, query: str, headers: dict, code: int, reason: str
) -> None:
    """The same acts, in JSON."""
    answer = await web.get("/v1/changes", params=query, headers=headers)

    assert (answer.status_code, answer.json()["reason"]) == (code, reason)
    assert answer.json()["message"]


async def test_the_door_is_read_only(web: httpx.AsyncClient) -> None:
    """And the probes beside it still answer."""
    assert (await web.post("/v1/changes", headers=READER)).status_code == 405
    assert (await web.get("/healthz")).status_code == 200
