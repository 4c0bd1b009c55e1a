"""Answers what is known of one message, with everything told about it."""

from typing import Protocol

import msgspec
from bluetick.v1 import common_pb2, event_pb2, message_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from libs.catalogue.failures import topic_for, transience
from libs.runtime.keys import ref_key
from libs.runtime.message_ids import ANSWERED, names_of
from libs.runtime.rpc_errors import InvalidArgument, NotFound
from services.status.domain.gather import HistoryEntry
from services.status.domain.image import image
from services.status.domain.message import Message, clean, split
from services.status.domain.parts import parts_of

HISTORY_MAX = 1_000
_NAME_CHARS_MAX = 1_024
_MICROSECONDS = 1_000_000


class Found(msgspec.Struct, frozen=True):
    """A message as stored."""

    version: int
    message: Message


class MessageReader(Protocol):
    """Reads single messages."""

    async def standing_key(self, tenant_id: str, ref: bytes) -> bytes | None:
        """Who stands for a reference; empty: only acts came so far; None: it is unknown."""

    async def message(self, tenant_id: str, key: bytes) -> Found | None:
        """The message; None if nothing that moves one is known."""

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
    """Return one message with at most ``HISTORY_MAX`` entries of history.

    Messages that no sender registered are found too, also those of which nothing but history is
    known (state UNSPECIFIED). What was told by the sender's reference is part of the history.

    Raises:
        InvalidArgument: the request names no message.
        NotFound: nothing was ever told about it.
    """
    _check(request)
    ref = request.message_ref
    if ref:
        key = await reader.standing_key(tenant_id, ref_key(tenant_id, ref))
        if key is None:
            raise _not_found(request)
        key = key or ref_key(tenant_id, ref)
    else:
        key = names_of(
            tenant_id,
            request.provider,
            request.account,
            request.provider_message_id,
            request.recipient,
            side=ANSWERED,
        ).key
    found = await reader.message(tenant_id, key)
    message = found.message if found else Message("", "", "", ref)
    if message.record is not None:
        ref = message.record.message_ref
    keys = sorted({key, ref_key(tenant_id, ref)} if ref else {key})
    told = await reader.history(tenant_id, keys, HISTORY_MAX + 1)
    if found is None and not told:
        raise _not_found(request)
    if found is None and not request.message_ref:
        message = Message(request.provider, "", request.provider_message_id)
    events = [(entry, event_pb2.Event.FromString(entry.event)) for _, entry in told]
    answer = _answer(key, found.version if found else 0, message, is_address_shown, events)
    answer.history.extend(_entry(entry, event) for entry, event in events[:HISTORY_MAX])
    answer.is_history_cut = len(events) > HISTORY_MAX
    return answer


def mask(address: str) -> str:
    """Return the last two characters behind dots; nothing of an address that short."""
    if not address:
        return ""
    return "••••" + (address[-2:] if len(address) > 4 else "")


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


def _time(time_us: int) -> Timestamp | None:
    if not time_us:
        return None
    seconds, rest = divmod(time_us, _MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def _answer(
    key: bytes,
    version: int,
    message: Message,
    is_address_shown: bool,
    events: list[tuple[HistoryEntry, event_pb2.Event]],
) -> message_service_pb2.Message:
    seen = image(message)
    record = message.record
    told_address = next((event.address for _, event in events if event.address), "")
    address = record.address if record else told_address
    answer = message_service_pb2.Message(
        message_id=key.hex(),
        message_ref=record.message_ref if record else message.message_ref,
        provider=message.provider,
        account=message.account,
        provider_message_id=message.provider_message_id,
        state=seen.state,
        milestones=message_service_pb2.Milestones(
            **{name.removesuffix("_us"): _time(getattr(seen, name)) for name in _MILESTONES}
        ),
        is_recovered=seen.is_recovered,
        is_deliver_inferred=seen.is_deliver_inferred,
        is_read_inferred=bool(seen.read_time_us or seen.evidence_time_us),
        version=version,
        is_registered=record is not None,
        address=address if is_address_shown else mask(address),
        click_count=seen.click_count,
        reply_count=seen.reply_count,
        tap_count=seen.tap_count,
    )
    answer.parts.extend(
        message_service_pb2.MessagePart(
            part_id=part.part_id,
            state=part.state,
            deliver_time=_time(part.deliver_time_us),
            undeliver_time=_time(part.undeliver_time_us),
        )
        for part in parts_of(message)
    )
    if record is not None:
        answer.registration.ParseFromString(record.registration)
        # The pseudonym is for counting inside, not for callers.
        answer.registration.ClearField("person_key")
    if message.pricing_time_us:
        answer.pricing.ParseFromString(message.pricing)
    if message.failure_time_us:
        answer.failure.CopyFrom(_failure(message, seen.undeliver_time_us != 0, events))
    return answer


_MILESTONES = tuple(
    f"{field.name}_us" for field in message_service_pb2.Milestones.DESCRIPTOR.fields
)
_FAILURE_KINDS = (common_pb2.EVENT_KIND_UNDELIVERED, common_pb2.EVENT_KIND_DROPPED)


def _failure(
    message: Message, is_handed_over: bool, events: list[tuple[HistoryEntry, event_pb2.Event]]
) -> message_service_pb2.Failure:
    stage = (
        common_pb2.FAILURE_STAGE_UNDELIVERED if is_handed_over else common_pb2.FAILURE_STAGE_DROPPED
    )
    details = sorted(
        event.detail
        for entry, event in events
        if entry.kind in _FAILURE_KINDS
        and entry.occur_time_us == message.failure_time_us
        and clean(event.provider_code) == message.failure_code
    )
    return message_service_pb2.Failure(
        stage=stage,
        reason=message.failure_reason,  # type: ignore[arg-type]
        provider_code=message.failure_code,
        detail=details[-1] if details else "",
        provider_codes=split(message.failure_codes),
        transience=transience(  # type: ignore[arg-type]
            message.provider, message.failure_code, stage, message.failure_reason
        ),
        topic=topic_for(message.provider, message.failure_code, stage),  # type: ignore[arg-type]
    )


def _entry(entry: HistoryEntry, event: event_pb2.Event) -> message_service_pb2.HistoryEntry:
    return message_service_pb2.HistoryEntry(
        kind=event.kind,
        occur_time=_time(entry.occur_time_us),
        receive_time=_time(entry.receive_time_us),
        provider_word=event.provider_word,
        provider_code=event.provider_code,
        reason=event.reason,
        detail=event.detail,
        engagement=event.engagement if event.HasField("engagement") else None,
        pricing=event.pricing if event.HasField("pricing") else None,
        is_time_clamped=event.is_time_clamped,
    )
