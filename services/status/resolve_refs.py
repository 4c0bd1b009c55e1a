"""Finds which messages stand for the references of a batch, under a lock on each reference."""

from services.status.domain.gather import Gathered, Key
from services.status.domain.merging import Told
from services.status.domain.refs import stand
from services.status.ports import Ref, Store


async def resolve_refs(store: Store, gathered: Gathered, told: Told) -> None:
    """Add to ``told`` which messages are superseded and to which the acts by reference belong.

    The lock makes a record and an act of the same reference wait for one another, so that the
    later one sees the earlier one, whichever came first and on whichever replica. The acts of a
    reference are counted on the message that stands for it, and on no other: one that loses it
    loses them, too.
    """
    wanted = dict.fromkeys(gathered.claims, False)
    wanted |= {(tenant_id, ref): True for tenant_id, ref, _ in gathered.ref_facts}
    if not wanted:
        return
    standing = {key: _settle(told, key, b"", gathered) for key in wanted}
    moved: dict[Key, bytes] = {}
    if not await store.add_refs([(*key, standing[key], wanted[key]) for key in wanted]):
        # Those that were new are settled once more, which changes nothing.
        moved = await _settle_known(store, gathered, told, standing, wanted)
    if gathered.ref_facts:
        await store.park_facts(gathered.ref_facts)
    for (tenant_id, ref, _), fact in gathered.ref_facts.items():
        if message_key := standing[tenant_id, ref]:
            told.attribute((tenant_id, message_key), fact)
    if moved:
        await _move_facts(store, told, standing, moved)


async def _settle_known(
    store: Store,
    gathered: Gathered,
    told: Told,
    standing: dict[Key, bytes],
    known: dict[Key, bool],
) -> dict[Key, bytes]:
    """Settle references as stored; return those whose acts move on, with who had them."""
    updates: list[Ref] = []
    moved: dict[Key, bytes] = {}
    for key, (stood, had_facts) in (await store.lock_refs(known)).items():
        now = standing[key] = _settle(told, key, stood, gathered)
        has_facts = had_facts or known[key]
        if (now, has_facts) != (stood, had_facts):
            updates.append((*key, now, has_facts))
        if now != stood and had_facts:
            moved[key] = stood
    if updates:
        await store.update_refs(updates)
    return moved


async def _move_facts(
    store: Store, told: Told, standing: dict[Key, bytes], moved: dict[Key, bytes]
) -> None:
    places = []
    for key, facts in (await store.read_parked_facts(moved)).items():
        for fact in facts:
            told.attribute((key[0], standing[key]), fact)
            if stood := moved[key]:
                places.append((key[0], stood, fact.fact_id))
                told.corrected.add((key[0], standing[key]))
    if places:
        for message, before, after in await store.take_facts(places):
            told.replace_fact(message, before, after)


def _settle(told: Told, key: Key, stood: bytes, gathered: Gathered) -> bytes:
    winner, losers = stand(key[1], stood, gathered.claims.get(key, set()))
    for loser in losers:
        told.superseded.add((key[0], loser))
    return winner
