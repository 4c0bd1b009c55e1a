"""Acts of people: clicks, replies, taps, opt-outs, complaints. Each is counted once, by its id."""

import msgspec
from bluetick.v1.change_pb2 import MessageFact
from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Engagement

from services.status.domain.message import Message, earliest
from services.status.domain.wire import field_bytes

FACT_KINDS = frozenset(
    (
        EVENT_KIND_CLICKED,
        EVENT_KIND_REPLIED,
        EVENT_KIND_UNSUBSCRIBED,
        EVENT_KIND_RESUBSCRIBED,
        EVENT_KIND_COMPLAINED,
    )
)


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One act on one message. Unique by (message, ``fact_id``)."""

    fact_id: str
    kind: int  # EventKind, one of FACT_KINDS
    occur_time_us: int
    engagement: bytes  # bluetick.v1.Engagement
    is_tap: bool
    by_failure: bool
    is_machine: bool


def stored_fact(fact_id: str, kind: int, occur_time_us: int, engagement: bytes) -> Fact:
    """Return the fact that was stored with these columns."""
    parsed = Engagement.FromString(engagement)
    return Fact(
        fact_id,
        kind,
        occur_time_us,
        engagement,
        parsed.is_tap,
        parsed.by_failure,
        parsed.is_machine,
    )


def prove(message: Message, fact: Fact) -> None:
    """Note when the act happened and what it proves; repeating it changes nothing."""
    kind, time_us = fact.kind, fact.occur_time_us
    if kind == EVENT_KIND_RESUBSCRIBED:
        # Consent given again says nothing about this message.
        return
    if kind == EVENT_KIND_CLICKED:
        message.click_time_us = earliest(message.click_time_us, time_us)
        if not fact.is_machine:
            message.human_click_time_us = earliest(message.human_click_time_us, time_us)
    elif kind == EVENT_KIND_UNSUBSCRIBED:
        message.unsubscribe_time_us = earliest(message.unsubscribe_time_us, time_us)
    elif kind == EVENT_KIND_COMPLAINED:
        message.complain_time_us = earliest(message.complain_time_us, time_us)
    if kind == EVENT_KIND_REPLIED or fact.is_tap:
        message.reply_time_us = earliest(message.reply_time_us, time_us)
    if fact.is_tap:
        message.tap_time_us = earliest(message.tap_time_us, time_us)
    if not fact.by_failure:
        message.proof_time_us = earliest(message.proof_time_us, time_us)
        # A link scanner shows that the message arrived, not that a person saw it.
        if not fact.is_machine:
            message.evidence_time_us = earliest(message.evidence_time_us, time_us)


def count(message: Message, fact: Fact) -> None:
    """Count an act that was not counted before. The caller knows that: the store told it."""
    if fact.kind == EVENT_KIND_CLICKED:
        message.click_count += 1
        message.machine_click_count += fact.is_machine
    if fact.kind == EVENT_KIND_REPLIED or fact.is_tap:
        message.reply_count += 1
    if fact.is_tap:
        message.tap_count += 1


def may_have_facts(message: Message) -> bool:
    """Return whether acts were counted on the message before."""
    return bool(
        message.click_count
        or message.reply_count
        or message.unsubscribe_time_us
        or message.complain_time_us
        or message.attributed
    )


def fact_bytes(fact: Fact, *, is_repeated: bool = False, is_retracted: bool = False) -> bytes:
    """Return the act as a serialized ``MessageFact``."""
    head = MessageFact(
        kind=fact.kind,  # type: ignore[arg-type]
        occur_time_us=fact.occur_time_us,
        is_repeated=is_repeated,
        is_retracted=is_retracted,
    )
    return head.SerializeToString() + field_bytes(
        MessageFact.ENGAGEMENT_FIELD_NUMBER, fact.engagement
    )
