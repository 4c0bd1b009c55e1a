"""The country of a phone number, as fast as a hundred thousand records a minute ask for it."""

import re
from functools import lru_cache

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneNumber,
    is_possible_number,
    region_code_for_number,
)

_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_USER_ID = re.compile(r"([A-Z]{2})\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
# The library's word for numbers of no country (satellites, toll-free numbers of the world).
_WORLD = "001"
_NORTH_AMERICA = "1"
# How many digits behind a calling code that several countries share tell which of them it is. The
# tests hold these against the library's own answers for whole numbers.
_TELLING_DIGITS = {_NORTH_AMERICA: 4, "7": 1, "47": 2, "61": 6}
_TELLING_DIGITS_DEFAULT = 5
# What follows those digits matters only in that some number must exist: any of these.
_FILLINGS = ("2345678901", "0000000000", "5555555555", "9999999999")


def country_of(address: str) -> str:
    """Return the ISO 3166-1 alpha-2 country of an address; empty where none is known.

    A phone number (E.164) has the country of its prefix, whether or not it is in service, and a
    business-scoped user id ("DE.123...") that of its first two letters. A mailbox has none.
    """
    if not _E164.fullmatch(address):
        found = _USER_ID.fullmatch(address)
        return found.group(1) if found else ""
    country, telling = _of_calling_code(address[:4])
    return _of_shared_code(address[:telling], len(address)) if telling else country


@lru_cache(maxsize=4_096)
def _calling_code(head: str) -> str:
    """Return the calling code with which "+" and three digits begin; empty: there is none."""
    codes = (head[1:end] for end in (2, 3, 4))
    return next((code for code in codes if int(code) in COUNTRY_CODE_TO_REGION_CODE), "")


@lru_cache(maxsize=4_096)
def _of_calling_code(head: str) -> tuple[str, int]:
    """Return the country of numbers that begin with ``head``, or how many characters tell it."""
    code = _calling_code(head)
    countries = COUNTRY_CODE_TO_REGION_CODE[int(code)] if code else (_WORLD,)
    if len(countries) > 1:
        return "", 1 + len(code) + _TELLING_DIGITS.get(code, _TELLING_DIGITS_DEFAULT)
    return "" if countries[0] == _WORLD else countries[0], 0


def is_possible(e164: str) -> bool:
    """Say whether a number of this length may exist under its calling code."""
    if not _E164.fullmatch(e164):
        return False
    code = _calling_code(e164[:4])
    return bool(code) and is_possible_number(_number(code, e164[1 + len(code) :]))


@lru_cache(maxsize=131_072)
def _of_shared_code(head: str, length: int) -> str:
    """Return the country of the numbers of ``length`` characters that begin with ``head``.

    A pure function of the prefix and the length, so that two replicas never differ.
    """
    code = _calling_code(head[:4])
    for filling in _FILLINGS:
        digits = head[1 + len(code) :] + filling[: max(length - len(head), 0)]
        if country := region_code_for_number(_number(code, digits)):
            return country
    # No such number exists. Most numbers under a shared code are the large country's, but for
    # North America that would be a guess.
    return "" if code == _NORTH_AMERICA else COUNTRY_CODE_TO_REGION_CODE[int(code)][0]


def _number(code: str, digits: str) -> PhoneNumber:
    # Italy's numbers keep their leading zero.
    zeros = len(digits) - len(digits.lstrip("0"))
    return PhoneNumber(
        country_code=int(code),
        national_number=int(digits or "0"),
        italian_leading_zero=zeros > 0,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
