import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from bluetick.v1 import common_pb2 as pb

from libs.embedded.nats_server import NatsServer
from libs.runtime import metrics
from libs.runtime.broker import EVENTS_STREAM, Broker
from libs.runtime.lifecycle import Scope
from libs.runtime.settings import RuntimeSettings
from libs.runtime.sizes import SizesUnfit, message_bytes_max
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build
from tests.ingest.meta_bodies import (
    ACCOUNT,
    SECRET,
    change,
    dump,
    envelope,
    signature,
    status,
)
from tests.ingest.stored_events import stored_batches, stored_events

PATH = "/callbacks/meta/acct_1"
BODY = dump(envelope(change(statuses=[status()])))
BODY_BYTES_MAX = 100_000


class Door:
    """A running service, as a provider sees it."""

    def __init__(self, port: int, scope: Scope) -> None:
        self.port = port
        self.scope = scope
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)

    async def post(self, body: bytes, **fields: Any) -> httpx.Response:
        given: dict[str, Any] = {"headers": signature(body), **fields}
        return await self.http.post(given.pop("path", PATH), content=body, **given)


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    accounts = [
        {
            "provider": "meta",
            "account": name,
            "tenant": "demo",
            "secrets": secrets,
        }
        for name, secrets in (("acct_1", ACCOUNT.secrets), ("bare", {}))
    ]
    accounts.append({"provider": "acme", "account": "acct_1", "tenant": "demo"})
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"accounts": accounts}))
    return str(file)


@asynccontextmanager
async def _open(
    broker_settings: RuntimeSettings, accounts_file: str, **fields: Any
) -> AsyncIterator[Door]:
    scope = Scope()
    settings = IngestSettings(
        nats_url=broker_settings.nats_url,
        nats_monitor_url=broker_settings.nats_monitor_url,
        accounts_file=accounts_file,
        ingest_http_host="127.0.0.1",
        ingest_http_port=0,
        ingest_grpc_host="127.0.0.1",
        ingest_grpc_port=0,
        **{"ingest_body_bytes_max": BODY_BYTES_MAX, **fields},
        ingest_request_timeout_s=0.5,
    )
    try:
        http_port, _ = await build(scope, settings)
        door = Door(http_port, scope)
        yield door
        await door.http.aclose()
    finally:
        await scope.close()


@pytest.fixture
async def door(
    broker: Broker, broker_settings: RuntimeSettings, accounts_file: str
) -> AsyncIterator[Door]:
    async with _open(broker_settings, accounts_file) as door:
        yield door


async def test_an_answer_of_200_means_that_the_event_is_on_disk(door: Door, broker: Broker) -> None:
    """The provider forgets it from that moment on."""
    answer = await door.post(BODY)

    (event,) = await stored_events(broker)
    assert answer.status_code == 200
    assert event.kind == pb.EVENT_KIND_DELIVERED
    assert event.tenant_id == "demo"


async def test_concurrent_callbacks_share_broker_messages_and_lose_nothing(
    door: Door, broker: Broker
) -> None:
    """Meta posts concurrently, and one broker message each would not keep up."""
    good = [dump(envelope(change(statuses=[status(id=f"wamid.{n}")]))) for n in range(59)]
    bodies = [*good, dump(envelope(change(statuses=[status(id=None)])))]

    answers = await asyncio.gather(*[door.post(body) for body in bodies])

    batches = await stored_batches(broker)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(len(batch.events) for batch in batches) == 59
    assert sum(len(batch.quarantined) for batch in batches) == 1
    assert len(batches) < 30


async def test_what_is_authentic_and_unreadable_is_200_and_kept(door: Door, broker: Broker) -> None:
    """An error would make the provider repeat its own odd body for days."""
    answer = await door.post(b"not json", params={"a": "b"})

    (batch,) = await stored_batches(broker)
    (part,) = batch.quarantined
    assert answer.status_code == 200
    assert (part.reason, part.body) == ("BODY_NOT_JSON", b"not json")
    assert (part.method, part.query, part.account) == ("POST", "a=b", "acct_1")


