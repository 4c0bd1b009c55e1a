"""What a batch does to the messages as stored: the decision between reading and writing."""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter

import msgspec
from bluetick.v1.common_pb2 import EVENT_KIND_ACCEPTED

from services.status.domain import history
from services.status.domain.acts import Act, add_act, recount, standing
from services.status.domain.addresses import address_key
from services.status.domain.advancing import advance
from services.status.domain.attributed import attribute
from services.status.domain.changes import LATE_AFTER_US, Change, Known
from services.status.domain.gathered import ActPlace, Gathered, Key, Telling
from services.status.domain.message import Message
from services.status.domain.refs import Contest, Settled, own_ref

_NOTHING = Message()
_UNTOLD: tuple[Telling, ...] = ()
_KEY = itemgetter(1)
_KEY_AND_TENANT = itemgetter(1, 0)


class Told(msgspec.Struct):
    """What one transaction has to say about messages."""

    # What was told of each message, in no particular order.
    tellings: Mapping[Key, Sequence[Telling]] = {}
    # Messages that were queued under a reference and lose it to one that was handed over.
    superseded: set[Key] = set()
    # Attempts for a reference that has several, and the references whose attempts may now compare
    # differently.
    contested: dict[Key, Contest] = {}
    unsettled: set[Key] = set()
    # What comparing the attempts made of them.
    settled: dict[Key, Settled] = {}
    # Acts told of a message itself, and by a reference that it stands for.
    acts: dict[ActPlace, Act] = {}
    ref_acts: dict[ActPlace, Act] = {}
    # Of those acts, what stands now and did not before, and the reverse; known once the store has
    # taken them.
    new_acts: dict[Key, list[Act]] = {}
    lost_acts: dict[Key, list[Act]] = {}
    # Acts told by an address that come to a message, or leave it.
    gained: dict[Key, list[Act]] = {}
    left: dict[Key, list[Act]] = {}
    # Messages to which acts come from another one.
    corrected: set[Key] = set()
    # What was told under recipients that nobody recorded, by the message that it counts for; and of
    # messages without a record, whether it counts for another.
    forwarded: dict[Key, bytes] = {}
    strays: dict[Key, bool] = {}
    # Whom messages count for, by the key of the address, and messages that are looked at for it.
    people: Mapping[Key, bytes] = {}
    named: Collection[Key] = ()

    def keys(self) -> list[Key]:
        """Return the messages that anything is told of, sorted by key."""
        others = (
            *(self.superseded, self.contested, self.settled),
            *(self.new_acts, self.lost_acts, self.gained, self.left),
            *(self.named, self.forwarded, self.strays),
        )
        if not any(others):
            return sorted(self.tellings, key=_KEY)
        # By tenant, too: of equal keys a set has no order.
        return sorted({*self.tellings, *(k for keys in others for k in keys)}, key=_KEY_AND_TENANT)

    def attribute(self, key: Key, act: Act) -> None:
        """Say that an act told by reference belongs to this message."""
        place = (*key, act.act_id)
        self.ref_acts[place] = standing(self.ref_acts.get(place), act)

    def move_act(self, tenant_id: str, act: Act, from_key: bytes, to_key: bytes) -> None:
        """Say that an act told by an address leaves one message for another; empty: for none."""
        if from_key:
            self.left.setdefault((tenant_id, from_key), []).append(act)
        if to_key:
            self.gained.setdefault((tenant_id, to_key), []).append(act)
            if from_key:
                self.corrected.add((tenant_id, to_key))

    def replace_act(self, key: Key, before: Act | None, after: Act | None) -> None:
        """Say that of an act another telling stands than before; None: none."""
        if before is not None and not before.is_withdrawn:
            if before in (new := self.new_acts.get(key, [])):
                # It came and goes within the transaction; nobody was told of it.
                new.remove(before)
                self.lost_acts.setdefault(key, [])
            else:
                self.lost_acts.setdefault(key, []).append(before)
        if after is not None and not after.is_withdrawn:
            self.new_acts.setdefault(key, []).append(after)

    def may_move_send(self, key: Key, message: Message) -> bool:
        """Return whether what was told can change where and when ``message`` was sent."""
        if message.failure_time_us or message.forwarded:
            return True
        others = (self.superseded, self.contested, self.settled, self.forwarded)
        if any(others) and any(key in keys for keys in others):
            return True
        for telling in self.tellings.get(key, _UNTOLD):
            if telling[0] == EVENT_KIND_ACCEPTED or telling[7] is not None:
                return True
        return False


