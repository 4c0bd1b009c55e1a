"""The hot path: plain changes, thousands at a time.

Plain is a change without acts whose images hold nothing but a state, its times and dimensions (no
attributes), and which keeps its dimensions and its person. Changes of the same kind under the same
dimensions differ by their times and their people only, so that is all that is gathered of each.
"""

from operator import attrgetter
from typing import Any

from services.analytics.domain.change_view import ODD
from services.analytics.domain.families.family import MEMBER_BYTES
from services.analytics.domain.frames import person_of
from services.analytics.domain.moves import QuickMove
from services.analytics.domain.places import Moves
from services.analytics.domain.shape import Shape
from services.analytics.domain.tally import Tally
from services.analytics.domain.times import MINUTE_US

_read_change = attrgetter("message_key", "old_image", "new_image", "cause", "acts")
_read_image = attrgetter(
    "is_counted", "state", "evidence_time_us", "attempt_count", "scope", "person_key",
    "contact_id",
)  # fmt: skip
# Kinds of changes that are remembered at once; more of them are read one by one.
_KINDS_MAX = 50_000


# What changes of one kind do, under one combination of dimensions and for one cause. Without moves
# they count nowhere; without a quick move they are not plain after all.
_Kind = tuple[Moves | None, QuickMove | None]


class PlainChanges:
    """Adds the plain ones of a batch to a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tenant_id = ""
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def add(self, tenant_id: str, changes: Any) -> list[int]:
        """Add what is plain; return the places of the others in the list.

        Args:
            changes: views of ``MessageChanged`` with ``change_view.PlainBatchView``.

        Raises:
            DecodeError: a scope cannot be read. What was added so far is then unusable.
        """
        if tenant_id != self._tenant_id or len(self._kinds) > _KINDS_MAX:
            self._tenant_id, self._kinds = tenant_id, {}
        kinds, others = self._kinds, list[int]()
        for at, change in enumerate(changes):
            message_key, old, new, cause, acts = _read_change(change)
            is_counted, state, is_seen, attempts, scope, person, contact = _read_image(new)
            was_counted, was, was_seen, had, was_scope, *whose = _read_image(old)
            if not (is_counted or was_counted):
                continue
            key: tuple[Any, ...]
            if was_counted:
                key = cause, scope, state, not is_seen, attempts, was, not was_seen, had
            else:
                key = cause, scope, state, not is_seen, attempts
            is_moving = was_counted and (
                not is_counted or was_scope != scope or whose != [person, contact]
            )
            if acts or is_moving or new.WhichOneof(ODD) or old.WhichOneof(ODD):
                others.append(at)
                continue
            kind = kinds.get(key)
            if kind is None:
                kind = kinds[key] = self._kind(tenant_id, new, key)
            moves, quick = kind
            if moves is None:
                continue
            if quick is not None:
                kept = quick.kept(new)
                times = kept + quick.come(new) if quick.come else kept
            if quick is None or 0 in times or (was_counted and kept != quick.kept(old)):
                others.append(at)
                continue
            moves.turned.append(message_key)
            if was_counted:
                moves.place.versions += 1
            else:
                moves.place.versions += change.version
                moves.list_new(message_key, contact)
            if not quick.is_still:
                moves.minutes[tuple([us // MINUTE_US for us in times])] += 1
            if quick.moves_people:
                is_whole = len(person) == MEMBER_BYTES
                moves.people.append(person if is_whole else person_of(new, message_key))
        return others

    def _kind(self, tenant_id: str, image: Any, key: tuple[Any, ...]) -> _Kind:
        cause, _, *shapes = key
        new, old = shapes[:3], shapes[3:]
        place = self._tally.place(tenant_id, image, cause)
        if place is None:
            return None, None
        plan = self._tally.planner.plan(_plain(*old) if old else None, _plain(*new))
        return place.moves_of(plan), plan.quick


def _plain(state: int, is_unseen: bool, attempts: int) -> Shape:
    return Shape(
        state=state,
        is_recovered=False,
        is_seen=not is_unseen,
        click_count=0,
        reply_count=0,
        tap_count=0,
        is_unsubscribed=False,
        is_complained=False,
        is_unaddressable=False,
        machine_click_count=0,
        is_converted=False,
        machine_read_count=0,
        is_read_by_machines_only=False,
        was_opted_out=False,
        had_complained=False,
        attempt_count=attempts,
    )