@pytest.mark.parametrize(
    ("path", "body", "headers", "http_status"),
    [
        (PATH, BODY, {}, 401),
        (PATH, BODY, {"x-hub-signature-256": "sha256=00"}, 401),
        (PATH, BODY, signature(BODY, "another"), 401),
        ("/callbacks/meta/nobody", BODY, signature(BODY), 404),
        ("/callbacks/acme/acct_1", BODY, signature(BODY), 404),
        ("/callbacks/meta", BODY, signature(BODY), 404),
        ("/callbacks/meta/acct_1/more", BODY, signature(BODY), 404),
        ("/elsewhere", BODY, signature(BODY), 404),
        ("/callbacks/meta/bare", BODY, signature(BODY), 503),
    ],
)
async def test_a_refusal_is_told_without_a_reason(
    door: Door,
    broker: Broker,
    path: str,
    body: bytes,
    headers: dict[str, str],
    http_status: int,
) -> None:
    """Why a signature is wrong helps only those who forge one."""
    answer = await door.post(body, path=path, headers=headers)

    assert answer.status_code == http_status
    assert "signature" not in answer.text.lower()
    assert SECRET not in answer.text
    assert not await stored_batches(broker)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_method_that_no_provider_uses_is_405(door: Door, method: str) -> None:
    """The answer names those that are taken."""
    answer = await door.http.request(method, PATH, content=b"x")

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_a_probe_by_head_finds_the_address(door: Door) -> None:
    """Some consoles try an address so before they save it."""
    answer = await door.http.head(PATH)

    assert (answer.status_code, answer.content) == (200, b"")
    assert (await door.http.head("/callbacks/meta/nobody")).status_code == 404


async def test_the_hand_shake_echoes_the_challenge_as_text(door: Door) -> None:
    """Read as a page, an echo would be a way in."""
    query = {"hub.mode": "subscribe", "hub.challenge": "<b>1", "hub.verify_token": "token-1"}

    answer = await door.http.get(PATH, params=query)
    wrong = await door.http.get(PATH, params={**query, "hub.verify_token": "x"})

    assert (answer.status_code, answer.text) == (200, "<b>1")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert wrong.status_code == 403


async def test_a_body_up_to_the_limit_is_taken(door: Door, broker: Broker) -> None:
    """The limit is the provider's largest."""
    body = BODY + b" " * (BODY_BYTES_MAX - len(BODY))

    assert (await door.post(body)).status_code == 200
    assert len(await stored_events(broker)) == 1


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_413_whether_its_length_is_told_or_not(
    door: Door, broker: Broker, is_chunked: bool
) -> None:
    """The declared length is the sender's word; the bytes are counted, too."""
    body = b" " * (BODY_BYTES_MAX + 1)
    content: Any = _chunks(body) if is_chunked else body

    answer = await door.http.post(PATH, content=content, headers=signature(body))

    assert answer.status_code == 413
    assert not await stored_batches(broker)
    assert (await door.post(BODY)).status_code == 200


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"POST ",
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode(),
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc".encode(),
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab".encode(),
    ],
)
async def test_a_request_that_dawdles_loses_its_connection(door: Door, beginning: bytes) -> None:
    """A few thousand half-sent requests would otherwise occupy the door for ever."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(beginning)

    async with asyncio.timeout(5):
        answer = await reader.read()

    assert b" 200 " not in answer
    writer.close()
    assert (await door.post(BODY)).status_code == 200


async def test_a_connection_is_kept_for_the_next_callback(door: Door) -> None:
    """Setting one up costs more than a callback; the time limit is for one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    request = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n"
        f"X-Hub-Signature-256: {signature(BODY)['x-hub-signature-256']}\r\n\r\n"
    ).encode() + BODY

    for _ in range(3):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
    writer.close()


async def test_a_sender_who_leaves_in_the_middle_leaves_nothing_behind(door: Door) -> None:
    """Bytes held for a body that never ends would add up to a full door."""
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n".encode()
            + b"x" * 30_000
        )
        await writer.drain()
        writer.close()

    async with asyncio.timeout(5):
        while "bluetick_ingest_bytes_in_flight 0.0" not in (await door.http.get("/metrics")).text:
            await asyncio.sleep(0.05)


async def test_a_limit_that_the_broker_cannot_carry_stops_the_start(
    broker_settings: RuntimeSettings, accounts_file: str
) -> None:
    """A body would be taken, answered 503, and sent again for days."""
    with pytest.raises(SizesUnfit, match="BLUETICK_INGEST_BODY_BYTES_MAX") as problem:
        async with _open(broker_settings, accounts_file, ingest_body_bytes_max=16 * 1024 * 1024):
            pass

    assert "max_payload" in str(problem.value)


