"""What Bluetick asks of a provider: one small interface, one file per provider behind it.

A provider is pure: no clock, no network, no settings. What it needs is in the callback and in the
account. The door around it does the rest, in this order:

1. ``handshake``: is this the provider trying the address out, and what does it want to hear?
2. ``authenticate``: does the callback come from the provider, by its raw bytes?
3. ``parse``: what does it say?
4. the events are stored, and the provider hears ``answer``.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, runtime_checkable

import msgspec
from bluetick.v1.event_pb2 import (
    CALLBACK_PROOF_CREDENTIAL,
    CALLBACK_PROOF_NOTHING,
    CALLBACK_PROOF_SIGNATURE,
)

from libs.runtime.accounts import Account
from services.ingest.domain.link_token import LinkKeyring
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import AHEAD_S_MAX

# Names of secrets or options, each with what it is.
Names = Mapping[str, str]


class Callback(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP request of a provider, as it came: nothing decoded, nothing normalized."""

    method: str  # "POST" or "GET"; some providers report in the query of a GET
    query: str  # without "?", in the order received: some signatures cover it
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # raw: signatures cover these bytes, not what they decode to
    external_url: str  # as the provider called it, from configuration; never from Host
    receive_time_us: int  # microseconds since 1970, UTC
    signature_age_s_max: int = 0  # oldest signed time that is taken; 0: any
    time_ahead_s_max: int = AHEAD_S_MAX  # how far ahead of its receipt a time is believed
    link_keys: LinkKeyring | None = None  # of tracked links: what else tells clicks on them
    is_trial: bool = False  # nothing of it is stored, so it uses nothing up
    certificate: str = ""  # PEM from the address that ``certificate_url`` named; empty: none


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the provider hears."""

    http_status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()  # beside the usual ones, names in lower case


class Authentic(msgspec.Struct, frozen=True, gc=False):
    """The callback comes from the provider, as far as ``proof`` (a ``CallbackProof``) proves it."""

    proof: int = CALLBACK_PROOF_SIGNATURE


SIGNED: Final = Authentic(CALLBACK_PROOF_SIGNATURE)
CREDENTIAL: Final = Authentic(CALLBACK_PROOF_CREDENTIAL)
UNPROVEN: Final = Authentic(CALLBACK_PROOF_NOTHING)


class Refused(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The callback is turned away. ``reason`` and ``cure`` are for us, never for the caller."""

    reason: str
    http_status: int = 401
    # What the operator may do about it; empty where the reason says it all.
    cure: str = ""

    def __eq__(self, other: object) -> bool:
        """Say whether both are refused for the same reason, whatever is advised."""
        if not isinstance(other, Refused):
            return NotImplemented
        return (self.reason, self.http_status) == (other.reason, other.http_status)

    def __hash__(self) -> int:
        """Return the hash of what is compared."""
        return hash((self.reason, self.http_status))


SECRET_NOT_CONFIGURED: Final = Refused(
    "SECRET_NOT_CONFIGURED",
    503,
    "Give the account the secret with which the provider signs; see docs/providers.md for its "
    "name.",
)


_NO_SECRETS: Final[list[str]] = []


class Provider(Protocol):
    """One provider's dialect.

    Tables from the provider's words to ours; an unknown word is an event of its own
    (``EVENT_KIND_UNKNOWN``) with the original beside it, never an error and never a guess.
    """

    name: str
    methods: frozenset[str]
    answer: Answer
    # Names that an account may use, each with what it is; another one stops the start.
    secrets: ClassVar[Names]
    options: ClassVar[Names]
    # Its signature covers a token and not the body: it is a ``SignsTokens``.
    signs_tokens: ClassVar[bool]

    def option_problem(self, options: Mapping[str, str]) -> str:
        """Return what is wrong with the values of an account's options; empty: nothing."""

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Return the answer to a hand-shake; None if the callback is none.

        Called before ``authenticate``: a hand-shake that is signed checks its own signature.
        """

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Judge where the callback comes from, by its raw bytes, in constant time.

        Any live secret of the account may match. An account without a secret is our own trouble
        and refused with 503, so that the provider tries again.
        """

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read an authentic callback; never raises, whatever the body.

        One unreadable item is quarantined and its neighbours are read. Only a provider that signs
        nothing may refuse here (400): what is authentic is always kept.
        """


class Dialect:
    """What most providers have in common: no hand-shake, POST, and an empty answer of 200."""

    methods: frozenset[str] = frozenset({"POST"})
    answer: Answer = Answer()
    secrets: ClassVar[Names] = {}
    options: ClassVar[Names] = {}
    signs_tokens: ClassVar[bool] = False

    def option_problem(self, options: Mapping[str, str]) -> str:
        """Any value means something."""
        return ""

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """The provider tries nothing out."""


def live(account: Account, purpose: str) -> list[str]:
    """Return the live secrets of one purpose, not to be changed; an empty one opens nothing."""
    secrets = account.secrets.get(purpose, _NO_SECRETS)
    # Nearly always all are: that is seen at a third of the cost of a new list.
    return secrets if all(map(str.strip, secrets)) else [one for one in secrets if one.strip()]


@runtime_checkable
class PacksEvents(Provider, Protocol):
    """A provider with so many plain events that it writes their bytes at once."""

    def parse_packed(self, callback: Callback, account: Account) -> Reading | Refused:
        """Return what ``parse`` returns, with some events in ``packed`` instead of ``batch``."""


@runtime_checkable
class AsksOutside(Provider, Protocol):
    """A provider whose callbacks name addresses that we must call.

    The provider only names them, by the strictest rule there is, since whoever calls has written
    them. The door calls them, by the same rule once more.
    """

    def certificate_url(self, callback: Callback, account: Account) -> str:
        """Return the address of what ``authenticate`` needs as ``certificate``; empty for none."""

    def confirm_url(self, callback: Callback, account: Account) -> str:
        """Return the address to call once an authentic callback is stored; empty for none."""


@runtime_checkable
class SignsTokens(Provider, Protocol):
    """A provider whose signature covers a token and not the body."""

    def used_once(self, callback: Callback) -> str:
        """Return the token of an authentic callback, which must come with no other body."""


@runtime_checkable
class KeepsParts(Provider, Protocol):
    """A provider that puts single items of a body to quarantine, beside neighbours that it read."""

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body that holds nothing but ``part``, where ``parse`` found it.

        Args:
            part: the body of a quarantined part.
            place: its path, the beginning of the part's ``detail`` ("entry[0].changes[2].value").
            account: whose it is.
        """
