"""Marks: what the shape of a message says of it, and which counters and states follow from them.

There are as few as will do, so that an ordinary report moves one or two: that a message is
delivered, not that it is no longer pending. Everything else is a formula over marks.
"""

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from bluetick.v1 import common_pb2 as pb

from services.analytics.domain.lists.terms import MARKS, term
from services.analytics.domain.shape import Shape

ATTEMPTS_MAX = 5


class Mark(IntEnum):
    """One mark. The numbers are stored."""

    COUNTED = 1
    QUEUED = 2
    DROPPED = 3
    ACCEPTED = 4
    LEFT = 5
    UNDELIVERED = 6
    DELIVERED = 7
    READ = 8
    RECOVERED = 9
    SEEN = 10
    CLICKED = 11
    REPLIED = 12
    TAPPED = 13
    UNSUBSCRIBED = 14
    COMPLAINED = 15
    UNADDRESSABLE = 16
    MACHINE_CLICKED = 17
    HUMAN_CLICKED = 18
    MACHINE_READ = 19
    READ_BY_MACHINES_ONLY = 20
    CONVERTED = 21
    OPTED_OUT_BEFORE = 22
    COMPLAINED_BEFORE = 23
    # An attempt, two or more, three or more ... ATTEMPTS_MAX or more: 31 to 35.
    ATTEMPTED = 31


@lru_cache(maxsize=65_536)
def marks_of(shape: Shape | None) -> frozenset[int]:
    """Return the terms of the marks of a message; None: it does not count."""
    if shape is None:
        return frozenset()
    state = shape.state
    is_delivered = state >= pb.MESSAGE_STATE_DELIVERED
    marks = {
        Mark.COUNTED: True,
        Mark.QUEUED: state < pb.MESSAGE_STATE_DROPPED,
        Mark.DROPPED: state == pb.MESSAGE_STATE_DROPPED,
        Mark.ACCEPTED: state >= pb.MESSAGE_STATE_ACCEPTED,
        Mark.LEFT: state >= pb.MESSAGE_STATE_SENT,
        Mark.UNDELIVERED: state == pb.MESSAGE_STATE_UNDELIVERED,
        Mark.DELIVERED: is_delivered,
        Mark.READ: state >= pb.MESSAGE_STATE_READ,
        Mark.RECOVERED: shape.is_recovered and is_delivered,
        Mark.SEEN: shape.is_seen,
        Mark.CLICKED: shape.click_count > 0,
        Mark.REPLIED: shape.reply_count > 0,
        Mark.TAPPED: shape.tap_count > 0,
        Mark.UNSUBSCRIBED: shape.is_unsubscribed,
        Mark.COMPLAINED: shape.is_complained,
        Mark.UNADDRESSABLE: shape.is_unaddressable,
        Mark.MACHINE_CLICKED: shape.machine_click_count > 0,
        Mark.HUMAN_CLICKED: shape.click_count > shape.machine_click_count,
        Mark.MACHINE_READ: shape.machine_read_count > 0,
        Mark.READ_BY_MACHINES_ONLY: shape.is_read_by_machines_only,
        Mark.CONVERTED: shape.is_converted,
        Mark.OPTED_OUT_BEFORE: shape.was_opted_out,
        Mark.COMPLAINED_BEFORE: shape.had_complained,
    }
    numbers = [int(mark) for mark, is_set in marks.items() if is_set]
    attempts = min(shape.attempt_count, ATTEMPTS_MAX)
    numbers += range(Mark.ATTEMPTED, Mark.ATTEMPTED + attempts)
    return frozenset(term(MARKS, number) for number in numbers)


class AnyOf(NamedTuple):
    """Holds where one of the formulas holds."""

    formulas: tuple["Formula", ...]


class AllOf(NamedTuple):
    """Holds where all of the formulas hold."""

    formulas: tuple["Formula", ...]


class Not(NamedTuple):
    """Holds where the formula does not."""

    formula: "Formula"


# A term by itself holds where it is set.
Formula = int | AnyOf | AllOf | Not


def at_least(attempts: int) -> Formula:
    """Return the formula of so many attempts or more, from 1 to ``ATTEMPTS_MAX``."""
    return term(MARKS, Mark.ATTEMPTED + attempts - 1)


