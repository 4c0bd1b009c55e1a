"""From changes to sums: contribution(new) - contribution(old), many at a time.

This is the hot path. It gives exactly what ``contribution.contribution`` would, without building
it: what follows from the shapes of the two images is computed once per pair of shapes, and each
change only looks at the times that matter and counts how often each vector lands in each minute.
"""

from collections import defaultdict
from functools import lru_cache
from operator import attrgetter

import msgspec
from bluetick.v1 import change_pb2, event_pb2

from services.analytics.domain.acts import place_acts
from services.analytics.domain.cells import (
    HOUR_US,
    MINUTE_US,
    CampaignCells,
    Cells,
    Scope,
    Vector,
    vector_of,
)
from services.analytics.domain.contribution import (
    ACCEPTED,
    DROPPED,
    TIME_OF,
    UNDELIVERED,
    ReadTime,
    Shape,
    counts_of,
    failure_of,
    people_of,
    person_of,
    shape_of,
)
from services.analytics.domain.counters import PEOPLE, STORED, Moment

Image = change_pb2.MessageImage
Counts = tuple[tuple[int, int], ...]
# Tenant, campaign, and the values in the order of dimensions.NAMES.
_ScopeKey = tuple[str, str, tuple[int | str, ...]]
_NOBODY = (0,) * len(PEOPLE)

# The field that nearly always holds the time; 0 there sends the reader to TIME_OF.
_FIELD_OF = {
    Moment.UNDELIVER: "undeliver_time_us",
    Moment.DELIVER: "deliver_time_us",
    Moment.READ: "read_time_us",
    Moment.EVIDENCE: "evidence_time_us",
    Moment.CLICK: "click_time_us",
    Moment.HUMAN_CLICK: "human_click_time_us",
    Moment.REPLY: "reply_time_us",
    Moment.UNSUBSCRIBE: "unsubscribe_time_us",
    Moment.COMPLAIN: "complain_time_us",
}


class Step(msgspec.Struct, frozen=True):
    """What one moment of a move adds: vectors before and after, and how to read their times."""

    before: Vector | None
    after: Vector | None
    difference: Vector | None
    old_field: ReadTime
    new_field: ReadTime
    time_of: ReadTime


class Plan(msgspec.Struct, frozen=True):
    """What a move between two shapes does, before any time is looked at."""

    # The moment of the send apart: it also says which cohort the message belongs to.
    send: Step
    steps: tuple[Step, ...]
    before: Vector | None
    after: Vector | None
    difference: Vector | None
    people: tuple[int, ...]
    # Clicks, replies or taps came or went.
    has_acts: bool
    # There are as many, though they may be others.
    may_swap_acts: bool
    can_fail: bool
    # Nothing counts differently, unless a time has moved.
    is_still: bool


def _counts(shape: Shape | None) -> Counts:
    return counts_of(shape) if shape is not None else ()


def _minus(new: Counts, old: Counts) -> Counts:
    sums = dict(new)
    for index, n in old:
        sums[index] = sums.get(index, 0) - n
    return tuple(sorted((index, n) for index, n in sums.items() if n))


def _at(counts: Counts, moment: Moment) -> Counts:
    return tuple((index, n) for index, n in counts if STORED[index].moment is moment)


def _field(moment: Moment, shape: Shape | None) -> ReadTime:
    if moment is Moment.SEND and shape is not None and shape[0] >= ACCEPTED:
        return attrgetter("accept_time_us")
    if moment in _FIELD_OF:
        return attrgetter(_FIELD_OF[moment])
    return TIME_OF[moment]


def _step(moment: Moment, old: Shape | None, new: Shape | None) -> Step:
    before, after = _at(_counts(old), moment), _at(_counts(new), moment)
    vectors = vector_of(before), vector_of(after), vector_of(_minus(after, before))
    return Step(*vectors, _field(moment, old), _field(moment, new), TIME_OF[moment])


@lru_cache(maxsize=65_536)
def plan(old: Shape | None, new: Shape | None) -> Plan:
    """Return what moving from ``old`` to ``new`` does; None stands for a message not counted."""
    before, after = _counts(old), _counts(new)
    steps = [_step(moment, old, new) for moment in TIME_OF if moment is not Moment.SEND]
    was = people_of(old) if old is not None else _NOBODY
    now = people_of(new) if new is not None else _NOBODY
    can_fail = any(shape is not None and shape[0] in (DROPPED, UNDELIVERED) for shape in (old, new))
    return Plan(
        _step(Moment.SEND, old, new),
        tuple(step for step in steps if step.before or step.after),
        vector_of(before),
        vector_of(after),
        vector_of(_minus(after, before)),
        tuple(b - a for a, b in zip(was, now, strict=True)),
        bool(_at(_minus(after, before), Moment.ACT)),
        bool(_at(before, Moment.ACT) and _at(after, Moment.ACT)),
        can_fail,
        before == after and not can_fail,
    )


