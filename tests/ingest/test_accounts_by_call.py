"""Accounts that are put, rotated and removed by call, while callbacks come in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2
from google.protobuf.duration_pb2 import Duration

from libs.runtime.broker import Broker
from libs.runtime.settings import RuntimeSettings
from libs.testkit.clock import ManualClock
from tests.gateway.errors import failure_of
from tests.ingest.account_site import (
    CALLBACK,
    SEAL_1,
    SEAL_2,
    Replica,
    Site,
    a_replica,
    a_site,
    until,
)
from tests.ingest.meta_bodies import change, dump, envelope, status
from tests.ingest.stored_events import stored_batches, stored_events


@pytest.fixture
async def site(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, tmp_path: Path
) -> AsyncIterator[Site]:
    async with a_site(broker_settings, database_url, tmp_path, replica_count=2) as site:
        yield site


@pytest.fixture
async def alone(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, tmp_path: Path
) -> AsyncIterator[Site]:
    """The same with one replica."""
    async with a_site(broker_settings, database_url, tmp_path) as site:
        yield site


def secret(value: str = "s1", key_id: str = "a", name: str = "app_secret") -> pb.AccountSecret:
    return pb.AccountSecret(name=name, key_id=key_id, value=value)


def a_put(*secrets: pb.AccountSecret, account: str = "shop", **fields: Any) -> pb.PutAccountRequest:
    return pb.PutAccountRequest(
        provider="meta", account=account, secrets=secrets or [secret()], **fields
    )


async def answers(replica: Replica, account: str, http_status: int, **fields: Any) -> None:
    """Wait until a callback of the account is answered so."""

    async def holds() -> bool:
        return (await replica.post(account, **fields)).status_code == http_status

    await until(holds)


async def test_an_account_that_is_put_has_a_door_at_every_replica_and_shows_no_secret(
    site: Site, broker: Broker, database_url: str
) -> None:
    """Without a restart, and without a word of the secret anywhere but in its sealed form."""
    await answers(site.replicas[0], "shop", 404)

    put = await site.call("PutAccount", a_put(secret("s-e-c-r-e-t")))

    # The replica that took it works with it from its answer on, the others soon.
    assert (await site.replicas[0].post("shop", secret="s-e-c-r-e-t")).status_code == 200
    await answers(site.replicas[1], "shop", 200, secret="s-e-c-r-e-t")
    assert (await site.replicas[1].post("shop", secret="another")).status_code == 401
    assert {event.tenant_id for event in await stored_events(broker)} == {"demo"}
    listed = await site.call("ListAccounts", pb.ListAccountsRequest())
    of_file, shop = listed.accounts
    assert (of_file.account, of_file.origin) == ("of_file", pb.ACCOUNT_ORIGIN_FILE)
    assert (shop.account, shop.origin) == ("shop", pb.ACCOUNT_ORIGIN_STORED)
    assert shop == put.account
    assert [(one.name, one.key_id) for one in shop.secrets] == [("app_secret", "a")]
    assert "s-e-c-r-e-t" not in f"{put}{listed}"
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT * FROM ingest.account_secrets")
    await connection.close()
    assert len(rows) == 1
    assert b"s-e-c-r-e-t" not in rows[0]["sealed"]
    assert "s-e-c-r-e-t" not in str(rows)
    of_other = await site.call("ListAccounts", pb.ListAccountsRequest(), "admin-of-other")
    assert not of_other.accounts


async def test_both_secrets_are_accepted_until_the_old_one_is_retired(site: Site) -> None:
    """A rotation in which no callback is refused."""
    put = await site.call("PutAccount", a_put(secret("old", "a"), secret("older", "")))
    older = next(one.key_id for one in put.account.secrets if one.key_id != "a")
    assert (await site.replicas[0].post("shop", secret="older")).status_code == 200
    await site.call("PutAccount", a_put(secret("", "a")))
    assert (await site.replicas[0].post("shop", secret="older")).status_code == 401
    assert older

    rotated = await site.call(
        "RotateSecret",
        pb.RotateSecretRequest(provider="meta", account="shop", secret=secret("new", "b")),
    )

    assert [one.key_id for one in rotated.account.secrets] == ["a", "b"]
    for replica in site.replicas:
        await answers(replica, "shop", 200, secret="new")
        assert (await replica.post("shop", secret="old")).status_code == 200
    third = pb.RotateSecretRequest(provider="meta", account="shop", secret=secret("3rd", "c"))
    failure = await failure_of(site.call("RotateSecret", third))
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION, "SECRETS_TOO_MANY",
    )  # fmt: skip
    retired = await site.call(
        "RetireSecret",
        pb.RetireSecretRequest(provider="meta", account="shop", name="app_secret", key_id="a"),
    )
    assert [one.key_id for one in retired.account.secrets] == ["b"]
    for replica in site.replicas:
        await answers(replica, "shop", 401, secret="old")
        assert (await replica.post("shop", secret="new")).status_code == 200


async def test_an_old_secret_ends_by_the_clock_where_that_was_asked_for(site: Site) -> None:
    """Nobody has to come back for it."""
    await site.call("PutAccount", a_put(secret("old", "a")))
    site.clock.advance(timedelta(seconds=1))
    request = pb.RotateSecretRequest(
        provider="meta", account="shop", secret=secret("new", ""), retire_after=Duration(seconds=60)
    )

    rotated = await site.call("RotateSecret", request)

    old, new = rotated.account.secrets
    assert old.expire_time.ToMicroseconds() == site.clock.now_us() + 60_000_000
    assert new.key_id
    for replica in site.replicas:
        await answers(replica, "shop", 200, secret="new")
    assert (await site.replicas[0].post("shop", secret="old")).status_code == 200
    site.clock.advance(timedelta(seconds=60))
    for replica in site.replicas:
        await answers(replica, "shop", 401, secret="old")
        assert (await replica.post("shop", secret="new")).status_code == 200


async def test_a_put_keeps_secrets_that_are_named_without_a_value(alone: Site) -> None:
    """Whoever changes an option need not know the secret, which cannot be read."""
    await alone.call("PutAccount", a_put(secret("s1", "a")))

    put = await alone.call("PutAccount", a_put(secret("", "a"), options={"keywords": "SHOP"}))

    assert dict(put.account.options) == {"keywords": "SHOP"}
    assert (await alone.replicas[0].post("shop")).status_code == 200
    failure = await failure_of(alone.call("PutAccount", a_put(secret("", "unheard-of"))))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.text.startswith("secrets[0].value: Empty")


async def test_a_disabled_account_asks_to_come_again_and_a_deleted_one_is_gone(
    site: Site,
) -> None:
    """What is only paused must not be lost: 503 is what providers repeat."""
    await site.call("PutAccount", a_put(is_disabled=True))
    paused = await site.replicas[0].post("shop")
    assert (paused.status_code, "retry-after" in paused.headers) == (503, True)
    await answers(site.replicas[1], "shop", 503)

    await site.call("PutAccount", a_put())
    for replica in site.replicas:
        await answers(replica, "shop", 200)

    await site.call("DeleteAccount", pb.DeleteAccountRequest(provider="meta", account="shop"))
    for replica in site.replicas:
        await answers(replica, "shop", 404)


_REFUSED = [
    (a_put(account="of_file"), "FAILED_PRECONDITION", "ACCOUNT_IN_FILE", "ACCOUNTS_FILE"),
    (a_put(account="a b"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "account:"),
    (pb.PutAccountRequest(provider="mata", account="x"), "INVALID_ARGUMENT",
     "INVALID_ARGUMENT", "did you mean 'meta'"),
    (a_put(secret(name="app_secert")), "INVALID_ARGUMENT", "INVALID_ARGUMENT",
     "secrets[0].name: secret 'app_secert' is unknown (did you mean 'app_secret'?)"),
    (a_put(secret(), secret()), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "secrets[1].key_id"),
    (a_put(secret(key_id="a"), secret(key_id="b"), secret(key_id="c")),
     "FAILED_PRECONDITION", "SECRETS_TOO_MANY", "app_secret"),
    (a_put(secret("x" * 20_000)), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "16,384 bytes"),
    (pb.PutAccountRequest(provider="infobip", account="x", options={"unproven": "accept"},
                          secrets=[secret(name="query_token")]),
     "INVALID_ARGUMENT", "INVALID_ARGUMENT", "options[unproven]"),
    (pb.PutAccountRequest(provider="generic", account="x", options={"preset": "telnix"}),
     "INVALID_ARGUMENT", "INVALID_ARGUMENT", "options: preset: 'telnix' is none of"),
    (pb.PutAccountRequest(provider="generic", account="x", options={"id_format": "roman"}),
     "INVALID_ARGUMENT", "INVALID_ARGUMENT", "options: id_format: 'roman'"),
    (pb.PutAccountRequest(provider="vonage", account="x",
                          options={"sms_signature_method": "md6"}),
     "INVALID_ARGUMENT", "INVALID_ARGUMENT", "options: sms_signature_method: 'md6'"),
    (a_put(options={"keyword": "x"}), "INVALID_ARGUMENT", "INVALID_ARGUMENT",
     "options[keyword]"),
    (a_put(words={"w": common_pb2.EVENT_KIND_CLICKED}), "INVALID_ARGUMENT",
     "INVALID_ARGUMENT", "cannot mean CLICKED"),
    (a_put(limits=pb.AccountLimits(requests_per_second=-1)), "INVALID_ARGUMENT",
     "INVALID_ARGUMENT", "limits.requests_per_second"),
]  # fmt: skip


async def test_what_cannot_be_put_is_refused_with_its_field_and_cure(alone: Site) -> None:
    """A wrong name would prove nothing, silently, for days."""
    for request, code, reason, told in _REFUSED:
        failure = await failure_of(alone.call("PutAccount", request))

        assert (failure.code.name, failure.reason) == (code, reason)
        assert told in failure.text


async def test_an_account_is_its_tenants_alone(alone: Site) -> None:
    """Its address is everybody's, so a name is taken; all else looks as if it were not there."""
    await alone.call("PutAccount", a_put())
    place = {"provider": "meta", "account": "shop"}
    calls = {
        "PutAccount": a_put(secret("mine")),
        "RotateSecret": pb.RotateSecretRequest(**place, secret=secret("mine", "b")),
        "RetireSecret": pb.RetireSecretRequest(**place, name="app_secret", key_id="a"),
        "DeleteAccount": pb.DeleteAccountRequest(**place),
    }

    failures = {
        name: await failure_of(alone.call(name, request, "admin-of-other"))
        for name, request in calls.items()
    }
    of_sender = await failure_of(alone.call("PutAccount", a_put(), "sender-of-demo"))

    assert failures.pop("PutAccount").reason == "ACCOUNT_TAKEN"
    assert {failure.reason for failure in failures.values()} == {"ACCOUNT_NOT_FOUND"}
    assert of_sender.code is grpc.StatusCode.PERMISSION_DENIED
    assert (await alone.replicas[0].post("shop")).status_code == 200


