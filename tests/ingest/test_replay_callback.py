"""A quarantined callback is read as the door would read it today."""

import json
from typing import Any

import pytest
from bluetick.v1.common_pb2 import EVENT_KIND_DELIVERED
from bluetick.v1.event_pb2 import Quarantined

from libs.runtime.accounts import Account, Accounts
from libs.runtime.broker import BrokerUnavailable
from libs.runtime.keys import content_key
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Callback, KeepsParts
from services.ingest.providers.registry import BY_NAME, PROVIDERS
from services.ingest.record_callback import read_authentic
from services.ingest.replay_callback import replay_callback
from tests.ingest.meta_bodies import ACCOUNT, NOW_US, change, dump, envelope, status
from tests.ingest.record_builders import KeptEvents

ACCOUNTS = Accounts([ACCOUNT])


def a_kept(body: Any, owner: Account = ACCOUNT, **fields: Any) -> Quarantined:
    """Content in quarantine, as an older reading put it there."""
    raw = dump(body)
    names = (owner.tenant, owner.provider, owner.account)
    given: dict[str, Any] = {
        "quarantine_key": content_key(*(name.encode() for name in names), raw),
        "tenant_id": owner.tenant,
        "provider": owner.provider,
        "account": owner.account,
        "reason": "OLD_REASON",
        "detail": "the body: odd",
        "method": "POST",
        "content_type": "application/json",
        "body": raw,
        "receive_time_us": NOW_US,
        **fields,
    }
    return Quarantined(**given)


def parts_of(body: Any, account: Account) -> list[Quarantined]:
    """What of a body goes to quarantine now."""
    callback = Callback(
        method="POST", query="", headers={"content-type": "application/json"}, body=dump(body),
        external_url="", receive_time_us=NOW_US,
    )  # fmt: skip
    reading = read_authentic(callback, account, BY_NAME[account.provider])
    assert isinstance(reading, Reading), reading
    return list(reading.batch.quarantined)


async def test_a_body_that_can_be_read_now_gives_the_events_of_then() -> None:
    """The time of receipt decides which times are believed, so it must be the old one."""
    kept = KeptEvents()

    answer = await replay_callback(a_kept(envelope(change(statuses=[status()]))), ACCOUNTS, kept)

    assert (answer.is_read, answer.event_count) == (True, 1)
    assert [event.kind for event in kept.batch.events] == [EVENT_KIND_DELIVERED]
    assert kept.batch.events[0].receive_time_us == NOW_US


async def test_no_signature_is_asked_for_again() -> None:
    """It was authentic when it came; the secret may have been changed since."""
    account = Account(provider="meta", account="acct_1", tenant="demo", secrets={})
    kept = KeptEvents()

    answer = await replay_callback(
        a_kept(envelope(change(statuses=[status()]))), Accounts([account]), kept
    )

    assert answer.is_read


async def test_a_body_that_still_cannot_be_read_stays_with_todays_reason() -> None:
    """A replay that loses what it cannot read would be worse than none."""
    kept = KeptEvents()

    answer = await replay_callback(a_kept(b"{"), ACCOUNTS, kept)

    assert (answer.is_read, answer.reason, answer.is_newer_reason) == (False, "BODY_NOT_JSON", True)
    assert not kept.batch.ByteSize()


async def test_what_remains_of_a_body_becomes_an_entry_of_its_own() -> None:
    """A parser that crashed over one item kept the whole; now only the item is odd."""
    kept = KeptEvents()
    body = envelope(change(statuses=[status(), status(id=None)]))

    answer = await replay_callback(a_kept(body), ACCOUNTS, kept)

    assert (answer.is_read, answer.event_count) == (True, 1)
    assert [part.reason for part in kept.batch.quarantined] == ["STATUS_WITHOUT_ID"]
    assert kept.batch.quarantined[0].is_part
    assert kept.batch.quarantined[0].method == "POST"


async def test_without_the_broker_the_callback_is_not_let_go() -> None:
    """Read is not durable."""
    with pytest.raises(BrokerUnavailable):
        await replay_callback(
            a_kept(envelope(change(statuses=[status()]))), ACCOUNTS, KeptEvents(is_away=True)
        )


@pytest.mark.parametrize(
    "fields", [{"account": "gone"}, {"tenant_id": "other"}, {"provider": "nobody"}]
)
async def test_an_account_that_is_gone_or_anothers_keeps_its_reason(fields: dict[str, str]) -> None:
    """The reason kept is about the callback; this one is about the accounts file."""
    answer = await replay_callback(a_kept(b"{", **fields), ACCOUNTS, KeptEvents())

    assert (answer.reason, answer.is_newer_reason) == ("ACCOUNT_NOT_FOUND", False)