class Folder:
    """Adds changes up. Order and grouping of the changes do not matter."""

    def __init__(self) -> None:
        self._scopes: dict[_ScopeKey, Scope] = {}
        self._campaigns: dict[tuple[str, str], CampaignCells] = {}
        self.change_count = 0

    def add(self, tenant_id: str, change: change_pb2.MessageChanged) -> None:
        """Add one change of a message of ``tenant_id``."""
        self.change_count += 1
        new = change.new_image
        old = change.old_image
        # An absent image reads as one that does not count.
        old_shape, new_shape = shape_of(old), shape_of(new)
        if change.HasField("old_registration"):
            self._move_between(tenant_id, change, old_shape, new_shape)
            return
        if old_shape is None and new_shape is None:
            return
        todo = plan(old_shape, new_shape)
        # An act may leave and another come in one change: as many, at other times.
        has_acts = todo.has_acts or bool(todo.may_swap_acts and change.facts)
        if todo.is_still and not has_acts and _is_at_rest(todo, old, new):
            return
        registration = change.registration
        scope = self._scope(tenant_id, change.provider, registration)
        if scope is None:
            return
        _apply(scope, todo, old, new)
        if todo.people != _NOBODY:
            scope.campaign.add_people(person_of(registration, change.message_key), todo.people)
        if todo.can_fail:
            _fail(change, old_shape, scope, -1, old)
            _fail(change, new_shape, scope, +1, new)
        if has_acts:
            place_acts(change, scope, scope, old_shape, new_shape)

    def cells(self) -> Cells:
        """Return the sums so far, without zeros."""
        return Cells.of(self._scopes.values(), self._campaigns.values())

    def _move_between(
        self,
        tenant_id: str,
        change: change_pb2.MessageChanged,
        old_shape: Shape | None,
        new_shape: Shape | None,
    ) -> None:
        """Take all that the message added under the old registration back, add it to the new."""
        old_scope = self._scope(tenant_id, change.provider, change.old_registration)
        new_scope = self._scope(tenant_id, change.provider, change.registration)
        old_shape = old_shape if old_scope is not None else None
        new_shape = new_shape if new_scope is not None else None
        for scope, registration, before, after in (
            (old_scope, change.old_registration, old_shape, None),
            (new_scope, change.registration, None, new_shape),
        ):
            if scope is None or (before is None and after is None):
                continue
            todo = plan(before, after)
            _apply(scope, todo, change.old_image, change.new_image)
            scope.campaign.add_people(person_of(registration, change.message_key), todo.people)
            _fail(change, before, scope, -1, change.old_image)
            _fail(change, after, scope, +1, change.new_image)
        place_acts(change, old_scope, new_scope, old_shape, new_shape)

    def _scope(
        self, tenant_id: str, provider: str, registration: event_pb2.Registration
    ) -> Scope | None:
        r = registration
        campaign_id = r.campaign_id
        if not campaign_id:
            return None
        key: _ScopeKey = (
            tenant_id,
            campaign_id,
            (
                r.channel,
                provider,
                r.sender,
                r.template,
                r.language,
                r.category,
                r.variant,
                r.flow_id,
                r.step_id,
                r.segment,
                r.country,
            ),
        )
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = self._new_scope(*key)
        return scope

    def _new_scope(self, tenant_id: str, campaign_id: str, values: tuple[int | str, ...]) -> Scope:
        campaign = self._campaigns.get((tenant_id, campaign_id))
        if campaign is None:
            campaign = CampaignCells.of(tenant_id, campaign_id)
            self._campaigns[tenant_id, campaign_id] = campaign
        return Scope.of(campaign, values)


def _is_at_rest(todo: Plan, old: Image, new: Image) -> bool:
    """Whether every moment of a move without difference keeps its time: most `sent` reports."""
    for step in (todo.send, *todo.steps):
        old_us = step.old_field(old) or step.time_of(old)
        if old_us != (step.new_field(new) or step.time_of(new)):
            return False
    return True


def _apply(scope: Scope, todo: Plan, old: Image, new: Image) -> None:
    """Put the vectors of one move where the times say: minutes of each moment, hour of the send."""
    event = scope.event
    send = todo.send
    old_us = (send.old_field(old) or send.time_of(old)) if send.before else 0
    new_us = (send.new_field(new) or send.time_of(new)) if send.after else 0
    _put(scope.cohort, todo, old_us // HOUR_US, new_us // HOUR_US)
    _put(event, send, old_us // MINUTE_US, new_us // MINUTE_US)
    for step in todo.steps:
        old_us = (step.old_field(old) or step.time_of(old)) if step.before else 0
        new_us = (step.new_field(new) or step.time_of(new)) if step.after else 0
        if step.difference or old_us != new_us:
            _put(event, step, old_us // MINUTE_US, new_us // MINUTE_US)


def _put(sums: defaultdict[tuple[int, Vector], int], move: Plan | Step, was: int, now: int) -> None:
    """Add one move: where both ends lie in one bucket only the difference is left."""
    before, after = move.before, move.after
    if before and after and was == now:
        if move.difference:
            sums[now, move.difference] += 1
        return
    if before:
        sums[was, before] -= 1
    if after:
        sums[now, after] += 1


def _fail(
    change: change_pb2.MessageChanged,
    shape: Shape | None,
    scope: Scope,
    sign: int,
    image: Image,
) -> None:
    if shape is None or (failure := failure_of(image)) is None:
        return
    stage, reason, code = failure
    scope.campaign.add_failure((stage, reason, change.provider, code), sign)
