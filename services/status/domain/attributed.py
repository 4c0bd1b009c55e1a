"""What acts told by an address add to a message: kept apart, since they may leave again.

Everything else in a message only grows. These sums are made anew from the acts whenever one comes
or goes, and the two are put together when the message is shown.
"""

import copy
from collections.abc import Iterable
from typing import Final

import msgspec

from services.status.domain.acts import Act, add_act
from services.status.domain.merge_rules import TAPPED_BUTTONS_MAX, earliest, join
from services.status.domain.message import Message

# In the order in which they are stored; a new one goes to the end of its line.
_TIMES: Final = (
    "proof_time_us",
    "evidence_time_us",
    "click_time_us",
    "reply_time_us",
    "tap_time_us",
    "unsubscribe_time_us",
    "complain_time_us",
    "human_click_time_us",
    "opted_out_before_time_us",
    "complained_before_time_us",
)
_COUNTS: Final = (
    "click_count",
    "reply_count",
    "tap_count",
    "machine_click_count",
    "machine_read_count",
)


class _Sums(msgspec.Struct, array_like=True, frozen=True):
    """As stored in ``Message.attributed``."""

    act_count: int
    times: list[int]
    counts: list[int]
    tapped_buttons: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Sums)


def attribute(message: Message, acts: Iterable[Act]) -> None:
    """Set what ``acts``, all that belong to the message by its address, add to it."""
    sums = Message()
    for act in acts:
        add_act(sums, act)
    message.attributed_proof_time_us = sums.proof_time_us
    message.attributed = b""
    if sums.act_count:
        times = [getattr(sums, name) for name in _TIMES]
        counts = [getattr(sums, name) for name in _COUNTS]
        message.attributed = _encoder.encode(
            _Sums(sums.act_count, times, counts, sums.tapped_buttons)
        )


def whole(message: Message) -> Message:
    """Return the message with what was attributed to it."""
    if not message.attributed:
        return message
    sums = _decoder.decode(message.attributed)
    together = copy.copy(message)
    for name, time_us in zip(_TIMES, sums.times, strict=False):
        setattr(together, name, earliest(getattr(message, name), time_us))
    for name, number in zip(_COUNTS, sums.counts, strict=False):
        setattr(together, name, getattr(message, name) + number)
    together.tapped_buttons = join(message.tapped_buttons, sums.tapped_buttons, TAPPED_BUTTONS_MAX)
    return together