async def test_an_accounts_limits_hold_at_its_door_and_at_no_other(
    alone: Site, broker: Broker
) -> None:
    """One account that is flooded must not take the others' place, and its owner must see it."""
    limits = pb.AccountLimits(requests_per_second=0.01, body_bytes_max=len(CALLBACK) + 10)
    await alone.call("PutAccount", a_put(limits=limits))
    await alone.call("PutAccount", a_put(account="free"))
    door = alone.replicas[0]

    large = await door.post("shop", CALLBACK + b" " * 11)
    chunks = await door.post("shop", CALLBACK, content=_chunks(CALLBACK + b" " * 11))
    taken = await door.post("shop")
    again = [await door.post("shop") for _ in range(3)]
    chunked = await door.post("shop", content=_chunks(CALLBACK))
    others = [await door.post("free") for _ in range(3)]

    assert (large.status_code, chunks.status_code, taken.status_code) == (413, 413, 200)
    assert {
        (answer.status_code, answer.headers["retry-after"]) for answer in (*again, chunked)
    } == {(503, "100")}
    assert [answer.status_code for answer in others] == [200] * 3

    async def is_told() -> bool:
        told: dict[str, int] = {}
        for batch in await stored_batches(broker):
            for report in batch.door_reports:
                assert not report.refused_count
                for one in report.refusals:
                    told[one.reason] = told.get(one.reason, 0) + one.count
        return told == {"REQUESTS_OVER_LIMIT": 4, "BODY_OVER_LIMIT": 2}

    await until(is_told)


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body[:100]
    yield body[100:]


