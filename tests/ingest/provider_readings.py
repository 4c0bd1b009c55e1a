"""What a provider's dialect makes of a body, for the tests of those that sign nothing."""

import json
from typing import Any
from urllib.parse import urlencode

from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Callback, Provider, Refused
from services.ingest.record_callback import read_callback

NOW_S = 1_785_900_000
NOW_US = NOW_S * 1_000_000
AT = NOW_S - 60
AT_US = AT * 1_000_000


class Reader:
    """One provider with one account."""

    def __init__(self, provider: Provider, **account: Any) -> None:
        self.provider = provider
        if "secrets" not in account:
            # Nothing proves a callback of such an account, so it says that it takes them.
            account["options"] = {"unproven": "accept", **account.get("options", {})}
        self.account = Account(provider=provider.name, account="acct_1", tenant="demo", **account)

    def with_account(self, **fields: Any) -> "Reader":
        """The same provider with other secrets or options."""
        return Reader(self.provider, **fields)

    def outcome(self, body: Any = b"", **fields: Any) -> Any:
        """What the door would be told, all steps included."""
        return read_callback(self.callback(body, **fields), self.account, self.provider)

    def callback(self, body: Any = b"", **fields: Any) -> Callback:
        """A POST of JSON; bytes are taken as they are."""
        given: dict[str, Any] = {
            "method": "POST",
            "query": "",
            "headers": {},
            "body": body if isinstance(body, bytes) else json.dumps(body).encode(),
            "external_url": f"https://hooks.example.com/callbacks/{self.provider.name}/acct_1",
            "receive_time_us": NOW_US,
            **fields,
        }
        return Callback(**given)

    def reading(self, body: Any = b"", **fields: Any) -> Reading:
        """The reading of a callback that is taken."""
        outcome = self.outcome(body, **fields)
        assert isinstance(outcome, Reading), outcome
        return outcome

    def events(self, body: Any = b"", **fields: Any) -> list[Event]:
        """The events of a body that is readable to the last item."""
        reading = self.reading(body, **fields)
        assert not reading.batch.quarantined, reading.batch.quarantined
        return list(reading.batch.events)

    def event(self, body: Any = b"", **fields: Any) -> Event:
        """The only event of a body."""
        (only,) = self.events(body, **fields)
        return only

    def form(self, fields: dict[str, str]) -> Event:
        """The only event of a form."""
        return self.event(urlencode(fields).encode())

    def query(self, fields: dict[str, str]) -> Event:
        """The only event of a GET."""
        return self.event(method="GET", query=urlencode(fields))

    def quarantined(self, body: Any) -> list[tuple[str, bool]]:
        """Reason of each part that cannot be read, and whether it is a part."""
        return [(part.reason, part.is_part) for part in self.reading(body).batch.quarantined]


def is_refused(outcome: object, http_status: int) -> bool:
    """Say whether the callback was turned away with this status."""
    return isinstance(outcome, Refused) and outcome.http_status == http_status


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields without some of them."""
    return {name: value for name, value in fields.items() if name not in names}
