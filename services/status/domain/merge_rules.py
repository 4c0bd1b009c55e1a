"""What stands of several values told for one field: in any order of telling the same."""

from typing import Final

from services.status.domain.message import Message, Record

# Distinct failure codes kept per message: the smallest ones, which is still a union in any order.
FAILURE_CODES_MAX: Final = 32
# Buttons kept per message, likewise.
TAPPED_BUTTONS_MAX: Final = 20
# Unit separator: no provider's code or button holds it (it is replaced on the way in).
_SEPARATOR: Final = "\x1f"


def earliest(one_us: int, other_us: int) -> int:
    """Return the earlier of two times, where 0 means never."""
    if one_us and other_us:
        return one_us if one_us < other_us else other_us
    return one_us or other_us


def first_name(one: str, other: str) -> str:
    """Return the smaller of two names that is not empty: any fixed choice will do."""
    if one and other:
        return one if one < other else other
    return one or other


def join(one: str, other: str, limit: int) -> str:
    """Return the union of two lists of words, the smallest ``limit`` of them."""
    if one == other or not other:
        return one
    if not one:
        return other
    union = {*one.split(_SEPARATOR), *other.split(_SEPARATOR)}
    return _SEPARATOR.join(sorted(union)[:limit])


def split(words: str) -> list[str]:
    """Return the words of a list one by one."""
    return words.split(_SEPARATOR) if words else []


def clean(word: str) -> str:
    """Return ``word`` without the separator."""
    return word.replace(_SEPARATOR, " ") if _SEPARATOR in word else word


def fail(message: Message, time_us: int, code: str, reason: int) -> None:
    """Note a failure. The primary one is the earliest with a code, else the earliest."""
    if code:
        message.failure_codes = join(message.failure_codes, code, FAILURE_CODES_MAX)
    if not message.failure_time_us or (not code, time_us, code, reason) < (
        not message.failure_code,
        message.failure_time_us,
        message.failure_code,
        message.failure_reason,
    ):
        message.failure_time_us = time_us
        message.failure_code = code
        message.failure_reason = reason


def price(message: Message, time_us: int, pricing: bytes) -> None:
    """Note what the provider charges; of several, the earliest told stands."""
    if not message.pricing_time_us or (time_us, pricing) < (
        message.pricing_time_us,
        message.pricing,
    ):
        message.pricing_time_us = time_us
        message.pricing = pricing


def register(message: Message, record: Record) -> None:
    """Note the sender's record; of several, the one with the smaller order stands."""
    known = message.record
    if known is not None:
        message.contradictions |= contradictions(known, record)
    if known is None:
        message.record = record
        message.is_forwarded = False
    elif record.order < known.order:
        message.record = record
        if (record.address, record.contact_id) != (known.address, known.contact_id):
            # Another person; by which names that one goes is looked up after the transaction.
            message.joined_person = b""


def contradictions(one: Record, other: Record) -> int:
    """Return what two records of one message say differently: a bit for each name.

    While all records so far agree, the one that stands says what they all do, so comparing with it
    alone finds any two that differ, in any order.
    """
    return (
        (one.message_ref != other.message_ref)
        | (one.campaign_id != other.campaign_id) << 1
        | (one.contact_id != other.contact_id) << 2
    )
