"""Identities of acts: the same act told twice has the same one, whoever tells it and however often.

What was done is the identity: by whom, in which second, on which link or button, with which
program. A provider's own id of the event is none of it, since a repeat may bear another.
"""

from hashlib import blake2b
from typing import Final

SECOND_US: Final = 1_000_000
# A person complains once about a message, however it is told.
COMPLAINT: Final = "complaint"


def act_id_of(*parts: str) -> str:
    """Return an identity made of everything that tells this act from another one."""
    return blake2b("\x1f".join(parts).encode(errors="replace"), digest_size=16).hexdigest()


def act_id(kind: str, person: str, time_us: int | None, target: str = "", agent: str = "") -> str:
    """Return the identity of an act on one message.

    Args:
        kind: what was done, as a word of ours ("click").
        person: address of who did it; mailboxes in any case.
        time_us: when, by the clock of who tells it; None: not told, so that all repeats are one.
        target: link or button, where there is one.
        agent: the program that did it, where that is told.
    """
    second = "" if time_us is None else str(time_us // SECOND_US)
    return act_id_of(kind, person.lower(), second, target, agent)


def reaction_id(message_id: str, person: str) -> str:
    """Return the identity of a person's reaction to a message: changed, it is still the same."""
    return act_id_of("reaction", message_id, person)


def parts_id(person: str, own_address: str, reference: str, part_count: str, day: str) -> str:
    """Return the identity of a long inbound message by what its parts share.

    Args:
        person: who wrote.
        own_address: to which of our numbers.
        reference: what the phone gave all parts; it begins anew after 256 messages.
        part_count: how many there are.
        day: so that a later message with the same reference is another one.
    """
    return act_id_of("parts", person, own_address, reference, part_count, day)
