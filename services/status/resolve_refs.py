"""Notes which messages claim the references of a batch, under a lock on each reference."""

from services.status.domain.gathered import Gathered, Key
from services.status.domain.merging import Told
from services.status.domain.refs import ATTEMPTS_MAX, Claims, Contest, claim
from services.status.ports import Ref, Store


async def resolve_refs(store: Store, gathered: Gathered, told: Told) -> None:
    """Add to ``told`` which messages are superseded and to which the acts by reference belong.

    The lock makes a record and an act of the same reference wait for one another, so that the
    later one sees the earlier one, whichever came first and on whichever replica. The acts of a
    reference are counted on the message that stands for it, and on no other. Which of several
    attempts stands depends on how far each got, so that is settled afterwards
    (``settle_attempts``): ``told.unsettled`` says for which references.
    """
    wanted = dict.fromkeys(gathered.claims, False)
    wanted |= {(tenant_id, ref): True for tenant_id, ref, _ in gathered.ref_acts}
    if not wanted:
        return
    claims = {
        key: claim(key[1], Claims(has_acts=has_acts), gathered.claims.get(key, ()))
        for key, has_acts in wanted.items()
    }
    moved: dict[Key, bytes] = {}
    if not await store.add_refs([(*key, claims[key]) for key in wanted]):
        # Those that were new are looked at once more, which changes nothing.
        moved = await _claim_known(store, gathered, told, wanted, claims)
    for key, found in claims.items():
        _note(told, key, found, gathered.claims.get(key, set()))
    if gathered.ref_acts:
        await store.park_acts(gathered.ref_acts)
    for (tenant_id, ref, _), act in gathered.ref_acts.items():
        if message_key := claims[tenant_id, ref].standing:
            told.attribute((tenant_id, message_key), act)
    if moved:
        await move_parked(store, told, {key: claims[key].standing for key in moved}, moved)


async def _claim_known(
    store: Store,
    gathered: Gathered,
    told: Told,
    wanted: dict[Key, bool],
    claims: dict[Key, Claims],
) -> dict[Key, bytes]:
    """Claim references as stored; return those whose acts move on, with who had them."""
    updates: list[Ref] = []
    moved: dict[Key, bytes] = {}
    for key, known in (await store.lock_refs(wanted)).items():
        now = claim(key[1], known, gathered.claims.get(key, ()))
        if wanted[key] and not now.has_acts:
            now = Claims(now.standing, now.others, True)
        claims[key] = now
        if known.others:
            # More than are compared: others have smaller keys.
            gone = {*known.attempts(key[1])}.difference(now.attempts(key[1]))
            told.superseded.update((key[0], attempt) for attempt in gone)
        if now != known:
            updates.append((*key, now))
        if now.standing != known.standing:
            if known.standing:
                # What was queued under its reference loses it to the first attempt.
                told.superseded.add((key[0], known.standing))
            if known.has_acts:
                moved[key] = known.standing
    if updates:
        await store.update_refs(updates)
    return moved


def _note(told: Told, key: Key, claims: Claims, claimants: set[bytes]) -> None:
    tenant_id, ref = key
    attempts = claims.attempts(ref)
    if attempts and ref in claimants:
        told.superseded.add((tenant_id, ref))
    if len(attempts) == ATTEMPTS_MAX:
        told.superseded.update((tenant_id, one) for one in claimants if one not in attempts)
    if len(attempts) > 1 and claimants:
        told.unsettled.add(key)
        for message_key in attempts:
            told.contested[tenant_id, message_key] = Contest(
                ref, message_key == claims.standing, len(attempts)
            )


async def move_parked(
    store: Store, told: Told, standing: dict[Key, bytes], moved: dict[Key, bytes]
) -> None:
    """Add to ``told`` that acts by reference leave the messages that stood.

    Args:
        store: the transaction.
        told: what it says.
        standing: by reference, the message that stands now.
        moved: by reference, the message that stood before; empty: none.
    """
    places = []
    for key, acts in (await store.read_parked_acts(moved)).items():
        for act in acts:
            told.attribute((key[0], standing[key]), act)
            if stood := moved[key]:
                places.append((key[0], stood, act.act_id))
                told.corrected.add((key[0], standing[key]))
    if places:
        for message, before, after in await store.take_acts(places):
            told.replace_act(message, before, after)
