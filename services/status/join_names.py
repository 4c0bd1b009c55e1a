"""Joins the names of people, and lets what counted for several people count for one.

Transactions of their own, since only what is committed is seen by everybody: names are joined
first, then whoever looks finds them. A message that is recorded at the same moment on another
replica either is found here, or finds the names itself. A crash in between leaves the names
unsettled, and costs a redelivery, which comes through here again.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from services.status.domain.addresses import address_key
from services.status.domain.gathered import Gathered, Key
from services.status.domain.people import Join, Name, NamedPerson, names_of, united
from services.status.ports import Store, Transactions

# Messages of one person that are moved in one transaction.
MESSAGES_MAX: Final = 2_000
# Acts of any time.
EVER_US: Final = 2**62
_Group = tuple[str, tuple[Name, ...]]


class Unsettled(msgspec.Struct):
    """People whose messages and acts do not all count for them yet."""

    people: Mapping[Key, bytes] = {}  # by name
    messages: list[Key] = []  # recorded messages to them
    # Names that were joined since; empty: only some messages have to be moved.
    names: Mapping[Key, bytes] = {}


async def join_names(
    transactions: Transactions, pool: Transactions, joins: Collection[Join]
) -> set[Key]:
    """Join names as told; return those that are unsettled.

    Args:
        transactions: where to look.
        pool: where to write, with plans that are made for what is there.
        joins: names of one person each.
    """
    groups = [(join[0], names) for join in joins if (names := names_of(join))]
    if not groups:
        return set()
    wanted = {(tenant_id, name.address) for tenant_id, names in groups for name in names}
    known = await transactions.look(lambda store: store.read_names(wanted))
    if new := [group for group in groups if not _is_known(group, known)]:
        await pool.run(lambda store: _unite(store, new))
    unsettled = {key for key, one in known.items() if not one.is_settled}
    return unsettled | {(tenant_id, name.address) for tenant_id, names in new for name in names}


def _is_known(group: _Group, known: Mapping[Key, NamedPerson]) -> bool:
    tenant_id, names = group
    found = [known.get((tenant_id, name.address)) for name in names]
    return None not in found and len({one.person for one in found if one is not None}) == 1


async def _unite(store: Store, groups: Iterable[_Group]) -> None:
    await store.begin()
    await store.lock_people({tenant_id for tenant_id, _ in groups})
    own = {(tenant, name.address): name.person for tenant, names in groups for name in names}
    await store.add_names(own)
    known = await store.read_names(own)
    people: dict[str, list[set[bytes]]] = {}
    for tenant_id, names in groups:
        called = {known[tenant_id, name.address].person for name in names}
        people.setdefault(tenant_id, []).append(called)
    renamed = [
        (tenant_id, old, new)
        for tenant_id, called in sorted(people.items())
        for old, new in sorted(united(called).items())
    ]
    if renamed:
        await store.rename_people(renamed)


async def find_unsettled(store: Store, names: Collection[Key]) -> Unsettled:
    """Return what has to be moved, of the people whose names these are."""
    known = await store.read_people(names)
    people = {name: one.person for name, one in known.items()}
    open_names = {name: one.person for name, one in known.items() if not one.is_settled}
    messages = await store.messages_to({*names, *open_names})
    return Unsettled(people, messages, open_names)


async def people_of_records(
    store: Store, gathered: Gathered, tenant_ids: Collection[str]
) -> dict[Key, bytes]:
    """Return the people of whom records are told, by address, where more than one name is known.

    Only a hint, so that most messages count for the right person from the beginning: what is joined
    at the same moment is found afterwards.
    """
    addresses = {
        (key[0], at)
        for key, tellings in gathered.told.items()
        if key[0] in tenant_ids
        for telling in tellings
        if (record := telling[7]) is not None
        and not record.contact_id
        and (at := address_key(key[0], record.address))
    }
    if not addresses:
        return {}
    return {name: one.person for name, one in (await store.read_names(addresses)).items()}
