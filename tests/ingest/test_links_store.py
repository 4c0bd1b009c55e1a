from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from bluetick.v1 import ingest_service_pb2 as pb

from libs.runtime.database import Database
from libs.runtime.secret_keys import parse_keys
from libs.testkit.clock import ManualClock
from services.ingest.adapters.link_door import LinkDoor
from services.ingest.adapters.link_store import LinkStore
from services.ingest.domain.destinations import Destination, link_key
from services.ingest.domain.link_token import LinkKeyring
from tests.ingest.record_builders import KeptEvents

KEYS = "k:a secret for tests only"
SHOP = "https://shop.example/sale?id=1"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[LinkStore]:
    store = LinkStore(Database.lazy(database_url), timeout_s=5, cached_max=2)
    yield store
    await store._database.close()


def _destination(url: str = SHOP) -> Destination:
    return Destination("demo", url, "", "", 0, pb.LINK_KIND_LINK)


def _door(store: LinkStore, events: KeptEvents) -> LinkDoor:
    return LinkDoor(
        keyring=LinkKeyring(parse_keys(KEYS)),
        directory=store,
        events=events,
        clock=ManualClock(),
        visits_in_flight_max=1,
        retry_after_s=2,
    )


def _asked(key: bytes) -> dict[str, Any]:
    token = LinkKeyring(parse_keys(KEYS)).sign(key, "ref-1")
    return {"method": "GET", "path": f"/l/{token}", "headers": []}


async def test_a_click_that_is_not_on_disk_is_asked_to_come_again(store: LinkStore) -> None:
    """The broker is back in seconds; a click that was let through uncounted never comes again."""
    (key,) = await store.register([_destination()], 1)

    status, body, headers = await _door(store, KeptEvents(is_away=True)).answer(_asked(key))

    assert (status, body) == (503, b"")
    assert dict(headers)[b"retry-after"] == b"2"


async def test_a_destination_that_is_no_longer_allowed_leads_nowhere(store: LinkStore) -> None:
    """When the rules become stricter, old links obey them too."""
    (key,) = await store.register([_destination("javascript:alert(1)")], 1)
    events = KeptEvents()

    status, *_ = await _door(store, events).answer(_asked(key))

    assert status == 404
    assert not events.batch.events


async def test_a_link_that_nobody_registered_leads_nowhere(store: LinkStore) -> None:
    """A valid signature says who wrote the token, not that the table was restored."""
    status, *_ = await _door(store, KeptEvents()).answer(_asked(bytes(8)))

    assert status == 404


async def test_two_links_of_one_name_both_get_where_they_should(
    store: LinkStore, database_url: str
) -> None:
    """64 bits meet once in a very long while, and then nobody may be led astray."""
    taken = link_key(_destination())
    squatter = _destination("https://other.example/")
    (other,) = await store.register([squatter], 1)
    moved = f"UPDATE ingest.destinations SET link_key = '\\x{taken.hex()}'"
    connection = await asyncpg.connect(database_url, ssl=False)
    await connection.execute(f"{moved} WHERE link_key = '\\x{other.hex()}'")
    await connection.close()

    (key,) = await store.register([_destination()], 2)
    (again,) = await store.register([_destination()], 3)

    assert key == again != taken
    assert await store.find(key) == _destination()
    assert await store.find(taken) == squatter


async def test_what_was_forgotten_is_read_again(store: LinkStore) -> None:
    """Memory is bounded; the links are not."""
    links = [_destination(f"https://shop.example/{n}") for n in range(5)]

    keys = await store.register(links, 1)

    assert [await store.find(key) for key in keys] == links
    assert await store.register(links, 2) == keys
