"""From changes to sums: contribution(new image) - contribution(old image), many at a time.

This is the hot path. What follows from the shapes of the two images is planned once per pair of
shapes; each change then looks at the times that matter and counts how often each vector lands
where.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from bluetick.v1.change_pb2 import MessageFact

from services.analytics.domain.cells import CampaignName, Cells
from services.analytics.domain.families.family import (
    Counted,
    Family,
    Key,
    Placed,
    Sums,
    Versioned,
)
from services.analytics.domain.frames import Frame, FrameBook, Seen, person_of
from services.analytics.domain.links import joined, link_key, name_of
from services.analytics.domain.lists.listed import Listed, Names, Wanted
from services.analytics.domain.moves import Plan, Planner, vector_of
from services.analytics.domain.places import (
    Members,
    Place,
    add_people,
    add_sums,
    add_vector,
    merge,
    shift,
)
from services.analytics.domain.shape import CLICKED, DROPPED, UNADDRESSABLE, Shape, acts_of
from services.analytics.domain.times import MINUTE_US, QUARTER_US, ClockName

_EVENT, _COHORT = int(ClockName.EVENT_TIME), int(ClockName.SEND_COHORT)
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


class Folder:
    """Adds changes up. Order and grouping of the changes do not matter."""

    def __init__(self, planner: Planner, book: FrameBook) -> None:
        self._planner = planner
        self._book = book
        self._plans: dict[tuple[_ShapeKey | None, _ShapeKey | None], Plan] = {}
        self._places: dict[tuple[Frame, int], Place] = {}
        self._members: dict[tuple[CampaignName, int], Members] = {}
        # Cause -> scope -> place of messages without attributes, of the tenant in hand.
        self._by_scope: dict[int, dict[bytes, Place | None]] = {}
        self._tenant_id = ""
        self._cells: dict[CampaignName, Cells] = {}
        self._by_act = tuple(
            family
            for family in planner.families
            if isinstance(family.how, Counted) and family.how.of_act is not Counted().of_act
        )
        self.change_count = 0

    def add_changes(self, tenant_id: str, changes: Iterable[Any]) -> None:
        """Add changes (views of ``MessageChanged``) of one tenant.

        Raises:
            DecodeError: a scope or an act cannot be read. What was added so far is then unusable.
        """
        if tenant_id != self._tenant_id:
            self._tenant_id, self._by_scope = tenant_id, {}
        plans, by_scope, count = self._plans, self._by_scope, 0
        for change in changes:
            count += 1
            old, new = change.old_image, change.new_image
            # An absent image reads as one that does not count.
            old_key, new_key = _shape_key(old), _shape_key(new)
            if old_key is None and new_key is None:
                continue
            plan = plans.get((old_key, new_key)) or self._plan(old_key, new_key)
            cause = change.cause
            places = by_scope.get(cause)
            if places is None:
                places = by_scope[cause] = {}
            was = now = None
            if new_key is not None:
                now = places.get(new.scope)
                if now is None or new.attributes:
                    now = self._place(tenant_id, new, cause)
            if old_key is not None:
                was = places.get(old.scope)
                if was is None or old.attributes:
                    was = self._place(tenant_id, old, cause)
            if was is now:
                if now is None:
                    continue
                if change.part == 0:
                    self._move(plan, now, old, new, change)
            elif change.part == 0:
                self._move_between(was, now, old_key, new_key, change)
            if change.facts:
                self._add_acts(was, now, old, new, change)
        self.change_count += count

    def add_message(self, tenant_id: str, message: Any, cause: int) -> None:
        """Add all that one message (a view of ``MessageSnapshot``) has counted so far.

        Raises:
            DecodeError: as ``add_changes``.
        """
        self.change_count += 1
        key = _shape_key(message.image)
        now = self._place(tenant_id, message.image, cause) if key is not None else None
        if now is None:
            return
        plan = self._plans.get((None, key)) or self._plan(None, key)
        now.versions += message.version
        self._put(now, plan, None, message.image)
        people = now.people.setdefault(plan.number, (plan, []))
        people[1].append(person_of(message.image, message.message_key))
        now.listed.move(message.image, message.message_key, +1)
        _turn(now.listed, plan, message.message_key)
        seen = Seen(message.image, now.frame, person_of(message.image, message.message_key))
        self._count(plan, None, None, now, seen)
        for data in message.facts:
            self._add_act(now, seen, MessageFact.FromString(data), +1, message.message_key)

    @property
    def unresolved(self) -> list[Frame]:
        """Frames that the dictionary has yet to give numbers to, before ``cells`` is asked."""
        return [place.frame for place in self._places.values() if not place.frame.is_resolved]

    @property
    def unnamed(self) -> dict[CampaignName, Wanted]:
        """What lists need numbers for, before ``cells`` is asked."""
        wanted: dict[CampaignName, Wanted] = {}
        for place in self._places.values():
            name = place.frame.tenant_id, place.frame.campaign_id
            one = wanted.get(name)
            if one is None:
                one = wanted[name] = Wanted(set(), set())
            place.listed.want(one)
        return {name: one for name, one in wanted.items() if one.keys}

    def cells(self, names: Mapping[CampaignName, Names] | None = None) -> dict[CampaignName, Cells]:
        """Return the rows of each campaign. To be called once, when nothing more is added.

        Args:
            names: what stands for what is ``unnamed``; None: the rows of lists are left out.
        """
        for place in self._places.values():
            self._unfold(place)
            name = place.frame.tenant_id, place.frame.campaign_id
            if names is not None and (known := names.get(name)) is not None:
                place.listed.add_to(self._cells_of(name).lists, place.frame.terms, known)
        for (name, cause), families in self._members.items():
            sets = self._cells_of(name).sets.setdefault(cause, {})
            for family, rows in families.items():
                merge(sets.setdefault(family, {}), rows)
        found = {name: cells.without_zeros() for name, cells in self._cells.items()}
        return {name: cells for name, cells in found.items() if not cells.is_empty}

    def _plan(self, old: _ShapeKey | None, new: _ShapeKey | None) -> Plan:
        shapes = (None if key is None else Shape(*key) for key in (old, new))
        plan = self._plans[old, new] = self._planner.plan(*shapes)
        return plan

    def _place(self, tenant_id: str, image: Any, cause: int) -> Place | None:
        frame = self._book.frame(tenant_id, image)
        if frame is None:
            return None
        place = self._places.get((frame, cause))
        if place is None:
            name = frame.tenant_id, frame.campaign_id
            members = self._members.setdefault((name, cause), {})
            place = self._places[frame, cause] = Place(frame, cause, members)
            if not frame.attributes and tenant_id == self._tenant_id:
                self._by_scope.setdefault(cause, {})[image.scope] = place
        return place

    def _cells_of(self, name: CampaignName) -> Cells:
        cells = self._cells.get(name)
        if cells is None:
            cells = self._cells[name] = Cells.empty()
        return cells

    def _move(self, plan: Plan, place: Place, old: Any, new: Any, change: Any) -> None:
        """Move a message from one shape to another under the same dimensions."""
        is_same_person = old.person_key == new.person_key
        place.versions += 1
        listed = place.listed
        if plan.turned:
            _turn(listed, plan, change.message_key)
        listed.change(old, new, change.message_key)
        if plan.is_still and is_same_person and _is_at_rest(plan, old, new):
            return
        self._put(place, plan, old, new)
        if not is_same_person:
            self._shift_people(plan, place, place, old, new, change.message_key)
        elif plan.moves_people:
            people = place.people.get(plan.number)
            if people is None:
                people = place.people[plan.number] = plan, []
            people[1].append(person_of(new, change.message_key))
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
            before, after = (key, None) if sign < 0 else (None, key)
            plan = self._plans.get((before, after)) or self._plan(before, after)
            old, new = (image, None) if sign < 0 else (None, image)
            self._put(place, plan, old, new)
            place.versions += sign * (version if sign > 0 else version - 1)
            place.listed.move(image, change.message_key, sign)
            _turn(place.listed, plan, change.message_key)
            if plan.moves_people:
                people = place.people.setdefault(plan.number, (plan, []))
                people[1].append(person_of(image, change.message_key))
            if plan.counted:
                seen = _seen(place, image, change)
                sides = (place, seen, None, None) if sign < 0 else (None, None, place, seen)
                self._count(plan, *sides)

    def _put(self, place: Place | None, plan: Plan, old: Any, new: Any) -> None:
        """Put the vectors of one move where the times say: each moment, and the send's quarter."""
        assert place is not None
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
        self, plan: Plan, was: Place, now: Place, old: Any, new: Any, message_key: bytes
    ) -> None:
        """Take the old person out of all sets, and put the new one in."""
        for move in plan.shaped:
            for place, image, sums, sign in (
                (was, old, move.before, -1),
                (now, new, move.after, +1),
            ):
                if sums is not None:
                    moved = tuple(sign * n for n in sums)
                    for key in move.how.places(place.frame, person_of(image, message_key)):
                        add_sums(place.members, move.family.name, key, moved)

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
                        self._add_row(place, family, key, sums, sign)

    def _add_row(self, place: Place, family: Family, key: Key, sums: Sums, sign: int) -> None:
        name = place.frame.tenant_id, place.frame.campaign_id
        self._cells_of(name).add(family, place.cause, key, sums, sign)

    def _add_acts(
        self, was: Place | None, now: Place | None, old: Any, new: Any, change: Any
    ) -> None:
        """Place acts, each at its own time; take back those that left."""
        before, after = _seen(was, old, change), _seen(now, new, change)
        for data in change.facts:
            act = MessageFact.FromString(data)
            if (act.is_repeated or act.is_retracted) and was is not None and before is not None:
                self._add_act(was, before, act, -1, change.message_key)
            if not act.is_retracted and now is not None and after is not None:
                self._add_act(now, after, act, +1, change.message_key)

    def _add_act(
        self, place: Place, seen: Seen, act: MessageFact, sign: int, message_key: bytes
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
                self._add_row(place, family, key, sums, sign)
        if act.kind == CLICKED and sign > 0:
            names = self._cells_of((place.frame.tenant_id, place.frame.campaign_id)).link_names
            link, told = link_key(act.engagement), name_of(act.engagement)
            known = names.get(link)
            names[link] = told if known is None else joined(known, told)

    def _unfold(self, place: Place) -> None:
        """Spread the sums of one place over the rows of all families that are placed by time."""
        frame = place.frame
        cells = self._cells_of((frame.tenant_id, frame.campaign_id))
        for plan, people in place.people.values():
            for move in plan.shaped:
                if move.difference is not None:
                    sets = place.members.setdefault(move.family.name, {})
                    add_people(sets, move.how.places, frame, people, move.difference)
        for family in self._planner.families:
            if isinstance(family.how, Versioned):
                cells.add(family, place.cause, (), (place.versions,), 1)
            if not isinstance(family.how, Placed):
                continue
            rows = cells.sums.setdefault(family.name, {})
            for clock, sums, unit in (
                (_EVENT, place.event, MINUTE_US),
                (_COHORT, place.cohort, QUARTER_US),
            ):
                for (at, vector), n in sums.items():
                    for key in family.how.places(frame, clock, at * unit) if n else ():
                        add_vector(rows, key, vector, n)
        causes = cells.causes
        for (_, vector), n in place.cohort.items():
            add_vector(causes, place.cause, vector, n)


def _turn(listed: Listed, plan: Plan, message_key: bytes) -> None:
    """Turn the terms round that a move moves."""
    moved = listed.moved.get(plan.number)
    if moved is None:
        moved = listed.moved[plan.number] = plan.turned, []
    moved[1].append(message_key)


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
