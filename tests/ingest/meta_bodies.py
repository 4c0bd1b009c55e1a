"""Bodies as Meta sends them, written from its schema, and readings of them."""

import hmac
import json
from typing import Any

from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.meta import Meta
from services.ingest.providers.provider import Callback

SECRET = "an-app-secret-for-tests"
NOW_S = 1_785_900_000
NOW_US = NOW_S * 1_000_000
AT = NOW_S - 60
WAMID = "wamid.TEST1"
PHONE = "14155550101"
USER_ID = "DE.1234567890"

ACCOUNT = Account(
    provider="meta",
    account="acct_1",
    tenant="demo",
    secrets={"app_secret": ["a-new-secret", SECRET], "verify_token": ["token-1", "token-2"]},
)


def status(word: str = "delivered", **fields: Any) -> dict[str, Any]:
    """One entry of ``statuses``; a field that is None is left out."""
    item = {"id": WAMID, "status": word, "timestamp": str(AT), "recipient_id": PHONE, **fields}
    return {name: value for name, value in item.items() if value is not None}


def inbound(word: str = "text", **fields: Any) -> dict[str, Any]:
    """One entry of ``messages``; a field that is None is left out."""
    item = {"id": "wamid.IN1", "type": word, "timestamp": str(AT), "from": PHONE, **fields}
    return {name: value for name, value in item.items() if value is not None}


def change(field: str = "messages", **value: Any) -> dict[str, Any]:
    """One entry of ``changes``."""
    described = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "14155550100", "phone_number_id": "1060000001"},
        **value,
    }
    return {"field": field, "value": described}


def envelope(*changes: dict[str, Any], time: int | None = None) -> dict[str, Any]:
    """The whole body, not yet serialized."""
    entry: dict[str, Any] = {"id": "1020000001", "changes": list(changes)}
    if time is not None:
        entry["time"] = time
    return {"object": "whatsapp_business_account", "entry": [entry]}


def dump(body: Any) -> bytes:
    """Serialize as Meta does: letters beyond ASCII are escaped."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def signature(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The header that proves ``body``."""
    return {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


def callback(body: Any, **fields: Any) -> Callback:
    """A signed POST."""
    raw = dump(body)
    given: dict[str, Any] = {
        "method": "POST",
        "query": "",
        "headers": signature(raw),
        "body": raw,
        "external_url": "https://hooks.example.com/callbacks/meta/acct_1",
        "receive_time_us": NOW_US,
        **fields,
    }
    return Callback(**given)


def read(body: Any) -> Reading:
    """What Meta's dialect makes of ``body``."""
    reading = Meta().parse(callback(body), ACCOUNT)
    assert isinstance(reading, Reading)
    return reading


def events(body: Any) -> list[Event]:
    """The events of a body that is readable to the last item."""
    reading = read(body)
    assert not reading.batch.quarantined
    return list(reading.batch.events)


def event(body: Any) -> Event:
    """The only event of a body."""
    (only,) = events(body)
    return only


def quarantined(body: Any) -> list[tuple[str, str]]:
    """Reason and detail of each part that cannot be read."""
    return [(part.reason, part.detail) for part in read(body).batch.quarantined]
