from typing import Any

import pytest
from bluetick.v1 import common_pb2 as pb
from bluetick.v1.ingest_service_pb2 import TestCallbackRequest as Request
from bluetick.v1.ingest_service_pb2 import TestCallbackResponse as Response

from libs.runtime.accounts import Account, Accounts
from libs.runtime.rpc_errors import NotFound
from services.ingest.try_callback import try_callback
from tests.ingest.meta_bodies import (
    ACCOUNT,
    AT,
    NOW_US,
    change,
    dump,
    envelope,
    inbound,
    signature,
    status,
)

OTHERS = Account(provider="meta", account="theirs", tenant="other", secrets={})
UNREAD = Account(provider="acme", account="acct_1", tenant="demo", secrets={})


def _try(body: Any = b"", **fields: Any) -> Response:
    raw = dump(body)
    given: dict[str, Any] = {
        "provider": "meta",
        "account": "acct_1",
        "headers": {"X-Hub-Signature-256": signature(raw)["x-hub-signature-256"]},
        "body": raw,
        **fields,
    }
    return try_callback(
        Request(**given),
        tenant_id="demo",
        accounts=Accounts([ACCOUNT, OTHERS, UNREAD]),
        now_us=NOW_US,
        public_url="https://hooks.example.com/",
        body_bytes_max=10_000,
        signature_age_s_max=0,
    )


def test_a_callback_is_told_as_the_events_that_it_would_become() -> None:
    """Whoever connects a provider sees what Bluetick understands before it counts."""
    answer = _try(
        envelope(
            change(
                statuses=[
                    status("read", biz_opaque_callback_data="ref-1", pricing={"type": "regular"}),
                    status("failed", errors=[{"code": 131049}]),
                    status(id=None),
                ],
                messages=[inbound("text", context={"id": "wamid.1"})],
            )
        )
    )

    read, failed, reply = answer.events
    assert answer.http_status == 200
    assert not answer.HasField("refused")
    assert (read.kind, read.message_ref) == (pb.EVENT_KIND_READ, "ref-1")
    assert read.occur_time.seconds == AT
    assert read.pricing.type == "regular"
    assert failed.provider_code == "131049"
    assert failed.reason == pb.FAILURE_REASON_META_RECIPIENT_LIMIT
    assert reply.engagement.inbound_type == "text"
    assert [part.reason for part in answer.quarantined] == ["STATUS_WITHOUT_ID"]


@pytest.mark.parametrize(
    ("fields", "reason", "http_status"),
    [
        ({"headers": {}}, "SIGNATURE_MISSING", 401),
        ({"headers": signature(b"x")}, "SIGNATURE_WRONG", 401),
        ({"method": "DELETE"}, "METHOD_NOT_ALLOWED", 405),
        ({"body": b" " * 10_001}, "BODY_TOO_LARGE", 413),
        ({"method": "GET", "query": "hub.mode=subscribe"}, "HANDSHAKE_REFUSED", 400),
    ],
)
def test_a_refusal_is_told_with_its_reason(
    fields: dict[str, Any], reason: str, http_status: int
) -> None:
    """The door itself keeps the reason for the log."""
    answer = _try(**{"body": b"{}", **fields})

    assert (answer.refused.reason, answer.refused.http_status) == (reason, http_status)
    assert answer.http_status == http_status
    assert not answer.events


def test_a_hand_shake_is_told_with_its_answer() -> None:
    """The whole set-up can be tried before Meta does."""
    query = "hub.mode=subscribe&hub.challenge=42&hub.verify_token=token-1"

    answer = _try(method="get", query=query)

    assert (answer.http_status, answer.answer) == (200, "42")


@pytest.mark.parametrize(
    ("provider", "account"), [("meta", "nobody"), ("meta", "theirs"), ("acme", "acct_1")]
)
def test_an_account_of_nobody_or_of_another_tenant_does_not_exist(
    provider: str, account: str
) -> None:
    """The same answer for both, so that nobody can look for accounts."""
    with pytest.raises(NotFound):
        _try(b"{}", provider=provider, account=account)
