"""A person is a set of names: two that one callback tells of the same person are joined, for ever.

A name is a phone number, a mailbox, or a provider's own id of a person. Sets only grow, and a set
is called by the smallest key of its names, so no order of telling can matter. Nothing is kept of a
name but its keys: that by which acts and sends meet, and that which stands for the person in counts
of people.

What the sender calls a person (``contact_id``) is no name of the set. It is the sender's own word
on who is one person, and counts of people keep to it.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from bluetick.v1.event_pb2 import Event

from libs.runtime.addresses import canonical_address
from libs.runtime.keys import person_key
from services.status.domain.addresses import address_key
from services.status.domain.wire import tag

# With what other names begin in an event; looking for it is cheaper than asking, and nearly as
# good.
OTHER_NAMES: Final = tag(Event.ALSO_KNOWN_AS_FIELD_NUMBER)
# (tenant_id, names in clear): what one event tells. It lives as long as its batch.
Join = tuple[str, tuple[str, ...]]


class Name(NamedTuple):
    """One name of a person, by its keys: 16 bytes each."""

    address: bytes
    person: bytes


class NamedPerson(NamedTuple):
    """Whose a joined name is."""

    person: bytes  # smallest ``Name.person`` of all names that are joined with it
    is_settled: bool  # what counts for the person does so under this key


def take_names(event: Event) -> tuple[str, ...]:
    """Return the names of one person that an event tells, and take the others out of it.

    Our own number is nobody's name, whoever says so: all who write to it would be one person.
    """
    told = dict.fromkeys((event.address, *event.also_known_as))
    event.ClearField("also_known_as")
    names = tuple(name for name in told if name and name != event.own_address)
    return names if len(names) > 1 else ()


def names_of(join: Join) -> tuple[Name, ...]:
    """Return the names that are joined, each once; none if they are ways of writing one."""
    tenant_id, told = join
    names = tuple(sorted({_name(tenant_id, text) for text in told}))
    return names if len(names) > 1 else ()


# Each callback of a message calls its person alike.
@lru_cache(maxsize=16_384)
def _name(tenant_id: str, text: str) -> Name:
    return Name(address_key(tenant_id, text), person_key(tenant_id, canonical_address(text)))


def united(groups: Iterable[Iterable[bytes]]) -> dict[bytes, bytes]:
    """Return how people are called from now on who are called otherwise now.

    Args:
        groups: the keys of people of whom one was told to be the other.
    """
    called: dict[bytes, bytes] = {}

    def find(person: bytes) -> bytes:
        while (further := called.get(person, person)) != person:
            person = further
        return person

    for group in groups:
        people = {find(person) for person in group}
        first = min(people)
        for person in people - {first}:
            called[person] = first
    return {person: find(person) for person in called}
