"""Addresses in one form, and the forms in which one phone is written."""

import re
from typing import Final

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")
_DIGITS: Final = re.compile(r"[1-9][0-9]{5,14}")
# Providers write the channel before the address.
_CHANNEL_PREFIX: Final = re.compile(r"(?:whatsapp|sms|mms|rcs|tel|mailto):", re.IGNORECASE)
# What people put between the digits of a phone number.
_BETWEEN_DIGITS: Final = str.maketrans("", "", " \t\u00a0\u2011\u2013-.()/")

# Phones that are known with and without one digit; providers report now the one and now the other.
# Brazil gave its mobiles, which began with 6 to 9, a ninth digit; who joined WhatsApp before is
# known without it. Landlines (2 to 5) never got one.
_BRAZIL_LONG: Final = re.compile(r"(\+55[1-9]{2})9([6-9][0-9]{7})")
_BRAZIL_SHORT: Final = re.compile(r"(\+55[1-9]{2})([6-9][0-9]{7})")
# Mexico had its mobiles dialed with a 1 from abroad until 2019.
_MEXICO_LONG: Final = re.compile(r"(\+52)1([1-9][0-9]{9})")
_MEXICO_SHORT: Final = re.compile(r"(\+52)([1-9][0-9]{9})")
# Argentina still has its mobiles dialed with a 9 from abroad.
_ARGENTINA_LONG: Final = re.compile(r"(\+54)9([1-9][0-9]{9})")
_ARGENTINA_SHORT: Final = re.compile(r"(\+54)([1-9][0-9]{9})")

_ALIASED: Final = {
    "+55": (_BRAZIL_LONG, _BRAZIL_SHORT, "9"),
    "+52": (_MEXICO_LONG, _MEXICO_SHORT, "1"),
    "+54": (_ARGENTINA_LONG, _ARGENTINA_SHORT, "9"),
}


def bare_phone(text: str) -> str:
    """Return a phone number as "+" and digits; anything else as it is.

    Taken off: the channel before it, punctuation between the digits, and 00, the way to dial
    abroad. A number without "+" or 00 is taken for an international one: providers write it so.
    """
    if _E164.fullmatch(text):
        return text
    digits = _CHANNEL_PREFIX.sub("", text.strip(), count=1).translate(_BETWEEN_DIGITS)
    digits = digits[1:] if digits.startswith("+") else digits.removeprefix("00")
    return f"+{digits}" if _DIGITS.fullmatch(digits) else text


def canonical_address(address: str) -> str:
    """Return the form by which addresses are compared; never one to show or to dial.

    Phones become E.164 without the digit that some of them have in one form only, mailboxes lower
    case; a provider's user id stays as it is.
    """
    phone = bare_phone(address)
    if phone[:1] != "+":
        plain = _CHANNEL_PREFIX.sub("", address.strip(), count=1)
        return plain.lower() if "@" in plain else plain
    aliased = _ALIASED.get(phone[:3])
    found = aliased[0].fullmatch(phone) if aliased else None
    return found.group(1) + found.group(2) if found else phone


def aliases(address: str) -> tuple[str, ...]:
    """Return the other forms in which the same phone may be written, mostly none.

    Brazil's mobiles with and without their ninth digit, Mexico's with and without 1, Argentina's
    with and without 9.
    """
    phone = bare_phone(address)
    long, short, digit = _ALIASED.get(phone[:3], (_E164, _E164, ""))
    if not digit:
        return ()
    if found := long.fullmatch(phone):
        return (found.group(1) + found.group(2),)
    if found := short.fullmatch(phone):
        return (found.group(1) + digit + found.group(2),)
    return ()
