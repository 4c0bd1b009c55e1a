"""Every account's address, and what is the same for all that comes to it."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from libs.runtime.accounts import Account, Accounts
from libs.runtime.quick_metrics import Count, QuickCounter, QuickHistogram, Spread
from services.ingest.adapters.door_replies import Reply, reply_of
from services.ingest.domain.fair_share import Load
from services.ingest.domain.pace import Pace
from services.ingest.providers.provider import AsksOutside, PacksEvents, Provider
from services.ingest.providers.registry import BY_NAME
from services.ingest.record_callback import Parse

PREFIX: Final = "/callbacks/"
CALLBACKS = QuickCounter(
    "ingest_callbacks_total", "Callbacks answered", ("provider", "http_status")
)
_callback_seconds = QuickHistogram(
    "ingest_callback_seconds", "From the head of a callback to its answer", ("provider",)
)
_callback_bytes = QuickCounter(
    "ingest_callback_bytes_total", "Bytes of the bodies of callbacks answered", ("provider",)
)


class Doorway(msgspec.Struct, frozen=True, kw_only=True):
    """One account's address: whose it is, and what is the same for all that comes to it."""

    account: Account
    provider: Provider
    load: Load  # what the account holds of the door
    external_url: str  # without a query
    asking: AsksOutside | None  # the provider, if its callbacks make us ask outside
    parse: Parse  # reads on the short way
    stored: Reply  # what nearly all callbacks hear
    stored_wire: bytes  # the same, ready to be written
    body_bytes_max: int
    pace: Pace | None  # None: as fast as they come
    # Of its provider: counted at each callback.
    answered_ok: Count
    body_bytes: Count
    seconds: Spread


def doorways_of(
    accounts: Accounts,
    known: Mapping[str, Doorway],
    *,
    public_url: str,
    is_outside_asked: bool,
    body_bytes_max: int,
) -> dict[str, Doorway]:
    """Return the doorway of each account by its path; of those ``known``, what has not changed.

    Args:
        accounts: all there are; one that has changed is another object.
        known: what was returned before.
        public_url: that the addresses begin with.
        is_outside_asked: whether providers may make us call addresses that they name.
        body_bytes_max: of any account.
    """
    doorways = {}
    for path, account, provider in _addresses(accounts):
        doorway = known.get(path)
        if doorway is None or doorway.account is not account:
            url = f"{public_url}{path}"
            # What is under way for the account counts on.
            load = Load() if doorway is None else doorway.load
            doorway = _doorway(account, provider, load, url, is_outside_asked, body_bytes_max)
        doorways[path] = doorway
    return doorways


def _addresses(accounts: Accounts) -> Iterable[tuple[str, Account, Provider]]:
    for account in accounts:
        provider = BY_NAME.get(account.provider)
        if provider is not None:
            yield f"{PREFIX}{account.provider}/{account.account}", account, provider


def _doorway(
    account: Account,
    provider: Provider,
    load: Load,
    external_url: str,
    is_outside_asked: bool,
    body_bytes_max: int,
) -> Doorway:
    stored = reply_of(provider.answer)
    limits = account.limits
    return Doorway(
        account=account,
        provider=provider,
        load=load,
        external_url=external_url,
        asking=provider if is_outside_asked and isinstance(provider, AsksOutside) else None,
        parse=provider.parse_packed if isinstance(provider, PacksEvents) else provider.parse,
        stored=stored,
        stored_wire=stored.wire(is_last=False),
        body_bytes_max=min(limits.body_bytes_max or body_bytes_max, body_bytes_max),
        pace=Pace(limits.requests_per_second) if limits.requests_per_second else None,
        answered_ok=CALLBACKS.of(provider.name, "200"),
        body_bytes=_callback_bytes.of(provider.name),
        seconds=_callback_seconds.of(provider.name),
    )
