"""The message store as a stream: every message whole, of one moment, from any place on."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from bluetick.v1.snapshot_service_pb2 import MessageSnapshot, StreamSnapshotRequest
from bluetick.v1.snapshot_service_pb2_grpc import (
    SnapshotServiceStub,
    add_SnapshotServiceServicer_to_server,
)

from libs.runtime.database import Database
from libs.runtime.lifecycle import Scope
from libs.runtime.rpc_server import RpcServer
from libs.testkit import builders
from libs.testkit.clock import ManualClock
from services.status.adapters.rpc_services import SnapshotRpc
from services.status.adapters.snapshot_rows import SnapshotRows
from tests.status.machine import Bench
from tests.status.test_transaction import a_click_by_ref, a_crowd

TOKEN = "a token for tests"
INTERNAL = [("x-bluetick-internal-token", TOKEN)]


@pytest_asyncio.fixture(loop_scope="session")
async def snapshots(database: Database, clock: ManualClock) -> AsyncIterator[SnapshotServiceStub]:
    scope = Scope()
    rpc = SnapshotRpc(SnapshotRows(database), clock)
    server = RpcServer(
        internal_token=TOKEN, services=[(add_SnapshotServiceServicer_to_server, rpc, "s")]
    )
    port = await server.start("127.0.0.1", 0, scope)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield SnapshotServiceStub(opened)
    await scope.close()


async def read(stub: SnapshotServiceStub, **request: object) -> list[MessageSnapshot]:
    """All messages of a stream."""
    asked = StreamSnapshotRequest(**request)  # type: ignore[arg-type]
    pages = stub.StreamSnapshot(asked, metadata=INTERNAL)
    return [message async for page in pages for message in page.messages]


async def test_the_stream_is_what_the_changes_told_last(
    bench: Bench, snapshots: SnapshotServiceStub
) -> None:
    """Recounted from here, numbers must be those that the changes add up to."""
    await bench.apply(*a_crowd(40))

    found = await read(snapshots, page_size=7)

    last = {}
    for change in bench.outbox.changes:
        if change.version > last.get(change.message_key, (0, None))[0]:
            last[change.message_key] = (change.version, change.new_image)
    assert [(m.message_key, m.version, m.image) for m in found] == [
        (key, *last[key]) for key in sorted(last)
    ]
    for message in found:
        clicks = [f for f in message.acts if f.kind == 7]
        assert len(clicks) == message.image.click_count


async def test_a_stream_goes_on_behind_the_last_page_that_was_used(
    bench: Bench, snapshots: SnapshotServiceStub
) -> None:
    """A rebuild of hours must survive a restart in its middle."""
    await bench.apply(*a_crowd(20))
    whole = await read(snapshots)
    pages = snapshots.StreamSnapshot(StreamSnapshotRequest(page_size=3), metadata=INTERNAL)
    first = await pages.read()
    pages.cancel()

    rest = await read(snapshots, after=first.next_after)

    assert [*first.messages, *rest] == whole


async def test_only_what_is_asked_for_is_streamed(
    bench: Bench, snapshots: SnapshotServiceStub
) -> None:
    """A tenant or a campaign alone can be recounted."""
    await bench.apply(
        builders.a_registered(),
        builders.a_registered(
            registration=builders.a_registration("other"),
            provider_message_id="wamid.2",
            message_ref="ref-2",
        ),
        builders.an_event(tenant_id="another"),
        a_click_by_ref(ref="ref-of-nobody"),
    )

    assert len(await read(snapshots)) == 3
    assert len(await read(snapshots, tenant_id="demo")) == 2
    (one,) = await read(snapshots, tenant_id="demo", campaign_id="other")
    assert one.image.message_ref == "ref-2"


@pytest.mark.parametrize(
    "request_",
    [
        {"page_size": 10_001},
        {"page_size": -1},
        {"campaign_id": "c"},
        {"after": {"message_key": b"short"}},
    ],
)
async def test_a_request_that_cannot_be_meant_is_refused(
    snapshots: SnapshotServiceStub, request_: dict[str, object]
) -> None:
    """Bad input names its field."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await read(snapshots, **request_)

    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_whoever_has_not_the_internal_token_sees_nothing(
    bench: Bench, snapshots: SnapshotServiceStub
) -> None:
    """The stream has every tenant in it."""
    await bench.apply(builders.a_registered())

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await snapshots.StreamSnapshot(StreamSnapshotRequest()).read()

    assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED
