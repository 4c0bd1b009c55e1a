"""Finds which messages stand for the references of a batch, under a lock on each reference."""

from services.status.domain.gather import Gathered, Key
from services.status.domain.merging import Told
from services.status.domain.refs import stand
from services.status.ports import Ref, Store


async def resolve_refs(store: Store, gathered: Gathered, told: Told) -> None:
    """Add to ``told`` which messages are superseded and to which the acts by reference belong.

    The lock makes a record and an act of the same reference wait for one another, so that the
    later one sees the earlier one, whichever came first and on whichever replica.
    """
    wanted = _with_acts(gathered)
    for key in gathered.claims:
        wanted.setdefault(key, False)
    if not wanted:
        return
    standing: dict[Key, bytes] = {}
    for key in wanted:
        standing[key] = _settle(told, key, b"", gathered)
    resumed: list[Key] = []
    if not await store.add_refs([(*key, standing[key], wanted[key]) for key in wanted]):
        # Those that were new are settled once more, which changes nothing.
        resumed = await _settle_known(store, gathered, told, standing, wanted)
    if gathered.ref_facts:
        await store.park_facts(gathered.ref_facts)
    for (tenant_id, ref, _), fact in gathered.ref_facts.items():
        if message_key := standing[tenant_id, ref]:
            told.attribute((tenant_id, message_key), fact)
    if resumed:
        for key, facts in (await store.read_parked_facts(resumed)).items():
            for fact in facts:
                told.attribute((key[0], standing[key]), fact)


async def _settle_known(
    store: Store,
    gathered: Gathered,
    told: Told,
    standing: dict[Key, bytes],
    known: dict[Key, bool],
) -> list[Key]:
    """Settle references as stored; return those whose parked acts move on."""
    updates: list[Ref] = []
    resumed: list[Key] = []
    for key, (stood, had_facts) in (await store.lock_refs(known)).items():
        now = standing[key] = _settle(told, key, stood, gathered)
        has_facts = had_facts or known[key]
        if (now, has_facts) != (stood, had_facts):
            updates.append((*key, now, has_facts))
        if now != stood and had_facts:
            resumed.append(key)
    if updates:
        await store.update_refs(updates)
    return resumed


def _settle(told: Told, key: Key, stood: bytes, gathered: Gathered) -> bytes:
    winner, losers = stand(key[1], stood, gathered.claims.get(key, set()))
    for loser in losers:
        told.supersede((key[0], loser))
    return winner


def _with_acts(gathered: Gathered) -> dict[Key, bool]:
    return {(tenant_id, ref): True for tenant_id, ref, _ in gathered.ref_facts}
