"""Reads messages, merges what is told, writes what moved, until nobody else was faster."""

from collections.abc import Sequence

from libs.runtime.verdicts import TryAgain
from services.status.domain.changes import Change
from services.status.domain.gathered import Key
from services.status.domain.merging import Told, move
from services.status.domain.message import Message
from services.status.ports import Store

# A second round is for what others moved since it was read. From then on rows are locked as they
# are read, so more means a store that cannot lock, or rows that others add and remove.
_ROUNDS_MAX = 5


async def move_messages(
    store: Store, told: Told, *, is_attributing: bool = False
) -> tuple[list[Change], dict[Key, Message]]:
    """Merge what is told into the messages and store those that moved, each one version on.

    Nothing is locked before it is written: rows that somebody else moved in between are read and
    merged again.

    Args:
        store: the transaction.
        told: what it says.
        is_attributing: acts told by an address have moved; their sums are made anew, in each
            round, since others may move such acts to the same message.

    Returns:
        What was written or must be kept, and the messages that knew already all that is told.
    """
    changes: list[Change] = []
    unmoved: dict[Key, Message] = {}
    pending: Sequence[Key] = told.keys()
    for number in range(_ROUNDS_MAX):
        if not pending:
            return changes, unmoved
        decided = await _decide(store, told, pending, number > 0, is_attributing)
        written = []
        for change in decided:
            if change.is_written:
                change.show()
                written.append(change)
            elif change.spilled:
                changes.append(change)
            if not change.is_moved and change.known is not None:
                unmoved[change.key] = change.new
        overtaken = await store.write_messages(written) if written else set()
        changes += [change for change in written if change.key not in overtaken]
        pending = [change.key for change in written if change.key in overtaken]
    if pending:
        raise TryAgain("Messages are moved elsewhere faster than here.")
    return changes, unmoved


async def _decide(
    store: Store, told: Told, keys: Sequence[Key], is_locking: bool, is_attributing: bool
) -> list[Change]:
    stored = await store.read_messages(keys, is_locking=is_locking)
    # After the messages: every act that a message counts is seen, and one that is seen too early
    # has moved its message on.
    lost = [key for key in keys if key in told.lost_acts] if told.lost_acts else []
    acts = await store.read_acts(lost) if lost else {}
    attributed = await store.read_attributed(keys) if is_attributing else None
    return [
        move(
            key,
            told,
            known,
            acts.get(key, ()) if key in told.lost_acts else None,
            None if attributed is None else attributed.get(key, ()),
        )
        for key, known in zip(keys, stored, strict=True)
    ]