async def test_an_account_says_what_a_word_without_a_meaning_means(
    alone: Site, broker: Broker
) -> None:
    """A provider's new word can be counted before there is a release that knows it."""
    body = dump(envelope(change(statuses=[status("handed_over"), status("gone", id="wamid.2")])))
    words = {
        "handed_over": common_pb2.EVENT_KIND_DELIVERED, "gone": common_pb2.EVENT_KIND_UNDELIVERED,
        "read": common_pb2.EVENT_KIND_SENT,
    }  # fmt: skip
    await alone.call("PutAccount", a_put(words=words))
    await alone.call("PutAccount", a_put(account="plain"))
    door = alone.replicas[0]

    assert (await door.post("shop", body)).status_code == 200
    assert (await door.post("plain", body)).status_code == 200
    await door.post("shop", dump(envelope(change(statuses=[status("read")]))))

    told = [
        (event.account, event.provider_word, common_pb2.EventKind.Name(event.kind))
        for event in await stored_events(broker)
    ]
    assert sorted(told) == [
        ("plain", "gone", "EVENT_KIND_UNKNOWN"),
        ("plain", "handed_over", "EVENT_KIND_UNKNOWN"),
        ("shop", "gone", "EVENT_KIND_UNDELIVERED"),
        ("shop", "handed_over", "EVENT_KIND_DELIVERED"),
        ("shop", "read", "EVENT_KIND_READ"),
    ]
    reasons = {event.reason for event in await stored_events(broker) if event.account == "shop"}
    assert reasons == {0, common_pb2.FAILURE_REASON_UNMAPPED}


