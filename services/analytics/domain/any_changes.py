"""Folds a change of any kind: every field of both images, and acts.

The plain ones, which most are, take a shorter way; see plain_changes.py.
"""

from operator import attrgetter
from typing import Any

from bluetick.v1.change_pb2 import MessageAct

from services.analytics.domain.families.family import Counted
from services.analytics.domain.frames import Seen, person_of
from services.analytics.domain.links import joined, link_key, name_of
from services.analytics.domain.moves import Plan, vector_of
from services.analytics.domain.places import Place, shift
from services.analytics.domain.seats import enter
from services.analytics.domain.shape import CLICKED, DROPPED, UNADDRESSABLE, Shape, acts_of
from services.analytics.domain.tally import Tally
from services.analytics.domain.times import MINUTE_US, QUARTER_US

_ShapeKey = tuple[Any, ...]


# One call for all fields is half the price of one for each.
_read = attrgetter(
    "is_counted", "state", "is_recovered", "evidence_time_us", "click_count", "reply_count",
    "tap_count", "unsubscribe_time_us", "complain_time_us", "machine_click_count", "reached_goals",
    "machine_read_count", "human_read_time_us", "opted_out_before_time_us",
    "complained_before_time_us", "attempt_count",
)  # fmt: skip


def _shape_key(image: Any) -> _ShapeKey | None:
    """Return the fields of ``Shape`` as a plain tuple, which is quicker to make."""
    (
        is_counted, state, is_recovered, evidence_us, clicks, replies, taps, unsubscribe_us,
        complain_us, machine_clicks, goals, machine_reads, human_read_us, opted_out_before_us,
        complained_before_us, attempts,
    ) = _read(image)  # fmt: skip
    if not is_counted:
        return None
    return (
        state,
        is_recovered,
        evidence_us != 0,
        clicks,
        replies,
        taps,
        unsubscribe_us != 0,
        complain_us != 0,
        state == DROPPED and image.failure_reason == UNADDRESSABLE,
        machine_clicks,
        bool(goals),
        machine_reads,
        machine_reads > 0 and human_read_us == 0,
        opted_out_before_us != 0,
        complained_before_us != 0,
        attempts,
    )


