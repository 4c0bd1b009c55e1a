"""From moved messages to the serialized changes that other teams read, put together from bytes."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import msgspec
from bluetick.v1.change_pb2 import ChangeCause, MessageChanged, MessageChangedBatch
from bluetick.v1.common_pb2 import MessageState

from services.status.domain.acts import Act, act_bytes
from services.status.domain.changes import Change, cause_of, moved_by
from services.status.domain.flaws import KEY_BYTES
from services.status.domain.wire import field_bytes, tag, varint

# Bytes of acts in one part of a change; keeps a part far below what the broker takes.
PART_ACT_BYTES_MAX: Final = 256 * 1024
_VARINT: Final = 0
# With its length: 16 bytes, see domain.flaws.
_KEY: Final = tag(MessageChanged.MESSAGE_KEY_FIELD_NUMBER) + bytes((KEY_BYTES,))
_VERSION: Final = tag(MessageChanged.VERSION_FIELD_NUMBER, _VARINT)
_REF: Final = tag(MessageChanged.MESSAGE_REF_FIELD_NUMBER)
_OWN_ID: Final = tag(MessageChanged.PROVIDER_MESSAGE_ID_FIELD_NUMBER)
_OLD_IMAGE: Final = tag(MessageChanged.OLD_IMAGE_FIELD_NUMBER)
_NEW_IMAGE: Final = tag(MessageChanged.NEW_IMAGE_FIELD_NUMBER)
_MOVED_BY: Final = tag(MessageChanged.MOVED_BY_FIELD_NUMBER)
_ACTS: Final = MessageChanged.ACTS_FIELD_NUMBER
_TIME: Final = tag(MessageChanged.CHANGE_TIME_US_FIELD_NUMBER, _VARINT)
_CAUSE: Final = tag(MessageChanged.CAUSE_FIELD_NUMBER, _VARINT)
_STATE_MOVED: Final = tag(MessageChanged.IS_STATE_MOVED_FIELD_NUMBER, _VARINT) + b"\x01"
# By cause: the field alone, and with the other one behind it.
_CAUSES: Final = {
    cause: (_CAUSE + varint(cause), _CAUSE + varint(cause) + _STATE_MOVED)
    for cause in ChangeCause.values()
}
_PART: Final = tag(MessageChanged.PART_FIELD_NUMBER, _VARINT)
_PART_COUNT: Final = tag(MessageChanged.PART_COUNT_FIELD_NUMBER, _VARINT)
_CHANGE: Final = tag(MessageChangedBatch.CHANGES_FIELD_NUMBER)


class ChangesOfState(msgspec.Struct, frozen=True, gc=False):
    """Changes of one tenant into one state: the content of one broker message."""

    tenant_id: str
    state: MessageState.ValueType
    changes: list[bytes]  # in their frames

    def batch_bytes(self, batch_id: str, oldest_event_time_us: int) -> bytes:
        """Return the serialized ``MessageChangedBatch``."""
        head = MessageChangedBatch(
            batch_id=batch_id,
            tenant_id=self.tenant_id,
            state=self.state,
            oldest_event_time_us=oldest_event_time_us,
        )
        return b"".join((head.SerializeToString(), *self.changes))


class _Group(msgspec.Struct, gc=False):
    """Changes of a group that is not full yet."""

    changes: list[bytes]
    size: int = 0


def by_state(
    changes: Iterable[Change], change_time_us: int, batch_bytes_max: int
) -> Iterator[ChangesOfState]:
    """Group what moved by tenant and state; no group holds many more bytes than the limit."""
    groups: dict[tuple[str, int], _Group] = {}
    change_time = _TIME + varint(change_time_us)
    for change in changes:
        if not change.is_moved:
            continue
        key = (change.key[0], change.state)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group([])
        for data in change_parts(change, change_time):
            size = len(data)
            if group.size and group.size + size > batch_bytes_max:
                yield ChangesOfState(*key, group.changes)  # type: ignore[arg-type]
                group.size, group.changes = 0, []
            group.size += size
            group.changes += (_CHANGE, varint(size), data)
    for key, group in groups.items():
        yield ChangesOfState(*key, group.changes)  # type: ignore[arg-type]


def change_parts(change: Change, change_time: bytes) -> list[bytes]:
    """Return the change as serialized ``MessageChanged``, in as many parts as its acts need.

    ``change_time`` is that field, serialized.
    """
    acts = change.new_acts or change.retracted_acts or change.repeated_acts
    whole = _head(change, change_time)
    if not acts:
        return [whole]
    pieces = _pieces(change)
    if len(pieces) == 1:
        return [whole + pieces[0]]
    count = _PART_COUNT + varint(len(pieces))
    return [whole + count + _PART + varint(n) + piece for n, piece in enumerate(pieces)]


def _head(change: Change, change_time: bytes) -> bytes:
    old, new, known = change.old, change.new, change.known
    tenant_id, message_key = change.key
    record = new.record
    ref = (record.message_ref if record is not None else new.message_ref).encode()
    own_id = new.provider_message_id.encode()
    acts = change.new_acts
    if change.retracted_acts:
        acts = [*acts, *change.retracted_acts]
    kinds = moved_by(old, new, change.told, acts)
    image, dimensions = change.image, change.dimensions
    cause = _CAUSES[cause_of(change)]
    is_state_moved = change.state != (known.state if known is not None else 0)
    parts = [
        _KEY, message_key,
        _names(tenant_id, new.provider, new.account),
        _VERSION, varint(known.version + 1 if known is not None else 1),
        change_time,
        cause[is_state_moved],
        _NEW_IMAGE, varint(len(image) + len(dimensions)), image, dimensions,
        _MOVED_BY, varint(len(kinds)), kinds,
    ]  # fmt: skip
    if ref:
        parts += (_REF, varint(len(ref)), ref)
    if own_id:
        parts += (_OWN_ID, varint(len(own_id)), own_id)
    if old is not None and known is not None:
        image, dimensions = known.image, known.dimensions
        parts += (_OLD_IMAGE, varint(len(image) + len(dimensions)), image, dimensions)
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _names(tenant_id: str, provider: str, account: str) -> bytes:
    return MessageChanged(
        tenant_id=tenant_id, provider=provider, account=account
    ).SerializeToString()


def _pieces(change: Change) -> list[bytes]:
    """Return the acts that the change tells, serialized, cut where a part is full."""
    pieces: list[list[bytes]] = [[]]
    room = PART_ACT_BYTES_MAX
    for part in _acts(change):
        if len(part) > room and pieces[-1]:
            pieces.append([])
            room = PART_ACT_BYTES_MAX
        pieces[-1].append(part)
        room -= len(part)
    return [b"".join(piece) for piece in pieces]


def _acts(change: Change) -> Iterator[bytes]:
    for act in sorted(change.new_acts, key=_in_time):
        yield field_bytes(_ACTS, act_bytes(act))
    for act in sorted(change.retracted_acts, key=_in_time):
        yield field_bytes(_ACTS, act_bytes(act, is_retracted=True))
    for act in sorted(change.repeated_acts, key=_in_time):
        yield field_bytes(_ACTS, act_bytes(act, is_repeated=True))


def _in_time(act: Act) -> tuple[int, str]:
    return (act.occur_time_us, act.act_id)
