"""The part of an image that hardly ever moves: what the message's numbers are grouped by.

Kept apart from the part that moves, so that it is made once, when the sender's record comes, and
only copied from then on. An image is the two parts put together: protobuf allows its fields in any
order.
"""

from typing import Final

from bluetick.v1.change_pb2 import MessageImage, Scope
from bluetick.v1.event_pb2 import Registration

from services.status.domain.message import Message

# What record and scope call alike. Provider and account are the message's own.
_IN_SCOPE: Final = tuple(
    field.name
    for field in Scope.DESCRIPTOR.fields
    if field.name in Registration.DESCRIPTOR.fields_by_name
)


def dimension_bytes(message: Message) -> bytes:
    """Return the dimensions as fields of a serialized ``MessageImage``."""
    record = message.record
    own_id = message.provider_message_id
    seen = MessageImage(provider_message_id=own_id, attempt_count=1 if own_id else 0)
    scope = seen.scope
    scope.provider = message.provider
    scope.account = message.account
    if record is None:
        seen.message_ref = message.message_ref
        return seen.SerializeToString()
    told = Registration.FromString(record.registration)
    for name in _IN_SCOPE:
        if value := getattr(told, name):
            setattr(scope, name, value)
    seen.message_ref = record.message_ref
    seen.contact_id = told.contact_id
    seen.person_key = told.person_key
    if told.attributes:
        seen.attributes.update(told.attributes)
        return seen.SerializeToString(deterministic=True)
    return seen.SerializeToString()


def same_dimensions(one: Message, other: Message) -> bool:
    """Return whether two states of a message have the same dimensions."""
    return (
        one.record is other.record
        and one.provider == other.provider
        and one.account == other.account
        and one.provider_message_id == other.provider_message_id
        and one.message_ref == other.message_ref
    )
