"""The unsigned side of providers that sign: older interfaces on the same address.

Sinch's SMS reports, Vonage's SMS API and MessageBird's inbound SMS come without a signature.
They are known by their shape, and the account's signing secret says nothing about them. A static
credential in the address proves them; without one they are refused, as all that nothing proves, but
for an account that names them in so many words: ``unsigned=accept``.
"""

from collections.abc import Mapping
from typing import Final

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import UNPROVEN, Authentic, Callback, Refused
from services.ingest.providers.static_credential import (
    ACCEPT,
    check_static_credential,
    has_static_credential,
)

UNSIGNED: Final = "unsigned"
OPTIONS: Final[Mapping[str, str]] = {
    UNSIGNED: '"accept": take the interfaces that the provider does not sign from anybody who '
    "knows the address, although the account has a secret for the others",
}
CREDENTIAL_ADVICE: Final = (
    "Give the account query_token (or basic_user and basic_pass, or header) and put it into the "
    "address of this interface at the provider; or set the account's option unsigned to "
    '"accept", and everybody who knows the address is believed.'
)


def admit_unsigned(callback: Callback, account: Account, cure: str = "") -> Authentic | Refused:
    """Judge a callback of a shape that its provider does not sign.

    Args:
        callback: it.
        account: whose.
        cure: how the provider can be made to sign the interface after all; empty: it cannot.
    """
    if has_static_credential(account) or not account.secrets:
        return check_static_credential(callback, account)
    if account.options.get(UNSIGNED) == ACCEPT:
        return UNPROVEN
    return Refused("INTERFACE_UNSIGNED", 401, f"{cure} {CREDENTIAL_ADVICE}".strip())


def without_noise(reading: Reading, account: Account) -> Reading | Refused:
    """Return what was read of an unsigned callback; refuse one that nothing proves or explains.

    Quarantine is for what a provider sent. With neither a credential nor a body of the provider's
    form, there is no sign that one did. (One odd item among others is a part, and is kept.)
    """
    batch = reading.batch
    if (
        has_static_credential(account)
        or batch.events
        or all(part.is_part for part in batch.quarantined)
    ):
        return reading
    return Refused("BODY_NOT_OF_THE_FORM", 400)
