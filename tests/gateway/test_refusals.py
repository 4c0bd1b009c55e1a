"""Who may not call is told so, at the door, with a reason."""

import grpc
import pytest

from tests.gateway.errors import failure_of
from tests.gateway.stand_ins import Backend, call

_P = "/bluetick.v1."
_GET_MESSAGE = _P + "MessageService/GetMessage"


async def test_a_call_without_a_key_is_unauthenticated(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Nothing behind the gateway is reached without a credential."""
    failure = await failure_of(call(channel, _GET_MESSAGE, key=None))

    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    assert failure.reason == "API_KEY_MISSING"
    assert backend.status.received == []


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "admin-key-of-demo"]
)
async def test_what_is_no_bearer_key_counts_as_missing(
    channel: grpc.aio.Channel, authorization: str
) -> None:
    """The answer says what to send, whatever was sent instead."""
    metadata = (("authorization", authorization),)

    failure = await failure_of(call(channel, _GET_MESSAGE, key=None, metadata=metadata))

    assert (failure.code, failure.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "API_KEY_MISSING",
    )


async def test_an_unknown_key_is_unauthenticated(channel: grpc.aio.Channel) -> None:
    """A revoked key must stop working; its owner must be able to tell it from a missing one."""
    failure = await failure_of(call(channel, _GET_MESSAGE, key="no-such-key"))

    assert failure.code is grpc.StatusCode.UNAUTHENTICATED
    assert failure.reason == "API_KEY_UNKNOWN"
    assert "no-such-key" not in failure.text


@pytest.mark.parametrize(
    ("key", "rpc", "may"),
    [
        ("reader-key-of-demo", "MessageService/GetMessage", True),
        ("reader-key-of-demo", "AnalyticsService/GetCampaignReport", True),
        ("reader-key-of-demo", "CampaignService/GetCampaign", True),
        ("reader-key-of-demo", "CampaignService/CreateCampaign", False),
        ("reader-key-of-demo", "IngestService/RecordMessages", False),
        ("reader-key-of-demo", "AdminService/ListAccounts", False),
        ("sender-key-of-demo", "IngestService/RecordMessages", True),
        ("sender-key-of-demo", "CampaignService/CreateCampaign", True),
        ("sender-key-of-demo", "AnalyticsService/GetCampaignReport", True),
        ("sender-key-of-demo", "MessageService/EraseContact", False),
        ("sender-key-of-demo", "AdminService/ListAccounts", False),
        ("admin-key-of-demo", "IngestService/RecordMessages", True),
        ("admin-key-of-demo", "MessageService/EraseContact", True),
    ],
)
async def test_a_role_may_call_what_its_row_says(
    channel: grpc.aio.Channel, backend: Backend, key: str, rpc: str, may: bool
) -> None:
    """A dashboard's key in the wrong hands must not be able to write."""
    if may:
        await call(channel, _P + rpc, key=key)
        return

    failure = await failure_of(call(channel, _P + rpc, key=key))

    assert failure.code is grpc.StatusCode.PERMISSION_DENIED
    assert failure.reason == "ROLE_TOO_SMALL"
    assert backend.ingest.received == backend.status.received == backend.analytics.received == []


async def test_an_rpc_that_does_not_exist_says_so(channel: grpc.aio.Channel) -> None:
    """A typing error must not look like an outage."""
    failure = await failure_of(call(channel, _P + "MessageService/GetMessages"))

    assert failure.code is grpc.StatusCode.UNIMPLEMENTED
    assert failure.reason == "UNIMPLEMENTED"


async def test_a_request_over_the_limit_is_refused_at_the_door(
    channel: grpc.aio.Channel, backend: Backend
) -> None:
    """Memory is bounded; nothing of it reaches the service."""
    failure = await failure_of(call(channel, _P + "IngestService/RecordMessages", b"x" * 5_000_000))

    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert backend.ingest.received == []
    assert await call(channel, _GET_MESSAGE, b"alive") == b"alive"
