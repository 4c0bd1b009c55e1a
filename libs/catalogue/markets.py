"""The market by which WhatsApp prices a recipient."""

import re
from functools import lru_cache

from libs.catalogue import standing
from libs.catalogue.market_rows import Market

OTHER = "Other"
_PREFIX_DIGITS_MAX = 7
_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_USER_ID = re.compile(r"([A-Z]{2})\.")


def market_of(address: str, at_us: int) -> str:
    """Return the market of a phone number (E.164) or a business-scoped user id ("DE.123...").

    ``at_us`` is a time in microseconds since 1970, UTC: countries change their market on known
    days. "Other" is WhatsApp's market for all countries that it does not name; empty: the address
    is of neither form.
    """
    if _E164.fullmatch(address):
        markets = _of_digits(address[1 : 1 + _PREFIX_DIGITS_MAX])
    elif found := _USER_ID.match(address):
        markets = _of_country(found.group(1))
    else:
        return ""
    for market in markets:
        if market.from_us <= at_us < market.until_us:
            return market.name
    return OTHER


@lru_cache(maxsize=65_536)
def _of_digits(digits: str) -> tuple[Market, ...]:
    """Return the markets of the longest prefix that is known."""
    markets = standing.catalogue().markets
    for length in range(len(digits), 0, -1):
        if found := markets.get(digits[:length]):
            return found
    return ()


@lru_cache(maxsize=1_024)
def _of_country(country: str) -> tuple[Market, ...]:
    return tuple(
        market
        for found in standing.catalogue().markets.values()
        for market in found
        if market.country == country
    )


standing.when_configured(_of_digits.cache_clear)
standing.when_configured(_of_country.cache_clear)
