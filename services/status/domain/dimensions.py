"""The part of an image that hardly ever moves: what the message's numbers are grouped by.

Kept apart from the part that moves, so that it is made once, when the sender's record comes, and
only copied from then on. An image is the two parts put together: protobuf allows its fields in any
order.
"""

from functools import lru_cache

from bluetick.v1.change_pb2 import MessageImage, Scope
from bluetick.v1.event_pb2 import Registration

from services.status.domain.message import Message

# What record and scope call alike. Provider and account are the message's own.
_IN_SCOPE = tuple(
    field.name
    for field in Scope.DESCRIPTOR.fields
    if field.name in Registration.DESCRIPTOR.fields_by_name
)


def dimension_bytes(message: Message) -> bytes:
    """Return the dimensions as fields of a serialized ``MessageImage``."""
    record = message.record
    return _dimension_bytes(
        record.registration if record is not None else b"",
        message.provider,
        message.account,
        record.message_ref if record is not None else message.message_ref,
        message.provider_message_id,
    )


# Of one message, the old and the new image nearly always have the same dimensions.
@lru_cache(maxsize=4096)
def _dimension_bytes(
    registration: bytes, provider: str, account: str, message_ref: str, provider_message_id: str
) -> bytes:
    told = Registration.FromString(registration)
    scope = Scope(provider=provider, account=account)
    for name in _IN_SCOPE:
        setattr(scope, name, getattr(told, name))
    return MessageImage(
        scope=scope,
        attributes=told.attributes,
        contact_id=told.contact_id,
        person_key=told.person_key,
        message_ref=message_ref,
        provider_message_id=provider_message_id,
        attempt_count=1 if provider_message_id else 0,
    ).SerializeToString(deterministic=True)
