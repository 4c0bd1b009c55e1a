"""A message as the merge of everything told about it. Pure: no clock, no I/O.

Every field grows in one direction only (a minimum, a maximum, a union, a logical or), so merging is
commutative, associative and idempotent: order, repeats and batching cannot matter. The exception is
what is ``attributed``: it is no part of what is told, and is set by whoever attributes.
"""

import copy

import msgspec
from bluetick.v1.common_pb2 import (
    MESSAGE_STATE_ACCEPTED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_QUEUED,
    MESSAGE_STATE_READ,
    MESSAGE_STATE_SENT,
    MESSAGE_STATE_UNDELIVERED,
    MESSAGE_STATE_UNSPECIFIED,
    MessageState,
)

# Distinct failure codes kept per message: the smallest ones, which is still a union in any order.
FAILURE_CODES_MAX = 32
# Unit separator: no provider's code holds it (it is replaced on the way in).
_CODES_SEPARATOR = "\x1f"


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the sender said about the message. Of two, the smaller ``order`` stands."""

    record_time_us: int
    registration: bytes  # bluetick.v1.Registration, serialized deterministically
    message_ref: str
    address: str
    campaign_id: str
    contact_id: str
    person_key: bytes
    kind: int  # EventKind of the record: ACCEPTED, DROPPED or QUEUED

    @property
    def order(self) -> tuple[int, bytes, str, str, int]:
        """What decides between two records of one message."""
        return (self.record_time_us, self.registration, self.message_ref, self.address, self.kind)


class Message(msgspec.Struct, gc=False):
    """Merged facts of one message. Times: microseconds since 1970 UTC; 0: never.

    Field names are the column names of ``status.messages``, in the same order.
    """

    provider: str = ""
    account: str = ""
    provider_message_id: str = ""
    message_ref: str = ""  # as echoed by callbacks; the record's own wins over it
    queue_time_us: int = 0
    drop_time_us: int = 0
    accept_time_us: int = 0
    send_time_us: int = 0
    undeliver_time_us: int = 0
    report_time_us: int = 0  # a delivery report came
    proof_time_us: int = 0  # an act of the person that is possible only after delivery
    read_time_us: int = 0
    play_time_us: int = 0
    cancel_time_us: int = 0
    evidence_time_us: int = 0  # a person saw it: read, or an act that no machine did
    click_count: int = 0
    click_time_us: int = 0
    reply_count: int = 0
    reply_time_us: int = 0
    tap_count: int = 0
    tap_time_us: int = 0
    unsubscribe_time_us: int = 0
    complain_time_us: int = 0
    failure_time_us: int = 0
    failure_code: str = ""
    failure_reason: int = 0
    failure_codes: str = ""  # sorted, separated by U+001F
    pricing_time_us: int = 0
    pricing: bytes = b""  # bluetick.v1.Pricing
    is_superseded: bool = False  # another message stands for the same reference
    attributed_proof_time_us: int = 0  # as proof_time_us, by an act that named no message
    attributed: bytes = b""  # sums of such acts; see domain.attributed
    machine_click_count: int = 0  # of click_count
    human_click_time_us: int = 0  # first click that no machine made
    record: Record | None = None

    @property
    def is_counted(self) -> bool:
        """Whether it counts in its campaign."""
        return self.record is not None and not self.is_superseded


# Merged by taking the earliest time that is not 0.
TIMES = (
    "queue_time_us",
    "drop_time_us",
    "accept_time_us",
    "send_time_us",
    "undeliver_time_us",
    "report_time_us",
    "proof_time_us",
    "read_time_us",
    "play_time_us",
    "cancel_time_us",
    "evidence_time_us",
    "click_time_us",
    "reply_time_us",
    "tap_time_us",
    "unsubscribe_time_us",
    "complain_time_us",
    "human_click_time_us",
)
_NAMES = ("provider", "account", "provider_message_id", "message_ref")
_COUNTS = ("click_count", "machine_click_count", "reply_count", "tap_count")


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


def join_codes(one: str, other: str) -> str:
    """Return the union of two lists of failure codes, the smallest ``FAILURE_CODES_MAX``."""
    if one == other or not other:
        return one
    if not one:
        return other
    union = {*one.split(_CODES_SEPARATOR), *other.split(_CODES_SEPARATOR)}
    return _CODES_SEPARATOR.join(sorted(union)[:FAILURE_CODES_MAX])


def split_codes(codes: str) -> list[str]:
    """Return the failure codes one by one."""
    return codes.split(_CODES_SEPARATOR) if codes else []


def clean_code(code: str) -> str:
    """Return ``code`` without the separator."""
    return code.replace(_CODES_SEPARATOR, " ") if _CODES_SEPARATOR in code else code


def fail(message: Message, time_us: int, code: str, reason: int) -> None:
    """Note a failure. The primary one is the earliest with a code, else the earliest."""
    if code:
        message.failure_codes = join_codes(message.failure_codes, code)
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
    if message.record is None or record.order < message.record.order:
        message.record = record


def merge(one: Message, other: Message) -> Message:
    """Return what both tell together. Commutative, associative, idempotent.

    Counts are merged by maximum, since one side has counted the other's acts or has none; acts not
    counted before are added by ``facts.count``.
    """
    merged = copy.copy(one)
    for name in TIMES:
        if theirs := getattr(other, name):
            setattr(merged, name, earliest(getattr(one, name), theirs))
    for name in _NAMES:
        theirs = getattr(other, name)
        if theirs != getattr(one, name):
            setattr(merged, name, first_name(getattr(one, name), theirs))
    for name in _COUNTS:
        if (theirs := getattr(other, name)) > getattr(one, name):
            setattr(merged, name, theirs)
    merged.failure_codes = join_codes(one.failure_codes, other.failure_codes)
    if other.failure_time_us:
        fail(merged, other.failure_time_us, other.failure_code, other.failure_reason)
    if other.pricing_time_us:
        price(merged, other.pricing_time_us, other.pricing)
    if other.record is not None:
        register(merged, other.record)
    if other.is_superseded:
        merged.is_superseded = True
    return merged


def state_of(message: Message) -> MessageState.ValueType:
    """Return the highest state proven; ``states.PROOFS`` says the same as data."""
    if message.read_time_us:
        return MESSAGE_STATE_READ
    if message.report_time_us or message.proof_time_us or message.attributed_proof_time_us:
        return MESSAGE_STATE_DELIVERED
    if message.undeliver_time_us or (message.drop_time_us and message.provider_message_id):
        return MESSAGE_STATE_UNDELIVERED
    if message.send_time_us:
        return MESSAGE_STATE_SENT
    if message.accept_time_us:
        return MESSAGE_STATE_ACCEPTED
    if message.drop_time_us:
        return MESSAGE_STATE_DROPPED
    if message.queue_time_us:
        return MESSAGE_STATE_QUEUED
    return MESSAGE_STATE_UNSPECIFIED


def has_failed(message: Message) -> bool:
    """Return whether its own reports say that it failed; an act attributed to it proves nothing."""
    return bool(message.undeliver_time_us or message.drop_time_us) and not (
        message.read_time_us or message.report_time_us or message.proof_time_us
    )
