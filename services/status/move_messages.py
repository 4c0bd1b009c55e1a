"""Merges what is told into the messages as stored."""

from libs.runtime.consumer import TryAgain
from services.status.domain.changes import Change
from services.status.domain.gather import Key
from services.status.domain.merging import Told, move
from services.status.domain.message import Message
from services.status.ports import Store

# The second round meets only rows that the first one locked; more means a store that cannot lock.
_ROUNDS_MAX = 5
_RETRY_S = 1.0


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
        The changes, and the messages that knew already all that is told.
    """
    changes: list[Change] = []
    unmoved: dict[Key, Message] = {}
    pending = sorted(told.deltas)
    for _ in range(_ROUNDS_MAX):
        if not pending:
            return changes, unmoved
        stored = await store.read_messages(pending)
        attributed = await store.read_attributed(pending) if is_attributing else None
        moved = {}
        for key in pending:
            version, message = stored.get(key, (0, None))
            acts = None if attributed is None else attributed.get(key, ())
            change = move(key, told, version, message, acts)
            if change is not None:
                moved[key] = change
            elif message is not None:
                unmoved[key] = message
        if not moved:
            return changes, unmoved
        written = await store.write_messages({k: (c.version, c.new) for k, c in moved.items()})
        changes += [change for key, change in moved.items() if key in written]
        pending = [key for key in moved if key not in written]
    raise TryAgain("Messages are moved elsewhere faster than here.", _RETRY_S)
