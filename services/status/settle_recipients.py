"""Gives what was told under recipients that nobody recorded to the one that was.

A transaction of its own, since only what is committed is seen by everybody: whoever adds a message
to an id that has several, or moves one without a record, looks at all under it afterwards, under
the lock of the id. A crash in between costs a redelivery, which comes through here again. Mail
whose reports name the recorded recipient never comes here.
"""

from collections.abc import Iterable, Mapping, Set

from bluetick.v1.common_pb2 import CHANNEL_EMAIL

from libs.runtime.message_ids import MAILERS
from services.status.domain.acts import Act
from services.status.domain.changes import Change
from services.status.domain.gathered import ActPlace, Gathered, Key, Telling
from services.status.domain.merging import Told
from services.status.domain.message import Message
from services.status.domain.recipients import Recipient, Role, gathered_from, is_mail, target_of
from services.status.move_messages import move_messages
from services.status.ports import Store, Transactions


async def note_recorded(store: Store, gathered: Gathered) -> set[Key]:
    """Note the messages of which records are told, before they are locked; return their ids."""
    recorded = {
        key: batch
        for key, batch in gathered.batched.items()
        if any(telling[7] is not None for telling in gathered.told[key])
    }
    if recorded:
        await store.add_recorded(recorded)
    return {(tenant_id, batch) for (tenant_id, _), batch in recorded.items()}


async def note_strays(
    store: Store, gathered: Gathered, changes: Iterable[Change], unmoved: Mapping[Key, Message]
) -> set[Key]:
    """Note the messages without a record; return their ids."""
    batched = gathered.batched
    told = {change.key: change.new for change in changes if change.key in batched}
    told |= {key: message for key, message in unmoved.items() if key in batched}
    strays = {key: batched[key] for key, message in told.items() if message.record is None}
    if strays:
        await store.add_strays(strays)
    return {(tenant_id, batch) for (tenant_id, _), batch in strays.items()}


async def find_mixed(transactions: Transactions, gathered: Gathered, batches: Set[Key]) -> set[Key]:
    """Return of these ids those under which something may belong to another message."""
    mixed = await transactions.look(lambda store: store.find_mixed(batches))
    # A message to a group is known by the bare id alone, so under that one is enough.
    of_groups = {
        (key[0], batch)
        for key, batch in gathered.batched.items()
        if batch != key[1] and not any(map(_is_of_mail, gathered.told[key]))
    }
    return mixed | (of_groups & batches)


def _is_of_mail(telling: Telling) -> bool:
    event, record = telling[6], telling[7]
    if event is not None and (event.provider in MAILERS or event.channel == CHANNEL_EMAIL):
        return True
    return record is not None and record.channel == CHANNEL_EMAIL


async def settle_recipients(
    store: Store, batches: Set[Key]
) -> tuple[Told, list[Change], dict[Key, Message]]:
    """Let the strays under each id count for its only recipient, or for nobody.

    Returns:
        What that tells of messages, what was written, and what was known already.
    """
    told = Told()
    found = await store.lock_recipients(batches)
    keys = {(tenant, one.message_key) for (tenant, _), all_ in found.items() for one in all_}
    wanted = sorted(keys | found.keys(), key=lambda key: (key[1], key[0]))
    read = await store.read_messages(wanted)
    messages = {key: one.message for key, one in zip(wanted, read, strict=True) if one is not None}
    acting = {key for key in keys if key in messages}
    acts = await store.read_acts(acting) if acting else {}
    taken: set[ActPlace] = set()
    for (tenant_id, batch), recipients in found.items():
        strays = [one.message_key for one in recipients if not one.is_recorded]
        under = [messages.get((tenant_id, one.message_key)) for one in recipients]
        are_mail = any(is_mail(message) for message in under if message is not None)
        target = target_of(batch, recipients, are_mail=are_mail)
        _forward(told, (tenant_id, batch), recipients, target, messages)
        for key in strays:
            for act in acts.get((tenant_id, key), ()) if target and key != target else ():
                told.attribute((tenant_id, target), act)
        taken |= _lost((tenant_id, batch), recipients, target, acts)
    if taken:
        for placed in await store.take_acts(taken):
            told.replace_act(*placed)
    if told.ref_acts:
        for placed in await store.add_acts({}, told.ref_acts):
            told.replace_act(*placed)
    return (told, *await move_messages(store, told))


def _forward(
    told: Told,
    batch: Key,
    recipients: Iterable[Recipient],
    target: bytes,
    messages: Mapping[Key, Message],
) -> None:
    tenant_id = batch[0]
    strays = {one.message_key for one in recipients if not one.is_recorded} - {target}
    for key in {one.message_key for one in recipients} | {batch[1]}:
        at = (tenant_id, key)
        if key in strays and at in messages:
            told.strays[at] = bool(target)
        elif key == target:
            said = [messages.get((tenant_id, one)) for one in sorted(strays)]
            if at in messages or said:
                told.forwarded[at] = gathered_from(one for one in said if one is not None)
        elif at in messages and messages[at].forwarded:
            told.forwarded[at] = b""
            told.corrected.add(at)


def _lost(
    batch: Key, recipients: Iterable[Recipient], target: bytes, acts: Mapping[Key, Iterable[Act]]
) -> set[ActPlace]:
    """Return the acts of others that no longer count on messages under the id."""
    tenant_id = batch[0]
    losing = {one.message_key for one in recipients if one.is_recorded} | {batch[1]}
    others = [one for one in recipients if one.role != Role.RECORDED]
    return {
        (tenant_id, key, act.act_id)
        for key in losing
        for one in others
        if one.message_key != key and (key != target or one.is_recorded)
        for act in acts.get((tenant_id, one.message_key), ())
    }
