"""What a provider says that a message costs, exactly."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

from bluetick.v1.event_pb2 import Event

_AMOUNT: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,18})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_NANOS: Final = 1_000_000_000
# An account pays few different prices.
_PRICES_KEPT: Final = 1_024
# Longest amount that matches; a longer one must not be kept.
_CHARACTERS_MAX: Final = 32


def set_price(event: Event, amount: str, currency_code: str) -> None:
    """Set the price of ``event``; an amount or currency that is none is left out, never guessed.

    Digits beyond a billionth are cut off: no provider bills them.
    """
    if not amount or len(amount) > _CHARACTERS_MAX or not _CURRENCY.fullmatch(currency_code):
        return
    parts = _units_and_nanos(amount)
    if parts is None:
        return
    price = event.pricing.price
    price.currency_code = currency_code
    price.units, price.nanos = parts


@lru_cache(maxsize=_PRICES_KEPT)
def _units_and_nanos(amount: str) -> tuple[int, int] | None:
    if not _AMOUNT.fullmatch(amount):
        return None
    nanos = int(Decimal(amount) * _NANOS)
    units, rest = divmod(abs(nanos), _NANOS)
    sign = -1 if nanos < 0 else 1
    return sign * units, sign * rest
