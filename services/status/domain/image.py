"""A message as other teams see it: the part that moves, and its dimensions behind it."""

from operator import attrgetter
from typing import Final

from bluetick.v1.change_pb2 import MessageImage, Price
from bluetick.v1.common_pb2 import (
    FAILURE_STAGE_DROPPED,
    FAILURE_STAGE_UNDELIVERED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_UNDELIVERED,
    Money,
)
from bluetick.v1.event_pb2 import Pricing

from services.status.domain.attributed import whole
from services.status.domain.dimensions import dimension_bytes
from services.status.domain.fields import Merge
from services.status.domain.merge_rules import earliest, split
from services.status.domain.message import FIELDS, Message, state_of
from services.status.domain.outcomes import has_recovered
from services.status.domain.recipients import with_forwarded

_SHOWN_ACTS: Final = tuple(
    n for n, row in FIELDS.items() if row.is_shown and row.merge is Merge.ACTS
)
_SHOWN: Final = tuple(n for n, row in FIELDS.items() if row.is_shown and n not in _SHOWN_ACTS)
_shown: Final = attrgetter(*_SHOWN)
_shown_acts: Final = attrgetter(*_SHOWN_ACTS)

_MICROS: Final = 1_000_000
_NANOS_A_MICRO: Final = 1_000
_MICROS_MAX: Final = 2**63 - 1


def image(message: Message) -> MessageImage:
    """Return what the message looks like to other teams."""
    seen = moving_image(message)
    seen.MergeFromString(dimension_bytes(message))
    return seen


def moving_image(message: Message) -> MessageImage:
    """Return the image without its dimensions."""
    if message.forwarded:
        message = with_forwarded(message)
    has_acts = message.act_count or message.attributed
    if message.attributed:
        message = whole(message)
    # Most fields of most messages are 0, and setting one costs more than asking.
    state = state_of(message)
    seen = MessageImage(state=state)
    for name, value in zip(_SHOWN, _shown(message), strict=True):
        if value:
            setattr(seen, name, value)
    if has_acts:
        for name, value in zip(_SHOWN_ACTS, _shown_acts(message), strict=True):
            if value:
                setattr(seen, name, value)
        if message.tapped_buttons:
            seen.tapped_button_ids.extend(split(message.tapped_buttons))
    if message.human_read_time_us or message.evidence_time_us:
        seen.evidence_time_us = earliest(message.human_read_time_us, message.evidence_time_us)
    if message.failure_time_us:
        _show_failure(message, seen)
        _show_refusals(message, seen)
    if state >= MESSAGE_STATE_DELIVERED:
        deliver_us = message.report_time_us
        if message.parts_report_time_us > deliver_us:
            deliver_us = message.parts_report_time_us
        if not deliver_us:
            deliver_us = earliest(message.read_time_us, message.proof_time_us)
            seen.is_deliver_inferred = True
        seen.deliver_time_us = deliver_us
        if message.failure_time_us and has_recovered(message):
            seen.is_recovered = True
    if message.record is not None and not message.is_superseded:
        seen.is_counted = True
    if message.pricing_time_us:
        seen.final_price.CopyFrom(_price(message.pricing))
    if cohort_us := message.accept_time_us or _cohort_time_us(seen):
        seen.cohort_time_us = cohort_us
    return seen


def _show_refusals(message: Message, seen: MessageImage) -> None:
    """Show what failures tell of the person, by an event of its own or by their code."""
    if refused_us := message.opt_out_refusal_time_us:
        seen.opted_out_before_time_us = earliest(seen.opted_out_before_time_us, refused_us)
    if refused_us := message.complaint_refusal_time_us:
        seen.complained_before_time_us = earliest(seen.complained_before_time_us, refused_us)


def _show_failure(message: Message, seen: MessageImage) -> None:
    undeliver_us = earliest(message.undeliver_time_us, message.part_loss_time_us)
    if message.provider_message_id:
        # The id proves the hand-over, so that a drop is a failure after it.
        undeliver_us = earliest(undeliver_us, message.drop_time_us)
    elif message.drop_time_us:
        seen.drop_time_us = message.drop_time_us
    seen.undeliver_time_us = undeliver_us
    seen.failure_reason = message.failure_reason  # type: ignore[assignment]
    seen.failure_code = message.failure_code
    seen.failure_codes.extend(split(message.failure_codes))
    if seen.state == MESSAGE_STATE_DROPPED:
        seen.failure_stage = FAILURE_STAGE_DROPPED
    elif seen.state == MESSAGE_STATE_UNDELIVERED:
        seen.failure_stage = FAILURE_STAGE_UNDELIVERED


def _price(told: bytes) -> Price:
    pricing = Pricing.FromString(told)
    return Price(
        currency_code=pricing.price.currency_code,
        amount_micros=_micros(pricing.price),
        is_billable=pricing.billable if pricing.HasField("billable") else None,
        model=pricing.model,
        type=pricing.type,
        category=pricing.category,
    )


def _micros(money: Money) -> int:
    """Return an amount in millionths; what is beyond an int64 stands at its end."""
    amount = money.units * _MICROS + int(money.nanos / _NANOS_A_MICRO)
    return max(-_MICROS_MAX, min(amount, _MICROS_MAX))


def _cohort_time_us(seen: MessageImage) -> int:
    """Return the time by which the send is counted: that of the way which the message took."""
    if seen.state == MESSAGE_STATE_DROPPED:
        return seen.drop_time_us or seen.queue_time_us
    if seen.state < MESSAGE_STATE_DROPPED:
        return seen.queue_time_us
    return (
        seen.send_time_us
        or seen.undeliver_time_us
        or seen.deliver_time_us
        or seen.read_time_us
        or seen.queue_time_us
    )
