"""Answers what is known of one message, with everything told about it."""

from typing import Protocol

import msgspec
from bluetick.v1 import event_pb2, message_service_pb2

from libs.runtime.keys import ref_key
from libs.runtime.message_ids import ANSWERED, MAILERS, Names, names_of
from libs.runtime.rpc_errors import InvalidArgument, NotFound
from services.status.domain.gathered import HistoryEntry
from services.status.domain.message import Message
from services.status.domain.recipients import Recipient, is_mail, target_of
from services.status.domain.refs import Claims, own_ref
from services.status.show_message import show_attempts, show_entry, show_message

HISTORY_MAX = 1_000
_NAME_CHARS_MAX = 1_024


class Found(msgspec.Struct, frozen=True):
    """A message as stored."""

    version: int
    message: Message


class MessageReader(Protocol):
    """Reads single messages."""

    async def claims(self, tenant_id: str, ref: bytes) -> Claims | None:
        """Who claims a reference; None: it is unknown."""

    async def recipients(self, tenant_id: str, batch: bytes) -> list[Recipient]:
        """The messages under an id that may have several."""

    async def messages(self, tenant_id: str, keys: list[bytes]) -> dict[bytes, Found]:
        """The messages, those left out of which nothing is known that moves one."""

    async def history(
        self, tenant_id: str, keys: list[bytes], limit: int
    ) -> list[tuple[bytes, HistoryEntry]]:
        """What was told under any of the keys, with fingerprints, oldest first."""


async def get_message(
    reader: MessageReader,
    tenant_id: str,
    request: message_service_pb2.GetMessageRequest,
    *,
    is_address_shown: bool,
) -> message_service_pb2.Message:
    """Return one message with its attempts and at most ``HISTORY_MAX`` entries of history.

    Messages that no sender registered are found too, also those of which nothing but history is
    known (state UNSPECIFIED). What was told by the sender's reference is part of the history. Any
    attempt's id finds the message, which stands where the attempt that got furthest stands.

    Raises:
        InvalidArgument: the request names no message.
        NotFound: nothing was ever told about it.
    """
    _check(request)
    named = await _find(reader, tenant_id, request)
    if named is None:
        raise _not_found(request)
    ref = request.message_ref
    if (found := named.attempts.get(named.standing)) is not None:
        message = found.message
        if message.record is not None:
            ref = message.record.message_ref
    elif ref:
        message = Message(message_ref=ref)
    else:
        message = Message(request.provider, "", request.provider_message_id)
    keys = {named.standing, *named.attempts, *named.strays}
    if ref:
        keys.add(ref_key(tenant_id, ref))
    told = await reader.history(tenant_id, sorted(keys), HISTORY_MAX + 1)
    if found is None and not told:
        raise _not_found(request)
    events = [(entry, event_pb2.Event.FromString(entry.event)) for _, entry in told]
    version = found.version if found else 0
    answer = show_message(named.standing, version, message, is_address_shown, events)
    if len(named.attempts) > 1:
        attempts = {key: one.message for key, one in named.attempts.items()}
        answer.attempts.extend(show_attempts(attempts, named.standing, events))
    answer.history.extend(show_entry(entry, event) for entry, event in events[:HISTORY_MAX])
    answer.is_history_cut = len(events) > HISTORY_MAX
    return answer


class _Named(msgspec.Struct, frozen=True):
    """What a request names: the message that stands, and all attempts that are known, by key."""

    standing: bytes
    attempts: dict[bytes, Found]
    # Recipients that nobody recorded, of which was told what counts for it.
    strays: tuple[bytes, ...] = ()


async def _find(
    reader: MessageReader, tenant_id: str, request: message_service_pb2.GetMessageRequest
) -> _Named | None:
    """Find a message by its reference or by an attempt's id; None: the reference is unknown."""
    if request.message_ref:
        ref = ref_key(tenant_id, request.message_ref)
        claims = await reader.claims(tenant_id, ref)
        if claims is None:
            return None
        return await _of_ref(reader, tenant_id, ref, claims)
    names = names_of(
        tenant_id,
        request.provider,
        request.account,
        request.provider_message_id,
        request.recipient,
        side=ANSWERED,
    )
    key = names.key
    strays: tuple[bytes, ...] = ()
    found = await reader.messages(tenant_id, [key])
    if key not in found or found[key].message.record is None or found[key].message.forwarded:
        key, strays = await _only_recipient(reader, tenant_id, request.provider, names)
        found = await reader.messages(tenant_id, [key])
    if key in found and found[key].message.attempt_count:
        ref = own_ref(tenant_id, found[key].message)
        if ref and (claims := await reader.claims(tenant_id, ref)) is not None:
            named = await _of_ref(reader, tenant_id, ref, claims)
            return _Named(named.standing, named.attempts, strays)
    return _Named(key, found, strays)


async def _only_recipient(
    reader: MessageReader, tenant_id: str, provider: str, names: Names
) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the message that an id names, be it told without or with another recipient.

    Returns:
        Its key, and those of recipients that nobody recorded.
    """
    batch = names.batch_key or names.key
    recipients = await reader.recipients(tenant_id, batch)
    found = await reader.messages(tenant_id, [one.message_key for one in recipients])
    are_mail = provider in MAILERS or any(is_mail(one.message) for one in found.values())
    target = target_of(batch, recipients, are_mail=are_mail)
    if target and recipients:
        strays = (one.message_key for one in recipients if not one.is_recorded)
        return target, tuple(key for key in strays if key != target)
    if names.key == batch and len(recipients) == 1:
        return recipients[0].message_key, ()
    return names.key, ()


async def _of_ref(reader: MessageReader, tenant_id: str, ref: bytes, claims: Claims) -> _Named:
    standing = claims.standing or ref
    found = await reader.messages(tenant_id, sorted({standing, *claims.attempts(ref)}))
    own = {
        key: one
        for key, one in found.items()
        if key == standing or own_ref(tenant_id, one.message) == ref
    }
    return _Named(standing, own)


def _check(request: message_service_pb2.GetMessageRequest) -> None:
    for field in ("message_ref", "provider", "provider_message_id"):
        if len(getattr(request, field)) > _NAME_CHARS_MAX:
            raise InvalidArgument.of(field, f"At most {_NAME_CHARS_MAX} characters.")
    if request.message_ref:
        return
    if not request.provider and not request.provider_message_id:
        raise InvalidArgument.of(
            "message_ref", "Name the message: message_ref, or provider with provider_message_id."
        )
    if not request.provider:
        raise InvalidArgument.of("provider", "Required with provider_message_id, like 'meta'.")
    if not request.provider_message_id:
        raise InvalidArgument.of("provider_message_id", "Required with provider.")


def _not_found(request: message_service_pb2.GetMessageRequest) -> NotFound:
    metadata = {
        field: getattr(request, field)[:256]
        for field in ("message_ref", "provider", "provider_message_id")
        if getattr(request, field)
    }
    return NotFound(
        "Nothing was ever told about this message.", reason="MESSAGE_NOT_FOUND", metadata=metadata
    )