def _is(mark: Mark) -> Formula:
    return term(MARKS, mark)


_COUNTED, _ACCEPTED, _DELIVERED = _is(Mark.COUNTED), _is(Mark.ACCEPTED), _is(Mark.DELIVERED)
_UNDELIVERED, _READ = _is(Mark.UNDELIVERED), _is(Mark.READ)
_AWAITED = AllOf((_ACCEPTED, Not(_UNDELIVERED), Not(_DELIVERED)))
_HUMAN_READ = AllOf((_READ, Not(_is(Mark.READ_BY_MACHINES_ONLY))))
_CLICKED = AllOf((_DELIVERED, _is(Mark.CLICKED)))
_REPLIED = AllOf((_DELIVERED, _is(Mark.REPLIED)))
_ADDRESSABLE = Not(_is(Mark.UNADDRESSABLE))
_CONVERTED = _is(Mark.CONVERTED)
FAILED: Formula = AnyOf((_is(Mark.DROPPED), _UNDELIVERED))

STATES: Mapping[int, Formula] = {
    pb.MESSAGE_STATE_QUEUED: _is(Mark.QUEUED),
    pb.MESSAGE_STATE_DROPPED: _is(Mark.DROPPED),
    pb.MESSAGE_STATE_ACCEPTED: AllOf((_ACCEPTED, Not(_is(Mark.LEFT)))),
    pb.MESSAGE_STATE_SENT: AllOf((_is(Mark.LEFT), Not(_UNDELIVERED), Not(_DELIVERED))),
    pb.MESSAGE_STATE_UNDELIVERED: _UNDELIVERED,
    pb.MESSAGE_STATE_DELIVERED: AllOf((_DELIVERED, Not(_READ))),
    pb.MESSAGE_STATE_READ: _READ,
}

# Of every counter of the catalogue: the messages that it counts, or that its acts were done on, or
# whose people it counts. Compared with the counters themselves by a test.
METRICS: Mapping[str, Formula] = {
    "targeted": _COUNTED,
    "queued": _is(Mark.QUEUED),
    "dropped": _is(Mark.DROPPED),
    "dropped_unaddressable": _is(Mark.UNADDRESSABLE),
    "sent": _ACCEPTED,
    "pending": _AWAITED,
    "undelivered": _UNDELIVERED,
    "delivered": _DELIVERED,
    "recovered": _is(Mark.RECOVERED),
    "read": _READ,
    "read_inferred": AnyOf((_HUMAN_READ, AllOf((_DELIVERED, _is(Mark.SEEN))))),
    "clicked": _CLICKED,
    "clicks": _is(Mark.CLICKED),
    "replied": _REPLIED,
    "replies": _is(Mark.REPLIED),
    "quick_reply_taps": _is(Mark.TAPPED),
    "interacted": AllOf((_DELIVERED, AnyOf((_is(Mark.CLICKED), _is(Mark.TAPPED))))),
    "unsubscribed": AllOf((_DELIVERED, _is(Mark.UNSUBSCRIBED))),
    "complained": AllOf((_DELIVERED, _is(Mark.COMPLAINED))),
    "human_clicked": AllOf((_DELIVERED, _is(Mark.HUMAN_CLICKED))),
    "machine_clicks": _is(Mark.MACHINE_CLICKED),
    "human_read": _HUMAN_READ,
    "machine_reads": _is(Mark.MACHINE_READ),
    "opted_out_before": _is(Mark.OPTED_OUT_BEFORE),
    "complained_before": _is(Mark.COMPLAINED_BEFORE),
    "attempts": at_least(1),
    "failed": FAILED,
    "addressable": _ADDRESSABLE,
    "failed_addressable": AllOf((FAILED, _ADDRESSABLE)),
    "human_clicks": _is(Mark.HUMAN_CLICKED),
    "people_targeted": _COUNTED,
    "people_sent": _ACCEPTED,
    "people_reached": _DELIVERED,
    "people_read": _READ,
    "repliers": _REPLIED,
    "people_clicked": _CLICKED,
    "people_converted": _CONVERTED,
    "converted": _CONVERTED,
    "conversions": _CONVERTED,
    "unique_link_clicks": _is(Mark.CLICKED),
}
# Every formula stands for messages that count.
COUNTED: Formula = _COUNTED
