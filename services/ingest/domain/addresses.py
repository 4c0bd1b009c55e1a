"""Addresses in one form: E.164 with "+", a mailbox, or the provider's own user id."""

import re

from libs.catalogue.countries import is_possible
from libs.runtime.addresses import bare_phone
from libs.runtime.message_ids import bare_mailbox

# Digits of a phone number that is known by its digits alone.
PHONE_DIGITS_MIN = 6
PHONE_DIGITS_MAX = 15
_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_MAILBOX = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,255}")
# WhatsApp's ids of groups are base64 of "capi_group:" and something.
_GROUP_ID = re.compile(r"Y2FwaV9ncm91cD[o-r][A-Za-z0-9+/_-]{0,256}={0,2}")
# "US.13491208655302741918", or "US.ENT.1181..." for a parent: business-scoped user ids.
_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


def from_digits(text: str) -> str:
    """Return a phone number that came without "+" as E.164; anything else as it is.

    Nothing is repaired: a Brazilian number without its ninth digit stays so, since no rule by area
    code would be right. Messages are matched by their id, never by this.
    """
    if text.isdecimal() and text.isascii() and PHONE_DIGITS_MIN <= len(text) <= PHONE_DIGITS_MAX:
        return "+" + text
    return text


def from_sender(text: str) -> str:
    """Return a phone number as E.164 however a sender wrote it; anything else as it is.

    Blanks, dashes, parentheses, "whatsapp:" and 00 are taken off where a number that may exist is
    left. Everything else stays: what looks wrong here may be what the provider took.
    """
    plain = from_digits(text)
    if _E164.fullmatch(plain):
        return plain
    phone = bare_phone(text)
    return phone if is_possible(phone) else text


def mailbox_from_sender(text: str) -> str:
    """Return a mailbox without the name and brackets that mail programs write around it."""
    bare = bare_mailbox(text)
    return bare if "@" in bare else text


def is_reachable(address: str) -> bool:
    """Say whether ``address`` has the form of a phone number, a mailbox or a user id."""
    return bool(
        _E164.fullmatch(address) or _MAILBOX.fullmatch(address) or _USER_ID.fullmatch(address)
    )


def is_group_id(address: str) -> bool:
    """Say whether ``address`` has the form of the id of a WhatsApp group."""
    return _GROUP_ID.fullmatch(address) is not None
