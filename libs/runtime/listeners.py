"""Listeners: other teams' programs that take changes from the broker, and what each may do there.

A listener has a durable consumer on CHANGES that status makes for it, filtered to its tenant, and a
user in an account of its own. That account reaches two services of ours, and no stream: to fetch
from that consumer, and to acknowledge. Permissions inside of our own account would not do: who
fetches names the subject that the broker answers to, and could have it write changes to EVENTS.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.runtime.accounts import NAME, AccountsProblem
from libs.runtime.streams import CHANGES_STREAM, changes_subject

# The account of our own services, with all streams.
OWN_ACCOUNT: Final = "BLUETICK"
_STATES: Final = frozenset(
    ("unspecified", "queued", "dropped", "accepted", "sent", "undelivered", "delivered", "read")
)


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One consumer of one tenant's changes. Unique by ``name``, which is its user as well."""

    name: str
    tenant: str
    states: tuple[str, ...] = ()  # in lower case; none: all
    start_time: datetime | None = None  # None: with the oldest that the stream has

    @property
    def consumer(self) -> str:
        """The consumer's name on the broker; no service of ours has one like it."""
        return f"listener-{self.name}"

    @property
    def account(self) -> str:
        """The account's name on the broker."""
        return f"LISTENER-{self.name}"

    @property
    def subjects(self) -> list[str]:
        """What the consumer is filtered to."""
        if not self.states:
            return [changes_subject(self.tenant, ">")]
        return [changes_subject(self.tenant, state) for state in self.states]

    @property
    def services(self) -> list[str]:
        """What the listener may ask the broker: its consumer's next messages; to take an ack."""
        fetching = f"$JS.API.CONSUMER.MSG.NEXT.{CHANGES_STREAM}.{self.consumer}"
        return [fetching, f"$JS.ACK.{CHANGES_STREAM}.{self.consumer}.>"]


class _ListenersFile(msgspec.Struct):
    listeners: list[Listener]


def load_listeners(path: str) -> list[Listener]:
    """Read the listeners file; an empty path gives no listeners.

    Raises:
        AccountsProblem: the file is missing, no JSON, or not of the form.
    """
    if not path:
        return []
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=_ListenersFile).listeners
    except OSError as error:
        raise AccountsProblem(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise AccountsProblem(f"{path}: {error}") from None
    names = set()
    for listener in found:
        for field in ("name", "tenant"):
            if not NAME.fullmatch(value := getattr(listener, field)):
                raise AccountsProblem(
                    f"{path}: {field} {value!r}: 1 to 64 of letters, digits, '-' and '_'."
                )
        if unknown := sorted(set(listener.states) - _STATES):
            raise AccountsProblem(
                f"{path}: states {unknown} of {listener.name}: some of {sorted(_STATES)}."
            )
        if listener.start_time is not None and listener.start_time.tzinfo is None:
            raise AccountsProblem(
                f"{path}: start_time of {listener.name} needs its zone, such as a Z at its end."
            )
        if listener.name in names:
            raise AccountsProblem(f"{path}: listener {listener.name!r} is there twice.")
        names.add(listener.name)
    return found


def broker_accounts(user: str, password: str, listeners: Mapping[Listener, str]) -> dict[str, Any]:
    """Return the ``accounts`` of a broker's configuration.

    Args:
        user: of our own services, who may do everything in their account.
        password: theirs.
        listeners: with the password of each; the user is the listener's name.
    """
    own = {
        "jetstream": "enabled",
        "users": [{"user": user, "password": password}],
        "exports": [
            # A fetch is answered by many messages; an export of one answer would cut it.
            {"service": service, "response_type": "stream", "accounts": [listener.account]}
            for listener in listeners
            for service in listener.services
        ],
    }
    accounts: dict[str, Any] = {OWN_ACCOUNT: own}
    for listener, word in listeners.items():
        permissions = {"publish": listener.services, "subscribe": ["_INBOX.>"]}
        accounts[listener.account] = {
            "users": [{"user": listener.name, "password": word, "permissions": permissions}],
            "imports": [
                {"service": {"account": OWN_ACCOUNT, "subject": service}}
                for service in listener.services
            ],
        }
    return accounts
