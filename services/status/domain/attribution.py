"""To which message an act belongs that names none: the last one that it may answer, in a window.

That is one sent to the same person, on the channel and from the number or account written to.

What is decided is a function of all sends and all acts of a person, by whichever of its names
(``domain.people``), so order cannot matter: a send or a name told late takes the acts that are its
own from the message that had them.
"""

from collections.abc import Iterable, Mapping

import msgspec

from services.status.domain.acts import Act
from services.status.domain.addresses import address_key
from services.status.domain.gathered import AddressAct, Key, TellingPlace
from services.status.domain.message import Message
from services.status.domain.origins import origin
from services.status.domain.outcomes import has_failed
from services.status.domain.recipients import with_forwarded

HOUR_US = 3_600_000_000
# (address_key, accept_time_us, where it went out; empty: nobody can answer it)
Sent = tuple[bytes, int, bytes]
# (tenant_id, person, act_id): one act, by whichever names and however often it was told.
_Whose = tuple[str, bytes, str]


class PlacedAct(msgspec.Struct, frozen=True, gc=False):
    """One way in which an act was told by an address, and the message it is counted on now."""

    place: TellingPlace
    act: Act
    message_key: bytes  # empty: on none
    origin: bytes = b""  # where it came in, see ``domain.origins``
    person: bytes = b""  # who did it, where more than one name is known; empty: the address

    @property
    def whose(self) -> _Whose:
        """What the act is one of, in every way of telling."""
        tenant_id, address, act_id, _ = self.place
        return tenant_id, self.person or address, act_id


class Move(msgspec.Struct, frozen=True, gc=False):
    """An act that leaves ``act.message_key`` for another message; either may be empty."""

    act: PlacedAct
    message_key: bytes


class Touched(msgspec.Struct):
    """Acts that may belong elsewhere after a transaction: a superset costs time, no more."""

    # (tenant_id, address_key): acts of these addresses between the two times, in microseconds.
    addresses: set[Key] = set()
    from_us: int = 0
    to_us: int = 0
    # Acts that are counted on these messages.
    messages: set[Key] = set()
    # (tenant_id, address_key, person_key): messages to these addresses count for these people.
    people: set[tuple[str, bytes, bytes]] = set()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.addresses or self.messages or self.people)

    def add(self, address: Key, from_us: int, to_us: int) -> None:
        """Add the acts of one address in a span of time, both ends included."""
        self.from_us = min(self.from_us, from_us) if self.addresses else from_us
        self.to_us = max(self.to_us, to_us)
        self.addresses.add(address)

    def join(self, other: "Touched") -> None:
        """Add the acts of another."""
        for address in other.addresses:
            self.add(address, other.from_us, other.to_us)
        self.messages |= other.messages
        self.people |= other.people

    def add_message(self, key: Key, message: Message, send: Sent | None, window_us: int) -> None:
        """Add the acts that a message may win by ``send``, and those that it has and may lose."""
        if send is not None and send[2]:
            self.add((key[0], send[0]), send[1], send[1] + window_us)
        if message.attributed:
            self.messages.add(key)

    def add_person(self, key: Key, message: Message, send: Sent | None) -> None:
        """Add the person for whom a message counts, where that depends on its address."""
        record = message.record
        if send is not None and record is not None and not record.contact_id:
            self.people.add((key[0], send[0], message.joined_person or record.person_key))

    def add_acts(self, acts: Iterable[tuple[TellingPlace, AddressAct]]) -> None:
        """Add acts that were just told."""
        for place, (act, _) in acts:
            self.add(place[:2], act.occur_time_us, act.occur_time_us)


def send_of(tenant_id: str, message: Message) -> Sent | None:
    """Return to whom, when and from where the message was sent; None if no address is known.

    Nobody can answer it from where that is empty: it must count, and must not have failed by its
    own reports, since a reply answers what arrived and must not lift a failure that it says nothing
    about.
    """
    record = message.record
    key = address_key(tenant_id, record.address) if record is not None else b""
    if not key:
        return None
    message = with_forwarded(message)
    is_answerable = message.accept_time_us and not message.is_superseded and not has_failed(message)
    return key, message.accept_time_us, sent_from(message) if is_answerable else b""


def sent_from(message: Message) -> bytes:
    """Return where the message went out, by its record and its account."""
    record = message.record
    if record is None:
        return origin(message.told_channel, message.provider, message.account, "")
    return origin(record.channel, message.provider, message.account, record.sender)


def standing_acts(acts: Iterable[PlacedAct]) -> dict[_Whose, PlacedAct]:
    """Return of each act the way of telling that counts: the earliest, in any order of arrival.

    A provider that gives no time tells the same act with another time at each retry; and it may
    call the person by another name.
    """
    standing: dict[_Whose, PlacedAct] = {}
    for act in acts:
        known = standing.get(act.whose)
        if known is None or _order(act) < _order(known):
            standing[act.whose] = act
    return standing


def moves(
    acts: Iterable[PlacedAct], last_sends: Mapping[tuple[str, bytes, str], bytes]
) -> list[Move]:
    """Return which acts leave their message for another, sorted by place.

    Args:
        acts: every way in which the acts in question were told.
        last_sends: to each standing act, by place, the message sent last before it; missing: none.
    """
    acts = list(acts)
    standing = standing_acts(acts)
    found = []
    for act in acts:
        is_standing = standing[act.whose] is act
        message_key = last_sends.get(act.place[:3], b"") if is_standing else b""
        if message_key != act.message_key:
            found.append(Move(act, message_key))
    return sorted(found, key=lambda move: move.act.place)


def _order(act: PlacedAct) -> tuple[int, bytes, bytes]:
    return (act.act.occur_time_us, act.place[3], act.place[1])
