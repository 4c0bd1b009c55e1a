"""What one report does to a message. The order of reports does not matter, nor do repeats."""

from typing import Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_DROPPED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNDELIVERED,
    FAILURE_REASON_DELIVERY_REPORT_MISSING,
    FAILURE_TOPIC_COMPLAINT,
    FAILURE_TOPIC_OPT_OUT,
)
from bluetick.v1.event_pb2 import Engagement, Event

from libs.catalogue.failures import is_passing, reason_after_hand_over
from services.status.domain.acts import ACT_KINDS
from services.status.domain.gathered import Telling
from services.status.domain.merge_rules import clean, earliest, fail, first_name, price, register
from services.status.domain.message import (
    HUMAN_TIMES_OF,
    MACHINE,
    NOBODY,
    PERSON,
    TIMES_OF,
    Message,
    Record,
)
from services.status.domain.parts import END_KINDS, PART_KINDS, tell_part

# Consent given again says nothing about this message.
_PROVING: Final = ACT_KINDS - {EVENT_KIND_RESUBSCRIBED}
# What a failure's code tells of the person -> where its time stands.
_REFUSALS: Final[dict[int, str]] = {
    FAILURE_TOPIC_OPT_OUT: "opt_out_refusal_time_us",
    FAILURE_TOPIC_COMPLAINT: "complaint_refusal_time_us",
}
_FAILURES: Final = frozenset((EVENT_KIND_DROPPED, EVENT_KIND_UNDELIVERED))
_NO_TIMES: Final[tuple[str, ...]] = ()
# The tag with which a price begins; looking for it is cheaper than asking, and nearly as good.
_PRICING: Final = bytes((Event.PRICING_FIELD_NUMBER << 3 | 2,))


def advance(message: Message, telling: Telling) -> None:
    """Merge one telling into ``message``, which is changed. Acts come apart, when they stand."""
    kind, time_us, stored, _, own_id, ref, event, record = telling
    if event is None:
        return
    part_id = event.part_id
    if part_id and kind in PART_KINDS:
        tell_part(message, clean(part_id), kind, time_us)
    is_of_whole = not part_id or kind not in END_KINDS
    for name in TIMES_OF.get(kind, _NO_TIMES) if is_of_whole else _NO_TIMES:
        known_us = getattr(message, name)
        if not known_us or time_us < known_us:
            setattr(message, name, time_us)
    if kind in HUMAN_TIMES_OF and not event.engagement.is_machine:
        for name in HUMAN_TIMES_OF[kind]:
            known_us = getattr(message, name)
            if not known_us or time_us < known_us:
                setattr(message, name, time_us)
    if kind in _PROVING:
        message.proven_by = max(message.proven_by, _proves(event.engagement))
    if kind == EVENT_KIND_UNDELIVERED:
        fail(message, time_us, clean(event.provider_code), event.reason)
        if is_of_whole and _is_final(event):
            message.bounce_time_us = earliest(message.bounce_time_us, time_us)
    elif kind == EVENT_KIND_DROPPED:
        fail(message, time_us, clean(event.provider_code), _drop_reason(event, own_id, record))
    if event.topic and kind in _FAILURES and (refusal := _REFUSALS.get(event.topic)):
        setattr(message, refusal, earliest(getattr(message, refusal), time_us))
    # All reports of a message name it alike, unless an account was renamed.
    if (name := event.provider) != message.provider:
        message.provider = first_name(message.provider, name)
    if (name := event.account) != message.account:
        message.account = first_name(message.account, name)
    if (channel := event.channel) and channel != message.told_channel:
        message.told_channel = earliest(message.told_channel, channel)
    if own_id != message.provider_message_id:
        message.provider_message_id = first_name(message.provider_message_id, own_id)
    if ref != message.message_ref:
        message.message_ref = first_name(message.message_ref, ref)
    if _PRICING in stored and event.HasField("pricing"):
        price(message, time_us, event.pricing.SerializeToString(deterministic=True))
    if record is not None:
        register(message, record)


def _is_final(event: Event) -> bool:
    if event.reason == FAILURE_REASON_DELIVERY_REPORT_MISSING:
        return False
    return not is_passing(event.provider, event.provider_code)


def _proves(told: Engagement) -> int:
    if told.by_failure or told.is_withdrawn:
        return NOBODY
    return MACHINE if told.is_machine else PERSON


def _drop_reason(event: Event, own_id: str, record: Record | None) -> int:
    """Return the reason on the side of the hand-over where the message really failed.

    A provider's id proves the hand-over. Of a sender's own record the reason counts and not the
    code, since the sender may have said both.
    """
    if not own_id:
        return event.reason
    code = "" if record is not None else event.provider_code
    return reason_after_hand_over(event.provider, code, event.reason)
