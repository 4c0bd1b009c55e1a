"""What was told of a recipient that nobody recorded, under an id that was recorded for another.

Mail is forwarded, and answered from another mailbox; a group's members report on the one message to
the group. Where the id has one recorded recipient, it is that one's: the reports count for it as if
they had named it. They are kept apart from its own all the same, since another recipient may be
recorded later, and then they are nobody's again. So what counts is a function of all messages under
the id, and order cannot matter.
"""

import copy
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec
from bluetick.v1.event_pb2 import Event

from libs.runtime.message_ids import MAILERS
from services.status.domain.fields import Merge, named
from services.status.domain.merge_rules import FAILURE_CODES_MAX, earliest, fail, join, price
from services.status.domain.message import FIELDS, Message, is_email
from services.status.domain.packing import pack, unpack
from services.status.domain.wire import tag

# With what the key of an id begins in an event; looking for it is cheaper than asking.
BATCH_KEY: Final = tag(Event.BATCH_KEY_FIELD_NUMBER) + bytes((16,))
_TIMES: Final = named(
    FIELDS,
    Merge.EARLIEST,
    Merge.EARLIEST_HUMAN,
    Merge.EARLIEST_FINAL,
    Merge.EARLIEST_REFUSAL,
)


class Role(IntEnum):
    """What a message is under an id that may have several."""

    STRAY = 0  # it has no record
    RECORDED = 1
    FOUND = 2  # recorded after it was one without: it may have counted for another


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One message under an id."""

    message_key: bytes
    role: int

    @property
    def is_recorded(self) -> bool:
        """Whether its record has come."""
        return self.role != Role.STRAY


def is_mail(message: Message) -> bool:
    """Return whether a message is mail, also where nobody told its channel."""
    return message.provider in MAILERS or is_email(message)


def target_of(batch_key: bytes, recipients: Iterable[Recipient], *, are_mail: bool) -> bytes:
    """Return the key of the message that the strays under an id belong to; empty: to none.

    Args:
        batch_key: key of the bare id.
        recipients: all that are known under it.
        are_mail: of an email the recipient is always recorded; elsewhere a message that is recorded
            under the bare id was sent to a group.
    """
    recorded = [one.message_key for one in recipients if one.is_recorded]
    if are_mail:
        return recorded[0] if len(recorded) == 1 else b""
    return b"" if recorded else batch_key


def gathered_from(strays: Iterable[Message]) -> bytes:
    """Return what strays say together, as ``Message.forwarded``; empty: nothing."""
    together = Message()
    for stray in strays:
        _add(together, stray)
    return pack(together) if together != _NOTHING else b""


def with_forwarded(message: Message) -> Message:
    """Return the message with what was told of it under another recipient."""
    if not message.forwarded:
        return message
    together = copy.copy(message)
    _add(together, unpack(message.forwarded, None))
    return together


def _add(one: Message, other: Message) -> None:
    """Merge what reports told of ``other`` into ``one``, each field by its rule.

    Names, record and attempts are the message's own; acts are moved one by one.
    """
    for name in _TIMES:
        if time_us := getattr(other, name):
            setattr(one, name, earliest(getattr(one, name), time_us))
    if other.failure_time_us:
        fail(one, other.failure_time_us, other.failure_code, other.failure_reason)
        one.failure_codes = join(one.failure_codes, other.failure_codes, FAILURE_CODES_MAX)
    if other.pricing_time_us:
        price(one, other.pricing_time_us, other.pricing)
    one.proven_by = max(one.proven_by, other.proven_by)


_NOTHING: Final = Message()
