"""What a provider says that a message costs, exactly."""

import re
from decimal import Decimal
from typing import Final

from bluetick.v1.event_pb2 import Event

_AMOUNT: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,18})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_NANOS: Final = 1_000_000_000


def set_price(event: Event, amount: str, currency_code: str) -> None:
    """Set the price of ``event``; an amount or currency that is none is left out, never guessed.

    Digits beyond a billionth are cut off: no provider bills them.
    """
    if not _AMOUNT.fullmatch(amount) or not _CURRENCY.fullmatch(currency_code):
        return
    nanos = int(Decimal(amount) * _NANOS)
    units, rest = divmod(abs(nanos), _NANOS)
    sign = -1 if nanos < 0 else 1
    price = event.pricing.price
    price.currency_code = currency_code
    price.units = sign * units
    price.nanos = sign * rest