class AnyChanges:
    """Adds changes to a tally, one by one."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._plans: dict[tuple[_ShapeKey | None, _ShapeKey | None], Plan] = {}
        self._by_act = tuple(
            family
            for family in tally.planner.families
            if isinstance(family.how, Counted) and family.how.of_act is not Counted().of_act
        )

    def add(self, tenant_id: str, change: Any) -> None:
        """Add a change (a view of ``MessageChanged``).

        Raises:
            DecodeError: a scope or an act cannot be read. What was added so far is then unusable.
        """
        old, new = change.old_image, change.new_image
        # An absent image reads as one that does not count.
        old_key, new_key = _shape_key(old), _shape_key(new)
        if old_key is None and new_key is None:
            return
        cause = change.cause
        was = now = None
        if new_key is not None:
            now = self._tally.place(tenant_id, new, cause)
        if old_key is not None:
            was = self._tally.place(tenant_id, old, cause)
        if was is now:
            if now is None:
                return
            if change.part == 0:
                self._move(self._plan(old_key, new_key), now, old, new, change)
        elif change.part == 0:
            self._move_between(was, now, old_key, new_key, change)
        if change.acts:
            self._add_acts(was, now, old, new, change)

    def add_message(self, tenant_id: str, message: Any, cause: int) -> None:
        """Add all that one message (a view of ``MessageSnapshot``) has counted so far.

        Raises:
            DecodeError: as ``add``.
        """
        image = message.image
        key = _shape_key(image)
        now = self._tally.place(tenant_id, image, cause) if key is not None else None
        if now is None:
            return
        plan = self._plan(None, key)
        now.versions += message.version
        self._put(now, plan, None, image)
        person = person_of(image, message.message_key)
        moves = now.moves_of(plan)
        moves.people.append(person)
        moves.turned.append(message.message_key)
        now.listed.move(image, message.message_key, +1)
        seen = Seen(image, now.frame, person)
        self._count(plan, None, None, now, seen)
        for data in message.acts:
            self._add_act(now, seen, MessageAct.FromString(data), +1, message.message_key)

    def _plan(self, old: _ShapeKey | None, new: _ShapeKey | None) -> Plan:
        plan = self._plans.get((old, new))
        if plan is None:
            shapes = (None if key is None else Shape(*key) for key in (old, new))
            plan = self._plans[old, new] = self._tally.planner.plan(*shapes)
        return plan

    def _move(self, plan: Plan, place: Place, old: Any, new: Any, change: Any) -> None:
        """Move a message from one shape to another under the same dimensions."""
        is_same_person = old.person_key == new.person_key
        place.versions += 1
        place.moves_of(plan).turned.append(change.message_key)
        place.listed.change(old, new, change.message_key)
        if plan.is_still and is_same_person and _is_at_rest(plan, old, new):
            return
        self._put(place, plan, old, new)
        if not is_same_person:
            self._shift_people(plan, place, old, new, change.message_key)
        elif plan.moves_people:
            place.moves_of(plan).people.append(person_of(new, change.message_key))
        if plan.counted:
            self._count(plan, place, _seen(place, old, change), place, _seen(place, new, change))

    def _move_between(
        self,
        was: Place | None,
        now: Place | None,
        old_key: _ShapeKey | None,
        new_key: _ShapeKey | None,
        change: Any,
    ) -> None:
        """Take all that the message added away from one place, and add it to another.

        Either may be missing: it does not count there, or belongs to no campaign.
        """
        version = change.version
        for place, key, image, sign in (
            (was, old_key, change.old_image, -1),
            (now, new_key, change.new_image, +1),
        ):
            if place is None:
                continue
            plan = self._plan(*((key, None) if sign < 0 else (None, key)))
            old, new = (image, None) if sign < 0 else (None, image)
            self._put(place, plan, old, new)
            place.versions += sign * (version if sign > 0 else version - 1)
            place.listed.move(image, change.message_key, sign)
            place.moves_of(plan).turned.append(change.message_key)
            if plan.moves_people:
                place.moves_of(plan).people.append(person_of(image, change.message_key))
            if plan.counted:
                seen = _seen(place, image, change)
                sides = (place, seen, None, None) if sign < 0 else (None, None, place, seen)
                self._count(plan, *sides)

    def _put(self, place: Place, plan: Plan, old: Any, new: Any) -> None:
        """Put the vectors of one move where the times say: each moment, and the send's quarter."""
        was = old.cohort_time_us // QUARTER_US if old is not None else 0
        now = new.cohort_time_us // QUARTER_US if new is not None else 0
        shift(place.cohort, plan.before, plan.after, plan.difference, was, now)
        event = place.event
        for step in plan.steps:
            before, after = step.before, step.after
            old_us = (step.field(old) or step.time_of(old)) if before else 0
            new_us = (step.field(new) or step.time_of(new)) if after else 0
            if step.difference or old_us != new_us:
                was, now = old_us // MINUTE_US, new_us // MINUTE_US
                shift(event, before, after, step.difference, was, now)

    def _shift_people(
        self, plan: Plan, place: Place, old: Any, new: Any, message_key: bytes
    ) -> None:
        """Take the old person out of all sets, and put the new one in."""
        for move in plan.shaped:
            members = self._tally.members(place, move.family, move.how.seat_of(place.frame))
            for image, sums, sign in ((old, move.before, -1), (new, move.after, +1)):
                if sums is not None:
                    moved = tuple(sign * n for n in sums)
                    enter(members, [person_of(image, message_key)], moved)

    def _count(
        self,
        plan: Plan,
        was: Place | None,
        before: Seen | None,
        now: Place | None,
        after: Seen | None,
    ) -> None:
        for family, how, is_before, is_after in plan.counted:
            for is_in, place, seen, sign in (
                (is_before, was, before, -1),
                (is_after, now, after, +1),
            ):
                if is_in and place is not None and seen is not None:
                    for key, sums in how.of_image(seen):
                        self._tally.add_row(place, family, key, sums, sign)

    def _add_acts(
        self, was: Place | None, now: Place | None, old: Any, new: Any, change: Any
    ) -> None:
        """Place acts, each at its own time; take back those that left."""
        before, after = _seen(was, old, change), _seen(now, new, change)
        for data in change.acts:
            act = MessageAct.FromString(data)
            if (act.is_repeated or act.is_retracted) and was is not None and before is not None:
                self._add_act(was, before, act, -1, change.message_key)
            if not act.is_retracted and now is not None and after is not None:
                self._add_act(now, after, act, +1, change.message_key)

    def _add_act(
        self, place: Place, seen: Seen, act: MessageAct, sign: int, message_key: bytes
    ) -> None:
        place.listed.act(act, message_key, sign)
        minute = act.occur_time_us // MINUTE_US
        for index in acts_of(act):
            vector = vector_of(((index, 1),))
            assert vector is not None
            place.event[minute, vector] += sign
        for family in self._by_act:
            assert isinstance(family.how, Counted)
            for key, sums in family.how.of_act(seen, act):
                self._tally.add_row(place, family, key, sums, sign)
        if act.kind == CLICKED and sign > 0:
            names = self._tally.cells_at(place).link_names
            link, told = link_key(act.engagement), name_of(act.engagement)
            known = names.get(link)
            names[link] = told if known is None else joined(known, told)


def _seen(place: Place | None, image: Any, change: Any) -> Seen | None:
    if place is None:
        return None
    return Seen(image, place.frame, person_of(image, change.message_key))


def _is_at_rest(plan: Plan, old: Any, new: Any) -> bool:
    """Whether every moment of a move without difference keeps its time: most `sent` reports."""
    for step in plan.steps:
        old_us = step.field(old) or step.time_of(old)
        if old_us != (step.field(new) or step.time_of(new)):
            return False
    return True