async def test_accounts_are_paged_by_provider_and_name(alone: Site) -> None:
    """An installation has hundreds."""
    names = [f"a{number:02}" for number in range(7)]
    for name in reversed(names):
        await alone.call("PutAccount", a_put(account=name))
    seen, token = [], ""
    while True:
        request = pb.ListAccountsRequest(page_size=3, page_token=token)
        page = await alone.call("ListAccounts", request)
        seen += [account.account for account in page.accounts]
        token = page.next_page_token
        if not token:
            break

    assert seen == [*names, "of_file"]


async def test_the_key_that_seals_is_replaced_while_everything_runs(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, tmp_path: Path
) -> None:
    """New key behind the old one everywhere, then before it, then alone: no callback is refused."""
    clock = ManualClock()
    async with a_site(broker_settings, database_url, tmp_path) as site:
        await site.call("PutAccount", a_put())
        (old,) = site.replicas

        second = await a_replica(
            broker_settings, clock, database_url=database_url, account_keys=f"{SEAL_2},{SEAL_1}"
        )
        await answers(second, "shop", 200)

        async def is_resealed() -> bool:
            connection = await asyncpg.connect(database_url)
            found = await connection.fetchval("SELECT seal_key_id FROM ingest.account_secrets")
            await connection.close()
            return bool(found == "two")

        await until(is_resealed)
        await second.stop()
        # A replica that has only the old key goes on with what it has opened.
        await site.call("PutAccount", a_put(account="another"))
        assert (await old.post("shop")).status_code == 200

    third = await a_replica(
        broker_settings, clock, database_url=database_url, account_keys=f"{SEAL_2},{SEAL_1}"
    )
    await answers(third, "shop", 200)
    await third.stop()
    without = await a_replica(
        broker_settings, clock, database_url=database_url, account_keys=SEAL_1
    )
    await answers(without, "shop", 503)
    await without.stop()


async def test_without_a_key_nothing_is_stored(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, tmp_path: Path
) -> None:
    """Never in clear."""
    async with a_site(broker_settings, database_url, tmp_path, account_keys="") as site:
        failure = await failure_of(site.call("PutAccount", a_put()))

        assert (failure.code, failure.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_KEYS_MISSING",
        )  # fmt: skip
        assert "BLUETICK_ACCOUNT_KEYS" in failure.text
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT count(*) FROM ingest.accounts") == 0
        await connection.close()
        listed = await site.call("ListAccounts", pb.ListAccountsRequest())
        assert [account.account for account in listed.accounts] == ["of_file"]


async def test_until_the_stored_accounts_were_read_an_unknown_address_is_503_not_404(
    broker: Broker, broker_settings: RuntimeSettings, tmp_path: Path
) -> None:
    """A provider gives up at a 404; an outage of the database must not look like one."""
    nowhere = "postgresql://bluetick@127.0.0.1:1/bluetick"
    async with a_site(broker_settings, nowhere, tmp_path) as site:
        (door,) = site.replicas
        unknown = await door.post("shop")
        ready = await door.http.get("/readyz")
        listed = await failure_of(site.call("ListAccounts", pb.ListAccountsRequest()))

        assert (unknown.status_code, "retry-after" in unknown.headers) == (503, True)
        assert (await door.post("of_file")).status_code == 200
        assert ready.status_code == 503
        assert "accounts" in ready.text
        assert listed.code is grpc.StatusCode.UNAVAILABLE


async def test_known_accounts_go_on_while_the_database_is_away(
    site: Site, database_url: str
) -> None:
    """Callbacks need the broker alone."""
    await site.call("PutAccount", a_put())
    await answers(site.replicas[1], "shop", 200)
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE ingest.revisions RENAME TO away")
    await connection.close()

    failure = await failure_of(site.call("PutAccount", a_put(account="new")))
    await asyncio.sleep(0.2)

    assert failure.code is grpc.StatusCode.UNAVAILABLE
    for replica in site.replicas:
        assert (await replica.post("shop")).status_code == 200
        assert (await replica.http.get("/readyz")).status_code == 200
