from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import httpx
import pytest
from bluetick.v1 import common_pb2
from bluetick.v1 import ingest_service_pb2 as pb
from bluetick.v1.event_pb2 import Event
from bluetick.v1.ingest_service_pb2_grpc import IngestServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.embedded.ports import free_port
from libs.runtime.broker import Broker
from libs.runtime.keys import ref_key
from libs.runtime.lifecycle import Scope
from libs.runtime.secret_keys import parse_keys
from libs.runtime.settings import RuntimeSettings
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.settings import IngestSettings
from services.ingest.wiring import build
from tests.ingest.stored_events import stored_events

TOKEN = "a-token-for-tests-only"
KEYS = "k:a secret for tests only"
BASE = "https://go.example"
SHOP = "https://shop.example/sale?id=1"
PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"}


class Ingest:
    """Both doors of a running ingest."""

    def __init__(self, http_port: int, grpc_port: int) -> None:
        base_url = f"http://127.0.0.1:{http_port}"
        self.http = httpx.AsyncClient(base_url=base_url, timeout=20, headers=PERSON)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}")
        self.stub = IngestServiceStub(self.channel)

    async def wrap(self, *links: pb.LinkToWrap, role: str = "SENDER") -> list[str]:
        """Tracked URLs without their base."""
        metadata = (
            ("x-bluetick-internal-token", TOKEN),
            ("x-bluetick-tenant", "demo"),
            ("x-bluetick-role", role),
        )
        request = pb.WrapLinksRequest(links=links)
        answer = await self.stub.WrapLinks(request, metadata=metadata, timeout=15)
        assert all(url.startswith(f"{BASE}/l/") for url in answer.urls)
        return [url.removeprefix(BASE) for url in answer.urls]

    async def close(self) -> None:
        await self.http.aclose()
        await self.channel.close()


def a_link(**fields: Any) -> pb.LinkToWrap:
    """A link that can be wrapped."""
    return pb.LinkToWrap(**{"message_ref": "ref-1", "url": SHOP, **fields})


def _settings(runtime: RuntimeSettings, database_url: str, **more: Any) -> IngestSettings:
    given = {
        "nats_url": runtime.nats_url,
        "nats_monitor_url": runtime.nats_monitor_url,
        "database_url": database_url,
        "internal_token": TOKEN,
        "ingest_http_host": "127.0.0.1",
        "ingest_http_port": 0,
        "ingest_grpc_host": "127.0.0.1",
        "ingest_grpc_port": 0,
        "ingest_link_timeout_s": 2.0,
        "link_keys": KEYS,
        "link_base_url": f"{BASE}/",
        **more,
    }
    return IngestSettings(**given)


async def _running(scope: Scope, settings: IngestSettings) -> Ingest:
    ingest = Ingest(*await build(scope, settings))
    scope.defer(ingest.close)
    return ingest