async def test_the_largest_body_is_kept_whole_and_can_be_pulled(
    broker: Broker, broker_settings: RuntimeSettings, accounts_file: str
) -> None:
    """What is authentic and cannot be read must not stop the services behind the door."""
    body = b"\xff\x00" * (IngestSettings().ingest_body_bytes_max // 2)
    async with _open(broker_settings, accounts_file, ingest_body_bytes_max=len(body)) as door:
        answer = await door.post(body, params={"q": "x" * 10_000})
        (batch,) = await stored_batches(broker)

    assert answer.status_code == 200
    assert batch.quarantined[0].body == body
    assert batch.ByteSize() <= message_bytes_max(broker.payload_bytes_max)


async def test_a_callback_of_ten_thousand_statuses_is_stored_in_several_messages(
    broker: Broker, broker_settings: RuntimeSettings, accounts_file: str
) -> None:
    """The answer speaks for all of them."""
    statuses = [status(id=f"wamid.{n}") for n in range(10_000)]
    async with _open(broker_settings, accounts_file, ingest_body_bytes_max=3 * 1024 * 1024) as door:
        answer = await door.post(dump(envelope(change(statuses=statuses))))

    batches = await stored_batches(broker)
    assert answer.status_code == 200
    assert len(batches) >= 5
    names = sorted(event.provider_message_id for one in batches for event in one.events)
    assert names == sorted(item["id"] for item in statuses)


async def test_a_query_beyond_all_reports_is_414(door: Door, broker: Broker) -> None:
    """It is kept with what cannot be read, and has no limit of its own anywhere behind."""
    answer = await door.post(BODY, params={"q": "x" * 17_000})

    assert answer.status_code == 414
    assert not await stored_batches(broker)


async def test_a_full_stream_is_503_at_once(door: Door, broker: Broker) -> None:
    """The broker says so; waiting for a time-out would keep thousands of senders waiting."""
    config = (await broker.jetstream.stream_info(EVENTS_STREAM)).config
    await broker.jetstream.update_stream(config.evolve(max_bytes=1_024))
    try:
        began = asyncio.get_running_loop().time()
        answers = [await door.post(BODY) for _ in range(8)]
        waited_s = asyncio.get_running_loop().time() - began
    finally:
        await broker.jetstream.update_stream(config)

    full = [answer for answer in answers if answer.status_code == 503]
    assert full
    assert int(full[0].headers["retry-after"]) > 0
    # Each would wait for the time-out of a publish (3 s) if the refusal were not heard.
    assert waited_s < 3 * len(full)
    assert (await door.post(BODY)).status_code == 200


async def test_the_probes_say_alive_ready_and_what_was_counted(door: Door) -> None:
    """An orchestrator sends work only to those who are ready."""
    await door.post(BODY)

    assert (await door.http.get("/healthz")).status_code == 200
    assert (await door.http.get("/readyz")).status_code == 200
    metrics = (await door.http.get("/metrics")).text
    assert 'bluetick_ingest_callbacks_total{http_status="200",provider="meta"}' in metrics
    assert 'bluetick_ingest_events_total{provider="meta"}' in metrics


async def test_callbacks_in_flight_are_answered_before_the_door_closes(
    broker: Broker, broker_settings: RuntimeSettings, accounts_file: str, nats_server: NatsServer
) -> None:
    """A restart must not cost a provider its answer: it would send everything again."""
    async with _open(broker_settings, accounts_file) as door:
        with _frozen(nats_server):
            posting = [asyncio.create_task(door.post(BODY)) for _ in range(20)]
            await _until_in_flight(20)
            closing = asyncio.create_task(door.scope.close())
            await _until_closed(door.port)
        answers = await asyncio.gather(*posting)
        await closing

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert len(await stored_events(broker)) == 20


async def test_more_callbacks_than_can_be_worked_on_are_asked_to_come_again(
    broker: Broker, broker_settings: RuntimeSettings, accounts_file: str, nats_server: NatsServer
) -> None:
    """Memory and waiting are bounded: one address of one account has a third, alone as it is."""
    async with _open(broker_settings, accounts_file, ingest_requests_in_flight_max=9) as door:
        with _frozen(nats_server):
            posting = [asyncio.create_task(door.post(BODY)) for _ in range(3)]
            await _until_in_flight(3)

            refused = await door.post(BODY)
        answers = await asyncio.gather(*posting)

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert {answer.status_code for answer in answers} == {200}


async def test_a_broker_that_is_away_is_503_and_not_ready(
    door: Door, nats_server: NatsServer
) -> None:
    """Never a 4xx for our own trouble: the provider would give up."""
    await nats_server.stop()
    try:
        answer = await door.post(BODY)
        ready = await door.http.get("/readyz")
    finally:
        await nats_server.start()

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert ready.status_code == 503
    async with asyncio.timeout(30):
        while (await door.post(BODY)).status_code != 200:
            await asyncio.sleep(0.1)


@contextmanager
def _frozen(nats_server: NatsServer) -> Iterator[None]:
    """Let the broker answer nothing meanwhile."""
    assert nats_server.pid is not None
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)


async def _until_closed(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.01)


async def _until_in_flight(count: int) -> None:
    async with asyncio.timeout(10):
        while metrics.REGISTRY.get_sample_value("bluetick_ingest_requests_in_flight") != count:
            await asyncio.sleep(0.01)
