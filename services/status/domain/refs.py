"""Which message stands for a sender's reference: the attempt that got furthest.

A reference names what a sender wanted to get to a person. Each message with a provider's id whose
record names it is one attempt: a retry, or another channel after the first one failed. What was
queued or dropped under the reference itself (keyed by it) was never handed over: it stands only
while there is no attempt.

Who stands is a maximum over what the attempts themselves were told. Acts told by the reference are
left out: they are counted on whoever stands, so they must not decide who does.
"""

import copy
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from libs.runtime.keys import KEY_BYTES, ref_key
from services.status.domain.message import NOBODY, PERSON, Message, state_of
from services.status.domain.recipients import with_forwarded

_NEVER_US: Final = 2**63 - 1
# Attempts for one reference that are compared: those with the smallest keys, a set that no order of
# telling changes. Whoever writes one reference on everything makes more; those never count.
ATTEMPTS_MAX: Final = 1_000


class Claims(msgspec.Struct, frozen=True, gc=False):
    """A reference and the messages whose records name it."""

    standing: bytes = b""  # key of the message that stands for it; empty: none
    others: bytes = b""  # keys of the attempts that do not, sorted, one behind the other
    has_acts: bool = False  # acts are parked for it

    def attempts(self, ref: bytes) -> list[bytes]:
        """Return the keys of its attempts, sorted; ``ref`` is its own key."""
        if not self.others:
            return [self.standing] if self.standing and self.standing != ref else []
        found = [self.others[at : at + KEY_BYTES] for at in range(0, len(self.others), KEY_BYTES)]
        if self.standing and self.standing != ref:
            found.append(self.standing)
        return sorted(found)


class Contest(msgspec.Struct, frozen=True, gc=False):
    """What a message is among several attempts, until they are compared."""

    ref: bytes
    is_standing: bool
    attempt_count: int


class Settled(msgspec.Struct, frozen=True, gc=False):
    """What a message is now that the attempts were compared."""

    is_superseded: bool
    attempt_count: int


def claim(ref: bytes, known: Claims, claimants: Collection[bytes]) -> Claims:
    """Add messages to those that claim a reference; who stands moves only from none to one."""
    if not known.standing and not known.others and len(claimants) == 1:
        # Nearly always.
        (first,) = claimants
        return Claims(first, b"", known.has_acts)
    attempts = {*known.attempts(ref), *claimants}
    is_queued = ref in attempts or known.standing == ref
    attempts.discard(ref)
    if len(attempts) > ATTEMPTS_MAX:
        attempts = set(sorted(attempts)[:ATTEMPTS_MAX])
    standing = known.standing
    if attempts and standing not in attempts:
        standing = min(attempts)
    elif not standing and is_queued:
        standing = ref
    return hand_over(known, standing, attempts)


def hand_over(known: Claims, standing: bytes, attempts: Iterable[bytes]) -> Claims:
    """Return the reference with another message that stands for it."""
    others = b"".join(sorted(set(attempts) - {standing}))
    return Claims(standing, others, known.has_acts)


def own_ref(tenant_id: str, message: Message) -> bytes:
    """Return the key of the reference that a message is an attempt for; empty: for none."""
    record = message.record
    if record is None or not record.message_ref:
        return b""
    return ref_key(tenant_id, record.message_ref)


def furthest(attempts: Mapping[bytes, Message]) -> bytes:
    """Return the key of the attempt that stands: highest state, then earliest accepted."""
    return min(attempts, key=lambda key: _order(key, attempts[key]))


def _order(key: bytes, message: Message) -> tuple[int, int, bytes]:
    return (-_reach(message), message.accept_time_us or _NEVER_US, key)


def _reach(message: Message) -> int:
    """Return the state that its own reports prove, and the acts that name it."""
    bare = copy.copy(with_forwarded(message))
    bare.proof_time_us = int(bare.proven_by != NOBODY)
    bare.evidence_time_us = int(bare.proven_by == PERSON)
    bare.attributed_proof_time_us = 0
    return state_of(bare)
