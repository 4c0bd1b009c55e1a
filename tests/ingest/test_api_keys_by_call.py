"""API keys that are issued and revoked by call, without a restart of any gateway."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import grpc
import pytest
from bluetick.v1 import admin_service_pb2 as pb
from bluetick.v1 import common_pb2, key_service_pb2
from bluetick.v1.key_service_pb2_grpc import KeyServiceStub
from google.protobuf.timestamp_pb2 import Timestamp

from libs.runtime.broker import Broker
from libs.runtime.settings import RuntimeSettings
from tests.gateway.errors import failure_of
from tests.ingest.account_site import Site, a_site


@pytest.fixture
async def site(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str, tmp_path: Path
) -> AsyncIterator[Site]:
    async with a_site(broker_settings, database_url, tmp_path) as site:
        yield site


def a_create(role: int = common_pb2.ROLE_ADMIN, **fields: object) -> pb.CreateApiKeyRequest:
    return pb.CreateApiKeyRequest(role=role, **fields)  # type: ignore[arg-type]


async def test_a_key_is_good_at_once_and_until_it_is_revoked(site: Site, database_url: str) -> None:
    """It is told once; what is kept is its hash."""
    made = await site.call("CreateApiKey", a_create(title="Nightly job"))

    listed = await site.call("ListApiKeys", pb.ListApiKeysRequest(), made.api_key)

    (shown,) = listed.api_keys
    assert (shown.key_id, shown.role, shown.title) == (
        made.key_id, common_pb2.ROLE_ADMIN, "Nightly job",
    )  # fmt: skip
    assert shown.create_time.ToMicroseconds() == site.clock.now_us()
    assert made.api_key not in str(listed)
    connection = await asyncpg.connect(database_url)
    assert made.api_key not in str(await connection.fetch("SELECT * FROM ingest.api_keys"))
    await connection.close()

    await site.call("RevokeApiKey", pb.RevokeApiKeyRequest(key_id=made.key_id))

    # The gateway through which it was revoked refuses it from the answer on, the others soon.
    over = await failure_of(site.call("ListApiKeys", pb.ListApiKeysRequest(), made.api_key))
    assert over.reason == "API_KEY_UNKNOWN"
    again = await failure_of(site.call("RevokeApiKey", pb.RevokeApiKeyRequest(key_id=made.key_id)))
    assert again.reason == "API_KEY_NOT_FOUND"


async def test_a_key_gives_its_role_and_its_tenant_only(site: Site) -> None:
    """A key for a dashboard must not be able to make keys; nobody sees another tenant's."""
    reader = await site.call("CreateApiKey", a_create(common_pb2.ROLE_READER))

    small = await failure_of(site.call("CreateApiKey", a_create(), reader.api_key))
    foreign = await site.call("ListApiKeys", pb.ListApiKeysRequest(), "admin-of-other")
    stolen = await failure_of(
        site.call("RevokeApiKey", pb.RevokeApiKeyRequest(key_id=reader.key_id), "admin-of-other")
    )

    assert small.code is grpc.StatusCode.PERMISSION_DENIED
    assert not foreign.api_keys
    assert stolen.reason == "API_KEY_NOT_FOUND"


async def test_a_key_ends_when_it_was_said_to(site: Site) -> None:
    """The gateway looks at the clock itself: nobody has to tell it."""
    end = Timestamp()
    end.FromMicroseconds(site.clock.now_us() + 1_000_000)
    # The gateway's clock is the real one, by which that end is past.
    short = await site.call("CreateApiKey", a_create(expire_time=end))
    end.FromDatetime(end.ToDatetime() + timedelta(days=36_500))
    long = await site.call("CreateApiKey", a_create(expire_time=end))

    over = await failure_of(site.call("ListApiKeys", pb.ListApiKeysRequest(), short.api_key))
    listed = await site.call("ListApiKeys", pb.ListApiKeysRequest(page_size=1), long.api_key)

    assert over.reason == "API_KEY_UNKNOWN"
    assert len(listed.api_keys) == 1
    assert listed.next_page_token


async def test_what_no_key_can_have_is_refused(site: Site) -> None:
    """With the field and what would be right."""
    past = Timestamp(seconds=1)
    for request, told in (
        (a_create(common_pb2.ROLE_OPERATOR), "role: ROLE_READER"),
        (a_create(common_pb2.ROLE_UNSPECIFIED), "role: ROLE_READER"),
        (a_create(title="x" * 129), "title: At most 128"),
        (a_create(expire_time=past), "expire_time: In the past"),
    ):
        failure = await failure_of(site.call("CreateApiKey", request))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.text.startswith(told)


async def test_hashes_of_keys_are_for_the_gateway_alone(site: Site) -> None:
    """Neither through the gateway nor past it without the token between services."""
    ingest = grpc.aio.insecure_channel(f"127.0.0.1:{site.replicas[0].grpc_port}")
    request = key_service_pb2.ListIssuedKeysRequest()
    metadata = (("authorization", "Bearer admin-of-demo"),)

    through = await failure_of(
        KeyServiceStub(site.channel).ListIssuedKeys(request, metadata=metadata, timeout=5)
    )
    past = await failure_of(KeyServiceStub(ingest).ListIssuedKeys(request, timeout=5))

    assert through.code is grpc.StatusCode.UNIMPLEMENTED
    assert past.code is grpc.StatusCode.UNAUTHENTICATED
    await ingest.close()
