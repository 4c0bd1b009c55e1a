"""Callbacks of email providers and what becomes of them."""

from typing import Any

from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Callback, Provider, Refused

NOW_S = 1_785_900_000
NOW_US = NOW_S * 1_000_000
JANE = "jane@example.net"


def account(provider: str, secrets: dict[str, list[str]] | None = None, **options: str) -> Account:
    """The tenant's account ``acct_1``."""
    return Account(
        provider=provider, account="acct_1", tenant="demo", secrets=secrets or {}, options=options
    )


def post(provider: str, body: bytes, **fields: Any) -> Callback:
    """An HTTP request of the provider; ``headers`` in lower case."""
    given: dict[str, Any] = {
        "method": "POST",
        "query": "",
        "headers": {"content-type": "application/json"},
        "body": body,
        "external_url": f"https://hooks.example.com/callbacks/{provider}/acct_1",
        "receive_time_us": NOW_US,
        **fields,
    }
    return Callback(**given)


def read(provider: Provider, body: bytes, owner: Account | None = None, **fields: Any) -> Reading:
    """What the dialect makes of a body that is taken for authentic."""
    reading = provider.parse(
        post(provider.name, body, **fields), owner or account(provider.name, {"basic_pass": ["x"]})
    )
    assert not isinstance(reading, Refused)
    return reading


def events(provider: Provider, body: bytes, owner: Account | None = None) -> list[Event]:
    """The events of a body that is readable to the last item."""
    reading = read(provider, body, owner)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


def quarantined(provider: Provider, body: bytes) -> list[str]:
    """Why which parts cannot be read."""
    return [part.reason for part in read(provider, body).batch.quarantined]
