"""What Bluetick asks of a provider: one small interface, one file per provider behind it.

A provider is pure: no clock, no network, no settings. What it needs is in the callback and in the
account. The door around it does the rest, in this order:

1. ``handshake``: is this the provider trying the address out, and what does it want to hear?
2. ``authenticate``: does the callback come from the provider, by its raw bytes?
3. ``parse``: what does it say?
4. the events are stored, and the provider hears ``answer``.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading


class Callback(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP request of a provider, as it came: nothing decoded, nothing normalized."""

    method: str  # "POST" or "GET"; some providers report in the query of a GET
    query: str  # without "?", in the order received: some signatures cover it
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # raw: signatures cover these bytes, not what they decode to
    external_url: str  # as the provider called it, from configuration; never from Host
    receive_time_us: int  # microseconds since 1970, UTC
    signature_age_s_max: int = 0  # oldest signed time that is taken; 0: any
    certificate: str = ""  # PEM from the address that ``certificate_url`` named; empty: none


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the provider hears."""

    http_status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Authentic(msgspec.Struct, frozen=True, gc=False):
    """The callback comes from the provider."""


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The callback is turned away. ``reason`` is for our log, never for the caller."""

    reason: str
    http_status: int = 401


class Provider(Protocol):
    """One provider's dialect.

    Tables from the provider's words to ours; an unknown word is an event of its own
    (``EVENT_KIND_UNKNOWN``) with the original beside it, never an error and never a guess.
    """

    name: str
    methods: frozenset[str]
    answer: Answer

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
class KeepsParts(Provider, Protocol):
    """A provider that puts single items of a body to quarantine, beside neighbours that it read."""

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a body that holds nothing but ``part``, where ``parse`` found it.

        Args:
            part: the body of a quarantined part.
            place: its path, the beginning of the part's ``detail`` ("entry[0].changes[2].value").
            account: whose it is.
        """
