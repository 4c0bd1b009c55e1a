"""A message as other teams see it."""

import copy

from bluetick.v1.change_pb2 import MessageImage, Price
from bluetick.v1.common_pb2 import (
    FAILURE_STAGE_DROPPED,
    FAILURE_STAGE_UNDELIVERED,
    MESSAGE_STATE_DELIVERED,
    MESSAGE_STATE_DROPPED,
    MESSAGE_STATE_UNDELIVERED,
    MessageState,
    Money,
)
from bluetick.v1.event_pb2 import Pricing

from services.status.domain.attributed import whole
from services.status.domain.dimensions import dimension_bytes
from services.status.domain.message import Message, earliest, split_codes, state_of


def shown(message: Message) -> Message:
    """Return the message as others see it.

    The acts told by reference belong to the message that stands for the reference. One that was
    never handed over and lost its reference shows none, whenever they came.
    """
    if not message.is_superseded or message.provider_message_id:
        return message
    bare = copy.copy(message)
    bare.proof_time_us = bare.click_count = bare.click_time_us = bare.reply_count = 0
    bare.reply_time_us = bare.tap_count = bare.tap_time_us = bare.unsubscribe_time_us = 0
    bare.complain_time_us = bare.machine_click_count = bare.human_click_time_us = 0
    bare.evidence_time_us = bare.read_time_us
    bare.attributed_proof_time_us, bare.attributed = 0, b""
    return bare


def image(message: Message) -> MessageImage:
    """Return what the message looks like to other teams."""
    message = whole(shown(message))
    state = state_of(message)
    # Most fields of most messages are 0, and setting one costs more than asking.
    fields: dict[str, object] = {"state": state}
    for name in _SAME_IN_IMAGE:
        if value := getattr(message, name):
            fields[name] = value
    _show_failure(message, state, fields)
    if state >= MESSAGE_STATE_DELIVERED:
        deliver_us = message.report_time_us
        if not deliver_us:
            deliver_us = earliest(message.read_time_us, message.proof_time_us)
            fields["is_deliver_inferred"] = True
        fields["deliver_time_us"] = deliver_us
        if message.undeliver_time_us or message.drop_time_us:
            fields["is_recovered"] = True
    if message.is_counted:
        fields["is_counted"] = True
    if message.pricing_time_us:
        fields["final_price"] = _price(message.pricing)
    seen = MessageImage(**fields)  # type: ignore[arg-type]
    seen.cohort_time_us = _cohort_time_us(seen)
    seen.MergeFromString(dimension_bytes(message))
    return seen


def _price(told: bytes) -> Price:
    pricing = Pricing.FromString(told)
    money = pricing.price
    return Price(
        currency_code=money.currency_code,
        amount_micros=_micros(money),
        is_billable=pricing.billable if pricing.HasField("billable") else None,
        model=pricing.model,
        type=pricing.type,
        category=pricing.category,
    )


def _micros(money: Money) -> int:
    """Return an amount in millionths; what is beyond an int64 stands at its end."""
    amount = money.units * _MICROS + int(money.nanos / _NANOS_A_MICRO)
    return max(-_MICROS_MAX, min(amount, _MICROS_MAX))


_MICROS = 1_000_000
_NANOS_A_MICRO = 1_000
_MICROS_MAX = 2**63 - 1


def _cohort_time_us(seen: MessageImage) -> int:
    """Return the time by which the send is counted: that of the way which the message took."""
    if seen.state == MESSAGE_STATE_DROPPED:
        return seen.drop_time_us or seen.queue_time_us
    if seen.state < MESSAGE_STATE_DROPPED:
        return seen.queue_time_us
    return (
        seen.accept_time_us
        or seen.send_time_us
        or seen.undeliver_time_us
        or seen.deliver_time_us
        or seen.read_time_us
        or seen.queue_time_us
    )


_SAME_IN_IMAGE = (
    "queue_time_us",
    "accept_time_us",
    "send_time_us",
    "read_time_us",
    "evidence_time_us",
    "click_count",
    "click_time_us",
    "reply_count",
    "reply_time_us",
    "tap_count",
    "tap_time_us",
    "unsubscribe_time_us",
    "complain_time_us",
    "play_time_us",
    "cancel_time_us",
    "machine_click_count",
    "human_click_time_us",
)


def _show_failure(
    message: Message, state: MessageState.ValueType, fields: dict[str, object]
) -> None:
    if not message.failure_time_us:
        return
    undeliver_us = message.undeliver_time_us
    if message.provider_message_id:
        # The id proves the hand-over, so that a drop is a failure after it.
        undeliver_us = earliest(undeliver_us, message.drop_time_us)
    elif message.drop_time_us:
        fields["drop_time_us"] = message.drop_time_us
    if undeliver_us:
        fields["undeliver_time_us"] = undeliver_us
    fields["failure_reason"] = message.failure_reason
    fields["failure_code"] = message.failure_code
    fields["failure_codes"] = split_codes(message.failure_codes)
    if state == MESSAGE_STATE_DROPPED:
        fields["failure_stage"] = FAILURE_STAGE_DROPPED
    elif state == MESSAGE_STATE_UNDELIVERED:
        fields["failure_stage"] = FAILURE_STAGE_UNDELIVERED
