"""The part of an image that hardly ever moves: what the message's numbers are grouped by.

Kept apart from the part that moves, so that it is made once, when the sender's record comes, and
only copied from then on. An image is the two parts put together: protobuf allows its fields in any
order.
"""

from functools import lru_cache
from typing import Final

from bluetick.v1.change_pb2 import MessageImage, Scope
from bluetick.v1.event_pb2 import Registration

from services.status.domain.message import Message
from services.status.domain.wire import VARINT, tag, varint

# What record and scope call alike. Provider and account are the message's own.
_IN_SCOPE: Final = tuple(
    field.name
    for field in Scope.DESCRIPTOR.fields
    if field.name in Registration.DESCRIPTOR.fields_by_name
)
_OWN_ID: Final = tag(MessageImage.PROVIDER_MESSAGE_ID_FIELD_NUMBER)
_REF: Final = tag(MessageImage.MESSAGE_REF_FIELD_NUMBER)
_ATTEMPTS: Final = tag(MessageImage.ATTEMPT_COUNT_FIELD_NUMBER, VARINT)
_OF_ONE: Final = ("contact_id", "person_key", "attributes")


def dimension_bytes(message: Message) -> bytes:
    """Return the dimensions as fields of a serialized ``MessageImage``."""
    record = message.record
    own_id = message.provider_message_id.encode()
    parts: list[bytes] = []
    if own_id:
        parts += (_OWN_ID, varint(len(own_id)), own_id)
        parts += (_ATTEMPTS, varint(attempts_shown(message)))
    if record is None:
        if ref := message.message_ref.encode():
            parts += (_REF, varint(len(ref)), ref)
        return b"".join((_scope_bytes(b"", message.provider, message.account), *parts))
    if ref := record.message_ref.encode():
        parts += (_REF, varint(len(ref)), ref)
    told = Registration.FromString(record.registration)
    person = message.joined_person or told.person_key
    seen = MessageImage(contact_id=told.contact_id, person_key=person)
    if told.attributes:
        seen.attributes.update(told.attributes)
    for name in _OF_ONE:
        told.ClearField(name)
    scope = _scope_bytes(told.SerializeToString(), message.provider, message.account)
    return b"".join((scope, *parts, seen.SerializeToString(deterministic=True)))


# What is left of a record without the person is the same for the messages of a campaign.
@lru_cache(maxsize=4096)
def _scope_bytes(registration: bytes, provider: str, account: str) -> bytes:
    told = Registration.FromString(registration)
    scope = Scope(provider=provider, account=account)
    for name in _IN_SCOPE:
        setattr(scope, name, getattr(told, name))
    return MessageImage(scope=scope).SerializeToString()


def attempts_shown(message: Message) -> int:
    """Return how many attempts there were to get it to the person; 0: never handed over."""
    return max(message.attempt_count, 1) if message.provider_message_id else 0


def same_dimensions(one: Message, other: Message) -> bool:
    """Return whether two states of a message have the same dimensions."""
    return (
        one.record is other.record
        and one.provider == other.provider
        and one.account == other.account
        and one.provider_message_id == other.provider_message_id
        and one.message_ref == other.message_ref
        and one.joined_person == other.joined_person
        and (one.attempt_count == other.attempt_count or _as_many(one, other))
    )


def _as_many(one: Message, other: Message) -> bool:
    return attempts_shown(one) == attempts_shown(other)
