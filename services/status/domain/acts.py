"""Acts of people: clicks, replies, taps, opt-outs, complaints. Each is counted once, by its id.

The same act may be told several times and differently: by two of its names, with another time, with
more about it. One telling stands, chosen by its content alone, and what acts add to a message is a
function of the tellings that stand. So it can be made anew at any time, and order cannot matter.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final

import msgspec
from bluetick.v1.change_pb2 import MessageAct
from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_PLAYED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Engagement, Event

from services.status.domain.merge_rules import TAPPED_BUTTONS_MAX, clean, earliest, join
from services.status.domain.message import ACT_FIELDS, Message
from services.status.domain.wire import field_bytes

ACT_KINDS: Final = frozenset(
    (
        EVENT_KIND_CLICKED,
        EVENT_KIND_REPLIED,
        EVENT_KIND_UNSUBSCRIBED,
        EVENT_KIND_RESUBSCRIBED,
        EVENT_KIND_COMPLAINED,
    )
)
# Of these, only what a machine did is an act: an open by a proxy, counted beside those of people.
_READ_KINDS: Final = frozenset((EVENT_KIND_READ, EVENT_KIND_PLAYED))
# Only of these ``is_act`` is ever true.
MAYBE_ACTS: Final = ACT_KINDS | _READ_KINDS
# How a telling is stored: its bytes sort as its claim to stand does. Whether it is final (0: a
# later telling replaces it, so its time counts backwards), time, kind; the engagement follows.
_HEAD: Final = Struct(">BQH")
# (kind, whether it rides on a failure) -> where its time stands.
_CONSENT_TIMES: Final[dict[tuple[int, bool], str]] = {
    (EVENT_KIND_UNSUBSCRIBED, False): "unsubscribe_time_us",
    (EVENT_KIND_UNSUBSCRIBED, True): "opted_out_before_time_us",
    (EVENT_KIND_COMPLAINED, False): "complain_time_us",
    (EVENT_KIND_COMPLAINED, True): "complained_before_time_us",
}
_TIME_MAX: Final = 2**64 - 1


class Act(msgspec.Struct, frozen=True, gc=False):
    """One telling of an act on one message. One of each (message, ``act_id``) stands."""

    act_id: str
    kind: int  # EventKind, see ``is_act``
    occur_time_us: int
    engagement: bytes  # bluetick.v1.Engagement
    is_tap: bool
    by_failure: bool
    is_machine: bool
    is_withdrawn: bool = False  # stands, and counts nothing
    button_id: str = ""  # of a tap
    is_replaceable: bool = False

    @property
    def told(self) -> bytes:
        """The telling as stored; of several, the smallest stands."""
        time_us = self.occur_time_us
        if self.is_replaceable:
            head = _HEAD.pack(0, _TIME_MAX - time_us, self.kind)
        else:
            head = _HEAD.pack(1, time_us, self.kind)
        return head + self.engagement


def is_act(kind: int, event: Event) -> bool:
    """Return whether an event tells an act that is counted one by one."""
    return kind in ACT_KINDS or (
        kind in _READ_KINDS and event.HasField("engagement") and event.engagement.is_machine
    )


def act_of(act_id: str, kind: int, occur_time_us: int, told: Engagement, engagement: bytes) -> Act:
    """Return the act; ``engagement`` is ``told``, serialized."""
    return Act(
        act_id,
        kind,
        occur_time_us,
        engagement,
        told.is_tap,
        told.by_failure,
        told.is_machine,
        told.is_withdrawn,
        clean(told.button_id) if told.is_tap else "",
        told.is_replaceable,
    )


def stored_act(act_id: str, told: bytes) -> Act:
    """Return the act that was stored as ``Act.told``."""
    is_final, time_us, kind = _HEAD.unpack_from(told)
    engagement = told[_HEAD.size :]
    if not is_final:
        time_us = _TIME_MAX - time_us
    return act_of(act_id, kind, time_us, Engagement.FromString(engagement), engagement)


def standing(one: Act | None, other: Act) -> Act:
    """Return which of two tellings of one act stands."""
    return other if one is None or other.told < one.told else one


def add_act(message: Message, act: Act) -> None:
    """Add an act that was not counted before. The caller knows that: the store told it."""
    if act.is_withdrawn:
        return
    message.act_count += 1
    kind, time_us = act.kind, act.occur_time_us
    if kind == EVENT_KIND_RESUBSCRIBED:
        # Consent given again says nothing about this message.
        return
    if kind == EVENT_KIND_CLICKED:
        message.click_count += 1
        message.click_time_us = earliest(message.click_time_us, time_us)
        if act.is_machine:
            message.machine_click_count += 1
        else:
            message.human_click_time_us = earliest(message.human_click_time_us, time_us)
    elif kind in _READ_KINDS:
        message.machine_read_count += 1
    elif name := _CONSENT_TIMES.get((kind, act.by_failure)):
        setattr(message, name, earliest(getattr(message, name), time_us))
    if kind == EVENT_KIND_REPLIED or act.is_tap:
        message.reply_count += 1
        message.reply_time_us = earliest(message.reply_time_us, time_us)
    if act.is_tap:
        message.tap_count += 1
        message.tap_time_us = earliest(message.tap_time_us, time_us)
        message.tapped_buttons = join(message.tapped_buttons, act.button_id, TAPPED_BUTTONS_MAX)
    if not act.by_failure:
        message.proof_time_us = earliest(message.proof_time_us, time_us)
        # A link scanner shows that the message arrived, not that a person saw it.
        if not act.is_machine:
            message.evidence_time_us = earliest(message.evidence_time_us, time_us)


def recount(message: Message, acts: Iterable[Act]) -> None:
    """Make what acts add to ``message`` anew from all that stand."""
    for name in ACT_FIELDS:
        setattr(message, name, getattr(_NOTHING, name))
    for act in acts:
        add_act(message, act)


_NOTHING: Final = Message()


def act_bytes(act: Act, *, is_repeated: bool = False, is_retracted: bool = False) -> bytes:
    """Return the act as a serialized ``MessageAct``."""
    head = MessageAct(
        kind=act.kind,  # type: ignore[arg-type]
        occur_time_us=act.occur_time_us,
        is_repeated=is_repeated,
        is_retracted=is_retracted,
    )
    return head.SerializeToString() + field_bytes(
        MessageAct.ENGAGEMENT_FIELD_NUMBER, act.engagement
    )