@pytest.fixture
async def ingest(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> AsyncIterator[Ingest]:
    scope = Scope()
    yield await _running(scope, _settings(broker_settings, database_url))
    await scope.close()


@pytest.fixture
async def ingest_without_database(
    broker: Broker, broker_settings: RuntimeSettings
) -> AsyncIterator[Ingest]:
    scope = Scope()
    nowhere = f"postgresql://bluetick@127.0.0.1:{free_port()}/bluetick"
    yield await _running(scope, _settings(broker_settings, nowhere))
    await scope.close()


async def _execute(database_url: str, statement: str) -> Any:
    connection = await asyncpg.connect(database_url, ssl=False)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _clicks(broker: Broker) -> list[Event]:
    events = await stored_events(broker)
    return [event for event in events if event.kind == common_pb2.EVENT_KIND_CLICKED]


async def test_a_click_is_on_disk_before_the_person_is_sent_on(
    ingest: Ingest, broker: Broker
) -> None:
    """A redirect that was not recorded is a click that nobody can ever count."""
    (path,) = await ingest.wrap(
        a_link(link_id="sale", label="Sale", card_index=2, kind=pb.LINK_KIND_EXTERNAL_BUTTON)
    )

    answer = await ingest.http.get(path)

    assert answer.status_code == 302
    assert answer.headers["location"] == SHOP
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.content == b""
    (event,) = await _clicks(broker)
    assert event.tenant_id == "demo"
    assert (event.message_ref, event.message_key) == ("ref-1", ref_key("demo", "ref-1"))
    assert event.occur_time_us == event.receive_time_us > 0
    act = event.engagement
    assert (act.link_id, act.url, act.link_label, act.card_index) == ("sale", SHOP, "Sale", 2)
    assert act.is_external_button
    assert not act.is_machine
    assert act.act_id


async def test_every_click_is_an_act_of_its_own(ingest: Ingest, broker: Broker) -> None:
    """Who clicks twice has clicked twice."""
    (path,) = await ingest.wrap(a_link())

    for _ in range(3):
        assert (await ingest.http.get(path)).status_code == 302

    clicks = await _clicks(broker)
    assert len({event.engagement.act_id for event in clicks}) == 3
    assert not any(event.engagement.is_external_button for event in clicks)


async def test_a_look_whether_the_link_is_there_is_no_click(ingest: Ingest, broker: Broker) -> None:
    """Link checkers ask with HEAD."""
    (path,) = await ingest.wrap(a_link())

    answer = await ingest.http.head(path)

    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    assert await _clicks(broker) == []


async def test_a_machines_click_is_flagged_and_kept(ingest: Ingest, broker: Broker) -> None:
    """Raw numbers and people's are both answered, so nothing may be dropped here."""
    (path,) = await ingest.wrap(a_link())

    preview = await ingest.http.get(path, headers={"user-agent": "WhatsApp/2.23.20.0 A"})
    early = await ingest.http.get(path, headers={"sec-purpose": "prefetch"})

    assert (preview.status_code, early.status_code) == (302, 302)
    clicks = await _clicks(broker)
    assert all(event.engagement.is_machine for event in clicks)
    rules = {event.engagement.machine_rule.rpartition("/")[0] for event in clicks}
    assert rules == {"crawler-user-agents", "prefetch"}


@pytest.mark.parametrize("path", ["/l/", "/l/AAAA", "/l/%00", "/l/a/b", "/l/" + "A" * 4_000])
async def test_what_we_did_not_sign_leads_nowhere(ingest: Ingest, path: str) -> None:
    """Our address must never send anybody where no sender of ours wanted them."""
    assert (await ingest.http.get(path)).status_code == 404


async def test_a_changed_token_leads_nowhere_and_counts_nothing(
    ingest: Ingest, broker: Broker
) -> None:
    """Nobody can click in the name of another message."""
    (path,) = await ingest.wrap(a_link())

    answer = await ingest.http.get(path[:-2] + ("AA" if path[-2:] != "AA" else "BB"))

    assert answer.status_code == 404
    assert await _clicks(broker) == []


async def test_a_link_answers_only_what_browsers_ask(ingest: Ingest) -> None:
    """Anything else is a mistake, and is told so."""
    (path,) = await ingest.wrap(a_link())

    answer = await ingest.http.post(path, content=b"a=b")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_links_are_answered_in_order_and_the_same_again(ingest: Ingest) -> None:
    """A sender that tries again sends the same message."""
    links = [
        a_link(message_ref=f"ref-{n % 3}", url=f"https://shop.example/{n % 7}", card_index=n % 2)
        for n in range(40)
    ]

    first = await ingest.wrap(*links)
    again = await ingest.wrap(*reversed(links))

    assert first == list(reversed(again))
    assert len(set(first)) == len({link.SerializeToString() for link in links})
    for path, link in zip(first[:7], links, strict=False):
        assert (await ingest.http.get(path)).headers["location"] == link.url


async def test_a_thousand_messages_make_one_row(ingest: Ingest, database_url: str) -> None:
    """A campaign of millions must cost the database nothing."""
    await ingest.wrap(*(a_link(message_ref=f"ref-{n}") for n in range(1_000)))

    assert await _execute(database_url, "SELECT count(*) FROM ingest.destinations") == 1


async def test_a_link_that_cannot_work_fails_the_request_and_is_named(
    ingest: Ingest, database_url: str
) -> None:
    """A message with a bare link would go out uncounted."""
    bad = [
        a_link(),
        a_link(url="javascript:alert(1)"),
        a_link(url="https://shop.example@evil.example/"),
        a_link(message_ref=""),
        a_link(message_ref="x" * 257),
        a_link(kind=9),
        a_link(link_id="a\x00"),
    ]

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ingest.wrap(*bad)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert _fields(refused.value) == [
        "links[1].url",
        "links[2].url",
        "links[3].message_ref",
        "links[4].message_ref",
        "links[5].kind",
        "links[6].link_id",
    ]
    assert await _execute(database_url, "SELECT count(*) FROM ingest.destinations") == 0


async def test_a_thousand_bad_links_still_get_an_answer(ingest: Ingest) -> None:
    """Errors travel in headers, which are small."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ingest.wrap(*(a_link(url="ftp://files.example/") for _ in range(1_000)))

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert len(_fields(refused.value)) == 10


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_request_has_one_to_a_thousand_links(ingest: Ingest, count: int) -> None:
    """Larger ones would hold the service up for everybody else."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ingest.wrap(*(a_link() for _ in range(count)))

    assert _fields(refused.value) == ["links"]


async def test_readers_wrap_nothing(ingest: Ingest) -> None:
    """A key that was given to a dashboard must not lend our address to anybody."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ingest.wrap(a_link(), role="READER")

    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_another_replica_follows_what_this_one_wrapped(
    ingest: Ingest, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """Replicas share the table and the keys, nothing else; one that has just started works."""
    (path,) = await ingest.wrap(a_link())
    scope = Scope()

    newer = f"n:another secret for tests,{KEYS}"
    replica = await _running(scope, _settings(broker_settings, database_url, link_keys=newer))
    answer = await replica.http.get(path)
    (renewed,) = await replica.wrap(a_link())
    await scope.close()

    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    assert renewed != path


async def test_known_links_work_while_the_database_is_away(
    ingest: Ingest, broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """People click when they click."""
    (path,) = await ingest.wrap(a_link())
    scope = Scope()
    replica = await _running(scope, _settings(broker_settings, database_url))
    await _execute(database_url, "ALTER SCHEMA ingest RENAME TO elsewhere")

    known = await ingest.http.get(path)
    wrapped = await ingest.wrap(a_link(message_ref="ref-2"))
    unknown = await replica.http.get(path)
    await _execute(database_url, "ALTER SCHEMA elsewhere RENAME TO ingest")
    later = await replica.http.get(path)
    await scope.close()

    assert known.status_code == 302
    assert len(wrapped) == 1
    assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "2")
    assert later.status_code == 302
    assert len(await _clicks(broker)) == 2


async def test_the_doors_open_without_a_database(ingest_without_database: Ingest) -> None:
    """Callbacks need none, and must be taken."""
    door = ingest_without_database
    token = LinkKeyring(parse_keys(KEYS)).sign(bytes(8), "ref-1")

    assert (await door.http.get("/readyz")).status_code == 200
    assert (await door.http.get(f"/l/{token}")).status_code == 503
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.wrap(a_link())
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_without_a_key_nothing_is_wrapped(
    broker: Broker, broker_settings: RuntimeSettings, database_url: str
) -> None:
    """A link that anybody could have made is worse than none."""
    scope = Scope()
    ingest = await _running(scope, _settings(broker_settings, database_url, link_keys=""))

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ingest.wrap(a_link())
    await scope.close()

    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def _fields(error: grpc.aio.AioRpcError) -> list[str]:
    status, bad = rpc_status.from_call(error), error_details_pb2.BadRequest()
    assert status is not None
    assert any(detail.Unpack(bad) for detail in status.details)
    return [violation.field for violation in bad.field_violations]
