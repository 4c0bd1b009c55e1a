"""Bad input at the door: a clear answer, neighbours applied, the service alive."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1 import message_service_pb2 as messages

from tests.system.outside import Outside, envelope, sign, status

AT = 1_790_000_000


@pytest.fixture(autouse=True)
async def _good_input_is_taken_afterwards(outside: Outside) -> AsyncIterator[None]:
    """After each test, since they are shuffled and none is the last."""
    yield
    wamid = f"wamid.after.{uuid4().hex}"
    assert await outside.callback(envelope(statuses=[status(wamid, "read", AT)])) == 200
    await _until(outside, wamid, pb.MESSAGE_STATE_READ)


async def _quarantined(outside: Outside) -> list[ingest.QuarantinedCallback]:
    found, token = [], ""
    while True:
        request = ingest.ListQuarantineRequest(page_size=100, page_token=token)
        answer = await outside.call(outside.ingest.ListQuarantine, request)
        found += answer.callbacks
        token = answer.next_page_token
        if not token:
            return found


async def _state(outside: Outside, wamid: str) -> int:
    request = messages.GetMessageRequest(provider="meta", provider_message_id=wamid)
    return (await outside.call(outside.messages.GetMessage, request)).message.state


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "nonsense"},
        sign(b"another body"),
        sign(envelope(statuses=[]), b"another secret"),
    ],
)
async def test_a_missing_or_wrong_signature_is_401(
    outside: Outside, headers: dict[str, str]
) -> None:
    """Anybody can post; only the provider can sign."""
    assert await outside.callback(envelope(statuses=[]), headers) == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 200),
        (b"not json", 200),
        (b"[1, 2]", 200),
        (b'"text"', 200),
        (b"{}", 200),
        (b'{"object": 7, "entry": {"a": 1}}', 200),
        (b"[" * 10_000 + b"]" * 10_000, 200),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 200),
        (b"\x00" * 100, 200),
        (b"\xff\xfe", 200),
        (b" " * (4 * 1024 * 1024), 413),
    ],
)
async def test_an_authentic_body_of_any_shape_is_kept_unless_it_is_too_large(
    outside: Outside, body: bytes, code: int
) -> None:
    """A provider that gets an error for its own odd body sends it again for days."""
    assert await outside.callback(body) == code


async def test_an_account_or_provider_nobody_has_is_404(outside: Outside) -> None:
    """A typing error in the provider's console must be visible there."""
    body = envelope(statuses=[])
    for path in ("/callbacks/meta/acct_9", "/callbacks/nobody/acct_1"):
        answer = await outside.http.post(path, content=body, headers=sign(body))
        assert answer.status_code == 404
    assert (await outside.http.put("/callbacks/meta/acct_1", content=b"")).status_code == 405


async def test_one_poisonous_status_among_a_thousand_leaves_its_neighbours_alone(
    outside: Outside,
) -> None:
    """One broken item must not cost the other 999 their state."""
    statuses = [status(f"wamid.thousand.{number}", "delivered", AT) for number in range(1_000)]
    statuses[500] = {"status": "delivered", "timestamp": str(AT), "note": "thousand-poison"}

    assert await outside.callback(envelope(statuses=statuses)) == 200
    await outside.callback(envelope(statuses=[]))
    await _until(outside, "wamid.thousand.999", pb.MESSAGE_STATE_DELIVERED)

    assert await _state(outside, "wamid.thousand.0") == pb.MESSAGE_STATE_DELIVERED
    assert await _state(outside, "wamid.thousand.501") == pb.MESSAGE_STATE_DELIVERED
    kept = [row for row in await _quarantined(outside) if b"thousand-poison" in row.body]
    assert len(kept) == 1
    assert kept[0].reason == "STATUS_WITHOUT_ID"


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("nul", {"id": "wamid.bad.nul\x00", "status": "delivered", "timestamp": str(AT)}),
        ("surrogate", {"id": "wamid.bad.\ud800", "status": "delivered", "timestamp": str(AT)}),
        ("time", {"id": "wamid.bad.time", "status": "delivered"}),
        ("number", {"id": 7, "status": ["x"], "timestamp": {}}),
    ],
)
async def test_values_that_cannot_be_stored_go_to_quarantine_with_their_neighbours_applied(
    outside: Outside, name: str, item: dict
) -> None:
    """What PostgreSQL cannot hold must be kept elsewhere, not crash the transaction."""
    neighbour = status(f"wamid.neighbour.{name}", "delivered", AT)
    before = len(await _quarantined(outside))

    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "1",
                    "changes": [{"field": "messages", "value": {"statuses": [item, neighbour]}}],
                }
            ],
        }
    ).encode()
    assert await outside.callback(body) == 200
    await _until(outside, f"wamid.neighbour.{name}", pb.MESSAGE_STATE_DELIVERED)

    assert len(await _quarantined(outside)) == before + 1


async def test_words_nobody_has_seen_are_kept_visible_and_move_nothing(outside: Outside) -> None:
    """Providers add words without asking."""
    statuses = [
        status("wamid.future", "teleported", AT),
        status("wamid.future", "sent", AT),
    ]
    body = envelope(statuses=statuses)
    unknown = body.replace(b'"field": "messages"', b'"field": "messages_v99"')

    assert await outside.callback(body) == 200
    assert await outside.callback(unknown) == 200
    await _until(outside, "wamid.future", pb.MESSAGE_STATE_SENT)

    request = messages.GetMessageRequest(provider="meta", provider_message_id="wamid.future")
    found = (await outside.call(outside.messages.GetMessage, request)).message
    assert ("teleported", pb.EVENT_KIND_UNKNOWN) in {
        (entry.provider_word, entry.kind) for entry in found.history
    }


async def _until(outside: Outside, wamid: str, state: int) -> None:
    """Wait until a message has a state; the time-out of the test bounds it."""
    while True:
        try:
            if await _state(outside, wamid) == state:
                return
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND, error
        await asyncio.sleep(0.05)
