"""What becomes of a message in a transaction, and why."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from bluetick.v1.change_pb2 import (
    CHANGE_CAUSE_CORRECTION,
    CHANGE_CAUSE_LATE,
    CHANGE_CAUSE_LIVE,
    CHANGE_CAUSE_RECORD,
    ChangeCause,
)
from bluetick.v1.common_pb2 import EVENT_KIND_PRICED

from services.status.domain.acts import Act
from services.status.domain.dimensions import dimension_bytes, same_dimensions
from services.status.domain.fields import Merge
from services.status.domain.gathered import Key, Telling
from services.status.domain.image import moving_image
from services.status.domain.message import FIELDS, Message
from services.status.domain.recipients import with_forwarded

# What was told longer after it happened than this counts as told late.
LATE_AFTER_US: Final = 15 * 60 * 1_000_000

# The field that says whether events of a kind moved a message.
_MOVED: Final = {
    kind: name
    for name, row in FIELDS.items()
    if row.merge is Merge.EARLIEST
    for kind in row.kinds[:1]
}
_NOTHING: Final = Message()


class Known(msgspec.Struct, gc=False):
    """A message as stored."""

    revision: int  # of the row: 1, 2, 3 ..., also where nobody is told of what moved it
    version: int  # of the message, as told: 0 while nothing but its history is known
    state: int
    message: Message
    dimensions: bytes  # with ``image``, a serialized bluetick.v1.MessageImage
    image: bytes
    history: bytes
    at: tuple[int, int]  # where the row was: block, position


class Change(msgspec.Struct, gc=False):
    """What becomes of a message in this transaction."""

    key: Key
    known: Known | None
    new: Message
    # The message before; None: nothing was told of it.
    old: Message | None = None
    new_acts: Sequence[Act] = ()
    # Acts counted before, told again because their dimensions or the counting changed.
    repeated_acts: Sequence[Act] = ()
    # Acts counted before that no longer stand, or belong to another message.
    retracted_acts: Sequence[Act] = ()
    # Reports for which the row has no room.
    spilled: Sequence[Telling] = ()
    history: bytes = b""
    dimensions: bytes = b""
    image: bytes = b""
    state: int = 0
    is_moved: bool = False  # others are told of it
    is_written: bool = False
    told: Sequence[int] = ()  # kinds of what was told of it
    is_late: bool = False  # all that moved it was told late
    is_corrected: bool = False  # what was known was put right

    @property
    def version(self) -> int:
        """The version after it."""
        return (self.known.version if self.known is not None else 0) + self.is_moved

    def show(self) -> None:
        """Make the image; what does not move is copied."""
        known, new = self.known, self.new
        if known is None:
            self.dimensions = dimension_bytes(new)
        else:
            same = same_dimensions(known.message, new)
            self.dimensions = known.dimensions if same else dimension_bytes(new)
        if self.is_moved:
            seen = moving_image(new)
            self.image, self.state = seen.SerializeToString(), seen.state
        elif known is not None:
            self.image, self.state = known.image, known.state

    def needs_all_acts(self) -> bool:
        """Return whether the change must tell acts that were counted before.

        Counts of people and links fold single acts; when the dimensions of those acts change, or
        whether they count at all, the change must say which acts these are.
        """
        old, new, known = self.old, self.new, self.known
        if old is None or known is None or not (old.act_count or old.attributed):
            return False
        return old.is_counted != new.is_counted or (
            self.dimensions is not known.dimensions and self.dimensions != known.dimensions
        )


def moved_by(
    old: Message | None, new: Message, told: Iterable[int], acts: Iterable[Act] = ()
) -> bytes:
    """Return the kinds of the events that moved the message, each once, ascending.

    Args:
        old: the message before; None: nothing was known.
        new: the message after.
        told: kinds of what was told of it; others cannot have moved it.
        acts: the acts that came or went.
    """
    before = _NOTHING if old is None else old
    kinds = set()
    if new.forwarded != before.forwarded:
        # What was told of another recipient counts here now, or no longer does.
        told, before, new = _MOVED, with_forwarded(before), with_forwarded(new)
    for kind in told:
        name = _MOVED.get(kind)
        if name is None:
            continue
        if getattr(new, name) != getattr(before, name) or new.parts != before.parts:
            kinds.add(kind)
    if new.pricing_time_us != before.pricing_time_us:
        # A price rides on reports of any kind.
        kinds.add(EVENT_KIND_PRICED)
    for act in acts:
        kinds.add(act.kind)
    if new.record is not before.record and new.record is not None and new.record != before.record:
        kinds.add(new.record.kind)
    # The kinds of a packed repeated field: each is below 128, so one byte.
    return bytes(sorted(kinds)) if len(kinds) > 1 else bytes(kinds)


def cause_of(change: Change) -> ChangeCause.ValueType:
    """Return why the message moved; of several causes, the one that explains most."""
    old, new = change.old, change.new
    if change.is_corrected or change.retracted_acts:
        return CHANGE_CAUSE_CORRECTION
    if new.is_superseded != (old is not None and old.is_superseded):
        return CHANGE_CAUSE_CORRECTION
    was = old.record if old is not None else None
    if new.record is not was and new.record != was:
        return CHANGE_CAUSE_CORRECTION if was is not None else CHANGE_CAUSE_RECORD
    return CHANGE_CAUSE_LATE if change.is_late else CHANGE_CAUSE_LIVE
