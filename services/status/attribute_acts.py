"""Finds the messages of acts that name none, and moves them when a later send is told late."""

from collections.abc import Mapping, Sequence

from services.status.domain.attribution import (
    Touched,
    moves,
    send_of,
    standing_acts,
)
from services.status.domain.changes import Change
from services.status.domain.gathered import Key
from services.status.domain.merging import Told
from services.status.domain.message import Message
from services.status.move_messages import move_messages
from services.status.ports import Send, Store


async def note_sends(
    store: Store,
    told: Told,
    changes: Sequence[Change],
    unmoved: Mapping[Key, Message],
    window_us: int,
) -> Touched:
    """Keep the list of sends to each address in step with the messages that moved.

    Returns:
        The acts that may have another message now. What was known already is looked at again: the
        batch may be a redelivery after a crash between the transaction and what follows it.
    """
    touched = Touched()
    gone: list[Send] = []
    come: list[Send] = []
    for change in changes:
        if not change.is_moved:
            continue
        key, old, new = change.key, change.old, change.new
        if not told.may_move_send(key, new) and not _is_renamed(old, new):
            continue
        before = send_of(key[0], old) if old is not None else None
        after = send_of(key[0], new)
        touched.add_message(key, new, after, window_us)
        touched.add_person(key, new, after)
        if before == after:
            continue
        if before is not None:
            touched.add_message(key, new, before, window_us)
            gone.append((key[0], *before[:2], key[1], before[2]))
        if after is not None:
            come.append((key[0], *after[:2], key[1], after[2]))
    for key, message in unmoved.items():
        if told.may_move_send(key, message):
            send = send_of(key[0], message)
            touched.add_message(key, message, send, window_us)
            touched.add_person(key, message, send)
    if gone or come:
        await store.move_sends(gone, come)
    return touched


def _is_renamed(old: Message | None, new: Message) -> bool:
    return old is not None and (old.account != new.account or old.provider != new.provider)


async def attribute_acts(store: Store, touched: Touched, window_us: int) -> list[Change]:
    """Move acts told by an address to the message sent last before each, in a transaction.

    Whoever touches the same acts waits at the lock and reads the sends after it, so that the last
    one has seen all.
    """
    acts = await store.lock_acts(touched)
    if not acts:
        return []
    found = moves(acts, await store.last_sends(standing_acts(acts).values(), window_us))
    if not found:
        return []
    await store.move_acts(found)
    told = Told()
    for move in found:
        act = move.act
        told.move_act(act.place[0], act.act, act.message_key, move.message_key)
    changes, _ = await move_messages(store, told, is_attributing=True)
    return changes
