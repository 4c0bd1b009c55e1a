"""From a moved message to the serialized change that other teams read."""

from collections.abc import Iterable, Iterator

import msgspec
from bluetick.v1.change_pb2 import (
    CHANGE_CAUSE_CORRECTION,
    CHANGE_CAUSE_LATE,
    CHANGE_CAUSE_LIVE,
    CHANGE_CAUSE_RECORD,
    ChangeCause,
    MessageChanged,
    MessageChangedBatch,
    MessageImage,
)
from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_PLAYED,
    EVENT_KIND_PRICED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    MessageState,
)

from services.status.domain.dimensions import dimension_bytes
from services.status.domain.facts import Fact, fact_bytes
from services.status.domain.gather import Key
from services.status.domain.image import image
from services.status.domain.message import Message
from services.status.domain.wire import field_bytes

# Bytes of acts in one part of a change; keeps a part far below what the broker takes.
PART_FACT_BYTES_MAX = 256 * 1024
# What happened longer before it was stored than this counts as told late.
LATE_AFTER_US = 15 * 60 * 1_000_000

_OLD_IMAGE = MessageChanged.OLD_IMAGE_FIELD_NUMBER
_NEW_IMAGE = MessageChanged.NEW_IMAGE_FIELD_NUMBER
_REGISTRATION = MessageChanged.REGISTRATION_FIELD_NUMBER
_OLD_REGISTRATION = MessageChanged.OLD_REGISTRATION_FIELD_NUMBER
_FACTS = MessageChanged.FACTS_FIELD_NUMBER
_CHANGES = MessageChangedBatch.CHANGES_FIELD_NUMBER

# Which kind moves which field.
_MOVERS = (
    ("accept_time_us", EVENT_KIND_ACCEPTED),
    ("queue_time_us", EVENT_KIND_QUEUED),
    ("send_time_us", EVENT_KIND_SENT),
    ("report_time_us", EVENT_KIND_DELIVERED),
    ("play_time_us", EVENT_KIND_PLAYED),
    ("undeliver_time_us", EVENT_KIND_UNDELIVERED),
    ("drop_time_us", EVENT_KIND_DROPPED),
    ("cancel_time_us", EVENT_KIND_CANCELED),
    ("pricing_time_us", EVENT_KIND_PRICED),
)

_TIMES = (*(name for name, _ in _MOVERS), "read_time_us")
_NOTHING = Message()


class Change(msgspec.Struct, gc=False):
    """A message that moved in this transaction."""

    key: Key
    version: int
    old: Message | None
    new: Message
    new_facts: list[Fact]
    # Acts counted before, told again because the registration or the counting changed.
    repeated_facts: list[Fact] = []
    # Acts counted before that belong to another message after all.
    retracted_facts: list[Fact] = []


class ChangesOfState(msgspec.Struct, frozen=True, gc=False):
    """Changes of one tenant into one state: the content of one broker message."""

    tenant_id: str
    state: MessageState.ValueType
    changes: list[bytes]

    def batch_bytes(self, batch_id: str, oldest_event_time_us: int) -> bytes:
        """Return the serialized ``MessageChangedBatch``."""
        head = MessageChangedBatch(
            batch_id=batch_id,
            tenant_id=self.tenant_id,
            state=self.state,
            oldest_event_time_us=oldest_event_time_us,
        )
        parts = [head.SerializeToString()]
        parts += [field_bytes(_CHANGES, change) for change in self.changes]
        return b"".join(parts)


def needs_all_facts(old: Message | None, new: Message) -> bool:
    """Return whether the change must tell acts that were counted before.

    Counts of people and links fold single acts; when the dimensions of those acts change, or
    whether they count at all, the change must say which acts these are.
    """
    if old is None:
        return False
    return old.is_counted != new.is_counted or dimension_bytes(old) != dimension_bytes(new)


def moved_by(old: Message | None, new: Message, facts: Iterable[Fact] = ()) -> list[int]:
    """Return the kinds of the events that moved the message, each once, ascending.

    ``facts`` are the acts that came or went.
    """
    before = _NOTHING if old is None else old
    kinds = {fact.kind for fact in facts}
    for name, kind in _MOVERS:
        if getattr(new, name) != getattr(before, name):
            kinds.add(kind)
    if new.read_time_us != before.read_time_us and new.read_time_us != new.play_time_us:
        kinds.add(EVENT_KIND_READ)
    if new.record is not None and new.record != before.record:
        kinds.add(new.record.kind)
    return sorted(kinds)