def told_by(gathered: Gathered) -> Told:
    """Return what a batch tells before references are resolved; leaves the batch unchanged."""
    return Told(gathered.told, acts=gathered.acts)


def move(
    key: Key,
    told: Told,
    known: Known | None,
    all_acts: Iterable[Act] | None = None,
    attributed: Iterable[Act] | None = None,
) -> Change:
    """Return what becomes of one message; ``Change.is_written`` says whether it has to be stored.

    Args:
        key: tenant and message.
        told: what the transaction says; not changed.
        known: the message as stored; not changed.
        all_acts: all acts that stand on the message, needed where one was lost; None: as told.
        attributed: all acts that belong to the message by its address; None: as they were.
    """
    stored = known.message if known is not None else _NOTHING
    new: Message = stored.__copy__()  # type: ignore[attr-defined]
    change = Change(key, known, new, stored if known is not None and known.version else None)
    _tell(change, told.tellings.get(key, _UNTOLD))
    if told.superseded or told.contested or told.settled:
        _stand(new, key, told)
    if told.forwarded or told.strays:
        new.forwarded = told.forwarded.get(key, new.forwarded)
        if new.record is None:
            new.is_forwarded = told.strays.get(key, new.is_forwarded)
        change.is_corrected = key in told.corrected
    if told.people:
        _name(new, key[0], told.people)
    if attributed is not None:
        attribute(new, attributed)
        change.new_acts = told.gained.get(key, ())
        change.retracted_acts = told.left.get(key, ())
        change.is_corrected = key in told.corrected
        change.is_moved = True
    else:
        if told.new_acts or told.lost_acts:
            _act(change, told, all_acts)
        change.is_moved = bool(change.new_acts or change.retracted_acts) or (
            new != stored and (change.old is not None or _says_something(new))
        )
    change.is_written = change.is_moved or known is None or change.history is not known.history
    return change


def _tell(change: Change, tellings: Sequence[Telling]) -> None:
    kept = change.known.history if change.known is not None else b""
    new = change.new
    kinds = []
    is_late = bool(tellings)
    for telling in tellings:
        kind, time_us, event, receive_us = telling[:4]
        kinds.append(kind)
        advance(new, telling)
        if receive_us - time_us <= LATE_AFTER_US:
            is_late = False
        added = history.add(kept, event, receive_us)
        if added is None:
            change.spilled = (*change.spilled, telling)
        else:
            kept = added
    change.told, change.is_late, change.history = kinds, is_late, kept


def _stand(new: Message, key: Key, told: Told) -> None:
    if key in told.superseded:
        new.is_superseded = True
    if not new.attempt_count and (contest := told.contested.get(key)) is not None:
        # From here on the attempts are compared: this is what holds until then.
        new.attempt_count = contest.attempt_count if contest.is_standing else 1
        if own_ref(key[0], new) == contest.ref:
            new.is_superseded = not contest.is_standing
    if (settled := told.settled.get(key)) is not None:
        new.is_superseded = settled.is_superseded
        new.attempt_count = settled.attempt_count


def _name(new: Message, tenant_id: str, people: Mapping[Key, bytes]) -> None:
    record = new.record
    if record is None or record.contact_id:
        return
    person = people.get((tenant_id, address_key(tenant_id, record.address)), b"")
    # Sets of names only grow, so the smallest key that was ever told is that of the largest one.
    known = new.joined_person or record.person_key
    if person and (not known or person < known):
        new.joined_person = person


def _act(change: Change, told: Told, all_acts: Iterable[Act] | None) -> None:
    change.new_acts = told.new_acts.get(change.key, ())
    change.retracted_acts = told.lost_acts.get(change.key, ())
    change.is_corrected = change.key in told.corrected
    if all_acts is not None:
        recount(change.new, all_acts)
    else:
        for act in change.new_acts:
            add_act(change.new, act)


def _says_something(message: Message) -> bool:
    """Return whether anything but names is known, so that the message deserves a version."""
    if message.report_time_us or message.send_time_us or message.record is not None:
        return True
    bare = copy.copy(message)
    bare.provider = bare.account = bare.provider_message_id = bare.message_ref = ""
    return bare != _NOTHING


def repeat_acts(change: Change, all_acts: Iterable[Act]) -> None:
    """Give ``change`` the acts that were counted before it."""
    new = {act.act_id for act in change.new_acts}
    change.repeated_acts = [
        act for act in all_acts if act.act_id not in new and not act.is_withdrawn
    ]
