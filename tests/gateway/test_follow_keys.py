"""Keys that were issued by call, as the gateway follows them."""

import asyncio

import pytest
from bluetick.v1.key_service_pb2 import IssuedKey, ListIssuedKeysRequest, ListIssuedKeysResponse

from libs.runtime.api_keys import ApiKeys, Role, hash_of
from libs.runtime.rpc_errors import Unauthenticated, Unavailable
from services.gateway.admit_call import Gatekeeper
from services.gateway.domain.routes import routes
from services.gateway.follow_keys import KeyFollower, KeysUnread
from services.gateway.key_book import KeyBook

ROUTE = routes()["/bluetick.v1.AdminService/ListAccounts"]


class Issued:
    """Ingest, as the gateway sees it."""

    def __init__(self) -> None:
        self.revision = "1"
        self.keys: list[str] = []
        self.is_away = False
        self.asked: list[str] = []

    async def list_issued(self, request: ListIssuedKeysRequest) -> ListIssuedKeysResponse:
        self.asked.append(request.revision)
        if self.is_away:
            raise KeysUnread("ingest answers UNAVAILABLE")
        if request.revision == self.revision:
            return ListIssuedKeysResponse(revision=self.revision, is_unchanged=True)
        keys = [
            IssuedKey(sha256=bytes.fromhex(hash_of(key)), tenant_id="demo", role=Role.ADMIN)  # type: ignore[arg-type]
            for key in self.keys
        ]
        return ListIssuedKeysResponse(revision=self.revision, keys=keys)


def a_gatekeeper(issued: Issued) -> tuple[Gatekeeper, KeyFollower]:
    book = KeyBook(ApiKeys([]), lambda: 1_000)
    follower = KeyFollower(book, issued)
    return Gatekeeper(book, follower, "token"), follower


async def test_a_key_issued_a_moment_ago_is_looked_for_at_once() -> None:
    """Whoever makes a key uses it next."""
    issued = Issued()
    gatekeeper, follower = a_gatekeeper(issued)
    await follower.refresh()
    issued.keys, issued.revision = ["k"], "2"

    key = await gatekeeper.admit(ROUTE, "k")

    assert (key.tenant_id, key.role) == ("demo", Role.ADMIN)


async def test_known_keys_go_on_while_nobody_tells_of_new_ones() -> None:
    """An outage of ingest must not shut the whole gateway."""
    issued = Issued()
    issued.keys = ["k"]
    gatekeeper, follower = a_gatekeeper(issued)
    await follower.refresh()
    issued.is_away = True
    await follower.refresh()

    assert (await gatekeeper.admit(ROUTE, "k")).tenant_id == "demo"
    with pytest.raises(Unauthenticated):
        await gatekeeper.admit(ROUTE, "unknown")


async def test_before_the_first_look_an_unknown_key_is_our_trouble() -> None:
    """A client that is told that its key is wrong gives up."""
    issued = Issued()
    issued.is_away = True
    gatekeeper, _ = a_gatekeeper(issued)

    with pytest.raises(Unavailable) as told:
        await gatekeeper.admit(ROUTE, "k")

    assert (told.value.reason, told.value.retry_s) == ("API_KEYS_UNREAD", 1.0)


async def test_strangers_do_not_make_the_gateway_ask_for_each_of_their_keys() -> None:
    """Guessing is cheap; what it costs must be, too."""
    issued = Issued()
    gatekeeper, follower = a_gatekeeper(issued)
    await follower.refresh()
    asked = len(issued.asked)

    tries = [gatekeeper.admit(ROUTE, f"guess-{number}") for number in range(500)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Unauthenticated}
    assert len(issued.asked) - asked <= 2
