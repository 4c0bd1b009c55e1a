"""Decides which of several attempts stands for a reference, once all that they were told is there.

A transaction of its own, since only what is committed is seen by everybody: whoever moves an
attempt settles its reference afterwards, under the lock of the reference, so that the last one has
seen all. A crash in between costs a redelivery, which comes through here again. A message without
a second attempt never comes here.
"""

from collections.abc import Iterable, Mapping, Set

from services.status.domain.changes import Change
from services.status.domain.gathered import Key
from services.status.domain.merging import Told
from services.status.domain.message import Message
from services.status.domain.refs import Claims, Settled, furthest, hand_over, own_ref
from services.status.move_messages import move_messages
from services.status.ports import Ref, Store
from services.status.resolve_refs import move_parked


def unsettled(told: Told, changes: Iterable[Change], unmoved: Mapping[Key, Message]) -> set[Key]:
    """Return the references whose attempts may compare differently after a transaction.

    What was known already is compared again: the batch may be a redelivery after a crash.
    """
    found = set(told.unsettled)
    for change in changes:
        if change.new.attempt_count:
            tenant_id = change.key[0]
            found.add((tenant_id, own_ref(tenant_id, change.new)))
            if change.known is not None:
                found.add((tenant_id, own_ref(tenant_id, change.known.message)))
    for (tenant_id, _), message in unmoved.items():
        if message.attempt_count:
            found.add((tenant_id, own_ref(tenant_id, message)))
    return {key for key in found if key[1]}


async def settle_attempts(
    store: Store, refs: Set[Key]
) -> tuple[Told, list[Change], dict[Key, Message]]:
    """Let the attempt that got furthest stand for each reference, and move its acts to it.

    Returns:
        What that tells of messages, what was written, and what was known already.
    """
    told = Told()
    claims = await store.lock_refs(refs)
    attempts = await _read_attempts(store, claims)
    updates: list[Ref] = []
    standing: dict[Key, bytes] = {}
    moved: dict[Key, bytes] = {}
    for key, known in claims.items():
        now = _settle(told, key, known, attempts)
        if now != known:
            updates.append((*key, now))
            if known.has_acts:
                standing[key], moved[key] = now.standing, known.standing
    if updates:
        await store.update_refs(updates)
    if moved:
        await move_parked(store, told, standing, moved)
    if told.ref_acts:
        for placed in await store.add_acts({}, told.ref_acts):
            told.replace_act(*placed)
    return (told, *await move_messages(store, told))


async def _read_attempts(store: Store, claims: Mapping[Key, Claims]) -> dict[Key, Message]:
    """Read without a lock: whoever moves one meanwhile settles it again."""
    keys = {(tenant, each) for (tenant, ref), one in claims.items() for each in one.attempts(ref)}
    wanted = sorted(keys)
    found = await store.read_messages(wanted)
    return {key: one.message for key, one in zip(wanted, found, strict=True) if one is not None}


def _settle(told: Told, key: Key, known: Claims, attempts: Mapping[Key, Message]) -> Claims:
    tenant_id, ref = key
    claiming = known.attempts(ref)
    messages = {
        each: attempts[tenant_id, each] for each in claiming if (tenant_id, each) in attempts
    }
    # A record that contradicts an earlier one may have claimed a reference that is not its own.
    own = {each: one for each, one in messages.items() if own_ref(tenant_id, one) == ref}
    if not messages:
        return known
    standing = furthest(own or messages)
    for each, message in messages.items():
        if each in own:
            count = len(own) if each == standing else 1
            settled = Settled(each != standing, count)
        elif not own_ref(tenant_id, message):
            settled = Settled(False, 1)
        else:
            continue
        if settled != Settled(message.is_superseded, message.attempt_count):
            told.settled[tenant_id, each] = settled
    return hand_over(known, standing, claiming)
