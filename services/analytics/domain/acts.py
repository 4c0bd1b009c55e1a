"""Clicks, replies and taps: each counts at its own time."""

from bluetick.v1 import change_pb2, event_pb2

from services.analytics.domain.cells import MINUTE_US, Scope, vector_of
from services.analytics.domain.contribution import (
    ACT_TIME_OF,
    CLICKED,
    Shape,
    acts_of,
    counts_of,
    link_member,
    person_of,
)

Image = change_pb2.MessageImage


def place_acts(
    change: change_pb2.MessageChanged,
    old_scope: Scope | None,
    new_scope: Scope | None,
    old_shape: Shape | None,
    new_shape: Shape | None,
) -> None:
    """Place clicks, replies and taps, each at its own time; take back those that left.

    The images say how many there are, the facts when. Should the two disagree, the images win
    and the rest counts at the first act's time: totals stay sums over messages, always.
    """
    is_moved = change.HasField("old_registration") or (old_shape is None) != (new_shape is None)
    left: dict[int, int] = dict.fromkeys(ACT_TIME_OF, 0)
    left_old = dict(left)
    for fact in change.facts:
        if fact.is_repeated and not is_moved:
            continue
        was_counted = fact.is_repeated or fact.is_retracted
        if was_counted and old_scope is not None and old_shape is not None:
            _place(old_scope, fact, -1, left_old)
            person = person_of(_registration_before(change), change.message_key)
            _add_click(old_scope, person, fact, -1)
        if not fact.is_retracted and new_scope is not None and new_shape is not None:
            _place(new_scope, fact, +1, left)
            person = person_of(change.registration, change.message_key)
            _add_click(new_scope, person, fact, +1)
    if is_moved:
        _place_rest(old_scope, old_shape, -1, left_old, change.old_image)
        _place_rest(new_scope, new_shape, +1, left, change.new_image)
    elif new_scope is not None:
        before = dict(counts_of(old_shape)) if old_shape is not None else {}
        after = dict(counts_of(new_shape)) if new_shape is not None else {}
        for index, placed in left.items():
            rest = after.get(index, 0) - before.get(index, 0) - placed - left_old[index]
            _place_at(new_scope, index, rest, ACT_TIME_OF[index](change.new_image))


def _registration_before(change: change_pb2.MessageChanged) -> event_pb2.Registration:
    if change.HasField("old_registration"):
        return change.old_registration
    return change.registration


def _add_click(scope: Scope, person: bytes, fact: change_pb2.MessageFact, sign: int) -> None:
    if fact.kind == CLICKED:
        scope.campaign.add_link(link_member(person, fact), sign)
        scope.campaign.add_click(person, fact.engagement, sign)


def _place(scope: Scope, fact: change_pb2.MessageFact, sign: int, placed: dict[int, int]) -> None:
    for index in acts_of(fact):
        _place_at(scope, index, sign, fact.occur_time_us)
        placed[index] += sign


def _place_rest(
    scope: Scope | None,
    shape: Shape | None,
    sign: int,
    placed: dict[int, int],
    image: Image,
) -> None:
    if scope is None or shape is None:
        return
    counts = dict(counts_of(shape))
    for index, n in placed.items():
        rest = sign * counts.get(index, 0) - n
        _place_at(scope, index, rest, ACT_TIME_OF[index](image))


def _place_at(scope: Scope, index: int, n: int, time_us: int) -> None:
    if n:
        vector = vector_of(((index, 1),))
        assert vector is not None
        scope.event[time_us // MINUTE_US, vector] += n
