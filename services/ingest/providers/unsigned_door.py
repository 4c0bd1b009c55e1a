"""The unsigned side of providers that sign: older interfaces on the same address.

Sinch's SMS reports, Vonage's SMS API and MessageBird's inbound SMS come without a signature.
They are known by their shape. What proves them is the static credential of the account if it has
one, else nothing, which their events say. The account's option ``unsigned=refuse`` shuts this door.
"""

from collections.abc import Mapping
from typing import Final

from libs.runtime.accounts import Account
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import UNPROVEN, Authentic, Callback, Refused
from services.ingest.providers.static_credential import (
    check_static_credential,
    has_static_credential,
)

UNSIGNED: Final = "unsigned"
REFUSE: Final = "refuse"
OPTIONS: Final[Mapping[str, str]] = {
    UNSIGNED: '"refuse": turn away the interfaces that the provider does not sign',
}


def admit_unsigned(callback: Callback, account: Account) -> Authentic | Refused:
    """Judge a callback of a shape that its provider does not sign."""
    if account.options.get(UNSIGNED) == REFUSE:
        return Refused(
            "SIGNATURE_MISSING",
            401,
            "The provider does not sign this interface, and the account's option unsigned "
            "refuses it.",
        )
    if has_static_credential(account) or not account.secrets:
        return check_static_credential(callback, account)
    # The account's secret is that of another interface, which proves nothing here.
    return UNPROVEN


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