async def test_a_report_in_a_query_is_read_from_the_query() -> None:
    """Quarantine keeps the query as the content of a report that has no body."""
    account = Account(provider="messagebird", account="acct_1", tenant="demo")
    query = "id=m1&recipient=31612345678&status=delivered&statusDatetime=2026-08-05T03:19:00Z"
    kept = KeptEvents()

    answer = await replay_callback(
        a_kept(query.encode(), account, method="GET", query=query, content_type=""),
        Accounts([account]),
        kept,
    )

    assert answer.is_read, answer
    assert [event.kind for event in kept.batch.events] == [EVENT_KIND_DELIVERED]


META_PLACES = [
    change(statuses=[status(id=None)]),
    change(statuses={"id": 1}),
    change(statuses=[7]),
    change(messages=[{"type": "text", "timestamp": "1"}]),
    change(errors=["no object"]),
    change("user_preferences", user_preferences=[{"wa_id": "1"}]),
    {"field": "messages", "value": [1]},
    {"field": "account_update", "value": [1]},
    {"field": "message_template_status_update", "value": "text"},
    7,
]


@pytest.mark.parametrize("odd", META_PLACES, ids=lambda odd: json.dumps(odd)[:60])
@pytest.mark.parametrize("provider", ["meta", "dialog360", "gupshup"])
async def test_a_part_of_metas_envelope_is_found_at_its_place_again(
    provider: str, odd: Any
) -> None:
    """The part alone says nothing; where it stood says how to read it."""
    account = Account(provider=provider, account="acct_1", tenant="demo",
                      secrets={"basic_user": ["u"], "basic_pass": ["p"]})  # fmt: skip
    good = change(statuses=[status()])
    for kept in parts_of(envelope(good, odd), account):
        answer = await replay_callback(kept, Accounts([account]), KeptEvents())

        assert (answer.is_read, answer.reason) == (False, kept.reason), kept
        assert answer.is_newer_reason
        path, newer = kept.detail.partition(": ")[0], answer.detail.partition(": ")[0]
        assert path.replace("[1]", "[0]") == newer


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("sendgrid", b'[{"odd": 1}, "no object"]'),
        ("infobip", b'{"results": ["no object", {"odd": 1}]}'),
        ("dialog360", b'{"statuses": ["no object", {"status": "sent"}]}'),
        ("generic", b'[{"type": "message-delivered"}, "no object"]'),
    ],
)
async def test_a_part_of_a_list_is_read_in_a_list(provider: str, body: bytes) -> None:
    """Every dialect that keeps parts can read one again."""
    account = Account(provider=provider, account="acct_1", tenant="demo",
                      secrets={"basic_user": ["u"], "basic_pass": ["p"]},
                      options={"preset": "bandwidth"})  # fmt: skip
    parts = parts_of(body, account)
    assert parts
    assert all(part.is_part for part in parts)

    for kept in parts:
        answer = await replay_callback(kept, Accounts([account]), KeptEvents())

        assert (answer.is_read, answer.reason) == (False, kept.reason), answer
        assert answer.is_newer_reason


async def test_a_part_that_can_be_read_now_gives_its_events() -> None:
    """The point of keeping parts."""
    part = json.dumps(status()).encode()
    kept = KeptEvents()

    answer = await replay_callback(
        a_kept(part, is_part=True, detail="entry[3].changes[1].value.statuses[12]: id missing"),
        ACCOUNTS,
        kept,
    )

    assert (answer.is_read, answer.event_count) == (True, 1)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
async def test_a_part_of_any_provider_is_kept_or_read_and_never_lost(provider: Any) -> None:
    """A provider that starts to keep parts and forgets to read them again loses nothing."""
    account = Account(provider=provider.name, account="acct_1", tenant="demo")
    kept = KeptEvents()
    part = a_kept(b"{", account, is_part=True, detail="[0]: odd")

    answer = await replay_callback(part, Accounts([account]), kept)

    assert not answer.is_read
    assert not kept.batch.events
    if not isinstance(provider, KeepsParts):
        assert answer.reason == "PART_NOT_REPLAYABLE"


async def test_a_list_that_is_none_is_kept_with_its_envelope() -> None:
    """Without the envelope no later code could tell what it is."""
    account = Account(provider="infobip", account="acct_1", tenant="demo",
                      secrets={"basic_user": ["u"], "basic_pass": ["p"]})  # fmt: skip
    body = b'{"results": 7}'

    assert [part.body for part in parts_of(body, account)] == [body]
