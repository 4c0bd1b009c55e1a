"""Take a callback whose proof or confirmation lies outside: ask there, and not one time more."""

from typing import Protocol

import msgspec

from libs.runtime.accounts import Account
from services.ingest.providers.provider import Answer, AsksOutside, Callback, Refused
from services.ingest.record_callback import (
    DoorBook,
    EventSink,
    ReadCallback,
    record_callback,
)


class Outside(Protocol):
    """The only requests that a callback can cause. Both refuse an address that is not Amazon's."""

    async def certificate(self, url: str) -> str:
        """Return the certificate at ``url`` as PEM; empty if it cannot be had now."""

    async def confirm(self, url: str) -> bool:
        """Call ``url``, which confirms a subscription; return whether that worked."""


async def record_outside_callback(
    callback: Callback,
    account: Account,
    provider: AsksOutside,
    events: EventSink,
    outside: Outside,
    doors: DoorBook | None = None,
    *,
    read: ReadCallback | None = None,
) -> Answer | Refused:
    """Answer one callback, as ``record_callback`` does.

    What is authentic is stored before anything is confirmed. A confirmation that fails is answered
    503, so that it is asked for again.

    Raises:
        BrokerUnavailable: not stored for sure; the provider must be told to try again.
    """
    url = provider.certificate_url(callback, account)
    if url:
        certificate = await outside.certificate(url)
        callback = msgspec.structs.replace(callback, certificate=certificate)
    outcome = await record_callback(callback, account, provider, events, doors, read=read)
    if outcome is not provider.answer:
        return outcome
    url = provider.confirm_url(callback, account)
    if url and not await outside.confirm(url):
        return Refused("SUBSCRIPTION_UNCONFIRMED", 503)
    return outcome
