"""What a batch does to the messages as stored: the decision between reading and writing."""

import copy
from collections.abc import Iterable

import msgspec

from services.status.domain.attributed import attribute
from services.status.domain.changes import Change, needs_all_facts
from services.status.domain.facts import Fact, count, may_have_facts, prove
from services.status.domain.gather import Gathered, Key
from services.status.domain.message import Message, merge


class Told(msgspec.Struct):
    """What one transaction has to say about messages."""

    # Merged statuses, records, and what acts prove.
    deltas: dict[Key, Message]
    # Acts to count, as far as they were not counted before.
    facts: dict[tuple[str, bytes, str], Fact]
    # Of those, the ones that were not; known once the store has taken them.
    new_facts: dict[Key, list[Fact]] = {}
    # Acts told by an address that come to a message, or leave it.
    gained: dict[Key, list[Fact]] = {}
    lost: dict[Key, list[Fact]] = {}

    def supersede(self, key: Key) -> None:
        """Say that another message stands for the reference of this one."""
        self._add(key, Message(is_superseded=True))

    def attribute(self, key: Key, fact: Fact) -> None:
        """Say that an act told by reference belongs to this message."""
        self.facts.setdefault((*key, fact.fact_id), fact)
        proof = Message()
        prove(proof, fact)
        self._add(key, proof)

    def move_act(self, tenant_id: str, fact: Fact, from_key: bytes, to_key: bytes) -> None:
        """Say that an act told by an address leaves one message for another; empty: for none."""
        for message_key, moved in ((from_key, self.lost), (to_key, self.gained)):
            if message_key:
                key = (tenant_id, message_key)
                moved.setdefault(key, []).append(fact)
                self.deltas.setdefault(key, Message())

    def sort_out_new(self, new: Iterable[tuple[str, bytes, str]]) -> None:
        """Note which acts were not counted before."""
        for place in new:
            self.new_facts.setdefault(place[:2], []).append(self.facts[place])

    def _add(self, key: Key, delta: Message) -> None:
        known = self.deltas.get(key)
        self.deltas[key] = delta if known is None else merge(known, delta)


def told_by(gathered: Gathered) -> Told:
    """Return what a batch tells before references are resolved; leaves the batch unchanged."""
    return Told(dict(gathered.messages), dict(gathered.facts))


def move(
    key: Key,
    told: Told,
    version: int,
    stored: Message | None,
    attributed: Iterable[Fact] | None = None,
) -> Change | None:
    """Return the change of one message, or None if everything told was known.

    Args:
        key: tenant and message.
        told: what the transaction says; not changed.
        version: version of ``stored``; 0 if it was never stored.
        stored: the message as stored.
        attributed: all acts that belong to the message by its address; None: as they were.
    """
    delta = told.deltas[key]
    new_facts = told.new_facts.get(key)
    if stored is not None:
        new = merge(stored, delta)
        if attributed is not None:
            return _reattribute(key, told, Change(key, version + 1, stored, new, []), attributed)
        if not new_facts and new == stored:
            return None
    else:
        if not new_facts and not _says_something(delta):
            return None
        new = copy.copy(delta) if new_facts else delta
    for fact in new_facts or ():
        count(new, fact)
    return Change(key, version + 1, stored, new, new_facts or [])


def _reattribute(key: Key, told: Told, change: Change, acts: Iterable[Fact]) -> Change:
    attribute(change.new, acts)
    change.new_facts = told.gained.get(key, [])
    change.retracted_facts = told.lost.get(key, [])
    return change


def _says_something(message: Message) -> bool:
    """Return whether anything but names is known, so that the message deserves a row."""
    if message.report_time_us or message.send_time_us or message.record is not None:
        return True
    bare = copy.copy(message)
    bare.provider = bare.account = bare.provider_message_id = bare.message_ref = ""
    return bare != _NOTHING


_NOTHING = Message()


def wanting_all_facts(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that must repeat acts counted before."""
    return [
        change
        for change in changes
        if change.old is not None
        and needs_all_facts(change.old, change.new)
        and may_have_facts(change.old)
    ]


def repeat_facts(change: Change, all_facts: Iterable[Fact]) -> None:
    """Give ``change`` the acts that were counted before it."""
    new_ids = {fact.fact_id for fact in change.new_facts}
    change.repeated_facts = [fact for fact in all_facts if fact.fact_id not in new_ids]
