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
READS = frozenset((common_pb2.EVENT_KIND_READ, common_pb2.EVENT_KIND_PLAYED))
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
    machine_read_count: int
    is_read_by_machines_only: bool
    was_opted_out: bool
    had_complained: bool
    attempt_count: int


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
        image.machine_read_count,
        image.machine_read_count > 0 and image.human_read_time_us == 0,
        image.opted_out_before_time_us != 0,
        image.complained_before_time_us != 0,
        image.attempt_count,
    )


@lru_cache(maxsize=65_536)
def counts_of(shape: Shape) -> Counts:
    """Return what a message of this shape counts."""
    state, clicks = shape.state, shape.click_count
    is_sent, is_delivered = state >= ACCEPTED, state >= DELIVERED
    is_read = state >= READ
    is_human_read = is_read and not shape.is_read_by_machines_only
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
        "read": is_read,
        "read_inferred": is_human_read or (is_delivered and shape.is_seen),
        "clicked": is_delivered and clicks > 0,
        "clicks": clicks,
        "replied": is_delivered and shape.reply_count > 0,
        "replies": shape.reply_count,
        "quick_reply_taps": shape.tap_count,
        "interacted": is_delivered and (clicks > 0 or shape.tap_count > 0),
        "unsubscribed": is_delivered and shape.is_unsubscribed,
        "complained": is_delivered and shape.is_complained,
        "human_clicked": is_delivered and clicks > shape.machine_click_count,
        "machine_clicks": shape.machine_click_count,
        "human_read": is_human_read,
        "machine_reads": shape.machine_read_count,
        "opted_out_before": shape.was_opted_out,
        "complained_before": shape.had_complained,
        "attempts": shape.attempt_count,
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
    Moment.HUMAN_READ: lambda image: (
        image.human_read_time_us or image.read_time_us or image.cohort_time_us
    ),
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
    Moment.OPT_OUT_BEFORE: lambda image: image.opted_out_before_time_us,
    Moment.COMPLAIN_BEFORE: lambda image: image.complained_before_time_us,
}


def acts_of(act: change_pb2.MessageAct) -> tuple[int, ...]:
    """Return the counters (index in STORED) that one act adds 1 to."""
    is_tap = act.engagement.is_tap
    found = []
    if act.kind == CLICKED:
        found.append(INDEX["clicks"])
        if act.engagement.is_machine:
            found.append(INDEX["machine_clicks"])
    if act.kind in READS:
        found.append(INDEX["machine_reads"])
    if act.kind == REPLIED or is_tap:
        found.append(INDEX["replies"])
    if is_tap:
        found.append(INDEX["quick_reply_taps"])
    return tuple(found)