def cause_of(change: Change, change_time_us: int) -> ChangeCause.ValueType:
    """Return why the message moved; of several causes, the one that explains most."""
    old, new = change.old, change.new
    was_recorded = old is not None and old.record is not None
    if change.retracted_facts or new.is_superseded != (old is not None and old.is_superseded):
        return CHANGE_CAUSE_CORRECTION
    if new.record is not None and (old is None or new.record != old.record):
        return CHANGE_CAUSE_CORRECTION if was_recorded else CHANGE_CAUSE_RECORD
    before = _NOTHING if old is None else old
    times = [getattr(new, name) for name in _TIMES if getattr(new, name) != getattr(before, name)]
    times += [fact.occur_time_us for fact in change.new_facts]
    if times and max(times) < change_time_us - LATE_AFTER_US:
        return CHANGE_CAUSE_LATE
    return CHANGE_CAUSE_LIVE


def change_parts(change: Change, new_image: MessageImage, change_time_us: int) -> list[bytes]:
    """Return the change as serialized ``MessageChanged``, in as many parts as its acts need.

    ``new_image`` is that of ``change.new``.
    """
    old, new = change.old, change.new
    old_image = image(old) if old is not None else None
    tenant_id, message_key = change.key
    record = new.record
    pieces = _pieces(change)
    head = MessageChanged(
        message_key=message_key,
        tenant_id=tenant_id,
        version=change.version,
        message_ref=record.message_ref if record else new.message_ref,
        provider=new.provider,
        account=new.account,
        provider_message_id=new.provider_message_id,
        moved_by=moved_by(old, new, (*change.new_facts, *change.retracted_facts)),  # type: ignore[arg-type]
        change_time_us=change_time_us,
        cause=cause_of(change, change_time_us),
        is_state_moved=new_image.state != (old_image.state if old_image is not None else 0),
        part_count=len(pieces) if len(pieces) > 1 else 0,
    )
    parts = [
        head.SerializeToString(),
        field_bytes(_NEW_IMAGE, new_image.SerializeToString()),
    ]
    if old is not None and old_image is not None:
        parts.append(field_bytes(_OLD_IMAGE, old_image.SerializeToString()))
        if old.record is not None and _registration(old) != _registration(new):
            parts.append(field_bytes(_OLD_REGISTRATION, old.record.registration))
    if record is not None:
        parts.append(field_bytes(_REGISTRATION, record.registration))
    told = b"".join(parts)
    return [
        told + piece + (MessageChanged(part=n).SerializeToString() if n else b"")
        for n, piece in enumerate(pieces)
    ]


def by_state(
    changes: Iterable[Change], change_time_us: int, batch_bytes_max: int
) -> Iterator[ChangesOfState]:
    """Group changes by tenant and state; no group holds many more bytes than the limit."""
    groups: dict[tuple[str, MessageState.ValueType], list[bytes]] = {}
    sizes: dict[tuple[str, MessageState.ValueType], int] = {}
    for change in changes:
        new_image = image(change.new)
        group = (change.key[0], new_image.state)
        for data in change_parts(change, new_image, change_time_us):
            size = sizes.get(group, 0)
            if size and size + len(data) > batch_bytes_max:
                yield ChangesOfState(*group, groups.pop(group))
                size = 0
            groups.setdefault(group, []).append(data)
            sizes[group] = size + len(data)
    for group, members in groups.items():
        yield ChangesOfState(*group, members)


def _registration(message: Message) -> bytes | None:
    return message.record.registration if message.record else None


def _pieces(change: Change) -> list[bytes]:
    """Return the acts that the change tells, serialized, cut where a part is full."""
    if not (change.new_facts or change.retracted_facts or change.repeated_facts):
        return [b""]
    pieces: list[list[bytes]] = [[]]
    room = PART_FACT_BYTES_MAX
    for part in _facts(change):
        if len(part) > room and pieces[-1]:
            pieces.append([])
            room = PART_FACT_BYTES_MAX
        pieces[-1].append(part)
        room -= len(part)
    return [b"".join(piece) for piece in pieces]


def _facts(change: Change) -> Iterator[bytes]:
    for fact in sorted(change.new_facts, key=_in_time):
        yield field_bytes(_FACTS, fact_bytes(fact))
    for fact in sorted(change.retracted_facts, key=_in_time):
        yield field_bytes(_FACTS, fact_bytes(fact, is_retracted=True))
    for fact in sorted(change.repeated_facts, key=_in_time):
        yield field_bytes(_FACTS, fact_bytes(fact, is_repeated=True))


def _in_time(fact: Fact) -> tuple[int, str]:
    return (fact.occur_time_us, fact.fact_id)
