"""What of an image is counted, and what a message of that shape counts."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from bluetick.v1 import change_pb2, common_pb2

from services.analytics.domain.counters import INDEX, Moment

DROPPED = common_pb2.MESSAGE_STATE_DROPPED
ACCEPTED = common_pb2.MESSAGE_STATE_ACCEPTED
UNDELIVERED = common_pb2.MESSAGE_STATE_UNDELIVERED
DELIVERED = common_pb2.MESSAGE_STATE_DELIVERED
READ = common_pb2.MESSAGE_STATE_READ
CLICKED = common_pb2.EVENT_KIND_CLICKED
REPLIED = common_pb2.EVENT_KIND_REPLIED
UNADDRESSABLE = common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS

# (index in STORED, how many), none of them 0, ascending.
Counts = tuple[tuple[int, int], ...]


class Shape(NamedTuple):
    """Everything in an image that counters depend on, except times.

    A campaign has millions of images and few shapes, so what follows from a shape is computed once.
    """

    state: int
    is_recovered: bool
    is_seen: bool
    click_count: int
    reply_count: int
    tap_count: int
    is_unsubscribed: bool
    is_complained: bool
    is_unaddressable: bool
    machine_click_count: int
    is_converted: bool


def shape_of(image: Any) -> Shape | None:
    """Return the shape of a message that counts, None for one that does not.

    Args:
        image: a ``MessageImage`` or the view of one.
    """
    if not image.is_counted:
        return None
    return Shape(
        image.state,
        image.is_recovered,
        image.evidence_time_us != 0,
        image.click_count,
        image.reply_count,
        image.tap_count,
        image.unsubscribe_time_us != 0,
        image.complain_time_us != 0,
        image.state == DROPPED and image.failure_reason == UNADDRESSABLE,
        image.machine_click_count,
        len(image.reached_goals) > 0,
    )


@lru_cache(maxsize=65_536)
def counts_of(shape: Shape) -> Counts:
    """Return what a message of this shape counts."""
    state, clicks = shape.state, shape.click_count
    is_sent, is_delivered = state >= ACCEPTED, state >= DELIVERED
    counts = {
        "targeted": 1,
        "queued": state < DROPPED,
        "dropped": state == DROPPED,
        "dropped_unaddressable": shape.is_unaddressable,
        "sent": is_sent,
        "pending": is_sent and state < UNDELIVERED,
        "undelivered": state == UNDELIVERED,
        "delivered": is_delivered,
        "recovered": is_delivered and shape.is_recovered,
        "read": state >= READ,
        "read_inferred": state >= READ or (is_delivered and shape.is_seen),
        "clicked": clicks > 0,
        "clicks": clicks,
        "replied": shape.reply_count > 0,
        "replies": shape.reply_count,
        "quick_reply_taps": shape.tap_count,
        "interacted": clicks > 0 or shape.tap_count > 0,
        "unsubscribed": shape.is_unsubscribed,
        "complained": shape.is_complained,
        "human_clicked": clicks > shape.machine_click_count,
        "machine_clicks": shape.machine_click_count,
    }
    return tuple(sorted((INDEX[name], int(count)) for name, count in counts.items() if count))


def _interact_time_us(image: Any) -> int:
    click_us: int = image.click_time_us
    tap_us: int = image.tap_time_us
    return min(click_us, tap_us) if click_us and tap_us else click_us or tap_us


ReadTime = Callable[[Any], int]

TIME_OF: dict[Moment, ReadTime] = {
    Moment.SEND: lambda image: image.cohort_time_us,
    Moment.UNDELIVER: lambda image: image.undeliver_time_us or image.cohort_time_us,
    Moment.DELIVER: lambda image: image.deliver_time_us or image.cohort_time_us,
    Moment.READ: lambda image: image.read_time_us or image.cohort_time_us,
    Moment.EVIDENCE: lambda image: (
        image.evidence_time_us or image.read_time_us or image.cohort_time_us
    ),
    Moment.CLICK: lambda image: image.click_time_us or image.cohort_time_us,
    # Messages of before the difference was told have the first click only.
    Moment.HUMAN_CLICK: lambda image: (
        image.human_click_time_us or image.click_time_us or image.cohort_time_us
    ),
    Moment.REPLY: lambda image: image.reply_time_us or image.cohort_time_us,
    Moment.INTERACT: lambda image: _interact_time_us(image) or image.cohort_time_us,
    Moment.UNSUBSCRIBE: lambda image: image.unsubscribe_time_us,
    Moment.COMPLAIN: lambda image: image.complain_time_us,
}


def acts_of(act: change_pb2.MessageFact) -> tuple[int, ...]:
    """Return the counters (index in STORED) that one act adds 1 to."""
    is_tap = act.engagement.is_tap
    found = []
    if act.kind == CLICKED:
        found.append(INDEX["clicks"])
        if act.engagement.is_machine:
            found.append(INDEX["machine_clicks"])
    if act.kind == REPLIED or is_tap:
        found.append(INDEX["replies"])
    if is_tap:
        found.append(INDEX["quick_reply_taps"])
    return tuple(found)
