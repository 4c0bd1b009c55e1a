"""Shows a message as callers see it: the standing attempt, the others beside it."""

from collections.abc import Iterable, Mapping

from bluetick.v1 import change_pb2, common_pb2, event_pb2, message_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from libs.catalogue.failures import topic_for, transience
from services.status.domain.gathered import HistoryEntry
from services.status.domain.image import image
from services.status.domain.merge_rules import clean, split
from services.status.domain.message import Message
from services.status.domain.parts import parts_of
from services.status.domain.recipients import with_forwarded

_MICROSECONDS = 1_000_000
# What was told, and the event in which it was.
Told = list[tuple[HistoryEntry, event_pb2.Event]]


def mask(address: str) -> str:
    """Return the last two characters behind dots; nothing of an address that short."""
    if not address:
        return ""
    return "••••" + (address[-2:] if len(address) > 4 else "")


def _time(time_us: int) -> Timestamp | None:
    if not time_us:
        return None
    seconds, rest = divmod(time_us, _MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=rest * 1_000)


def show_message(
    key: bytes,
    version: int,
    message: Message,
    is_address_shown: bool,
    events: Told,
) -> message_service_pb2.Message:
    """Return a message without its history and its attempts."""
    message = with_forwarded(message)
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
        milestones=_milestones(seen),
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


def _milestones(seen: change_pb2.MessageImage) -> message_service_pb2.Milestones:
    return message_service_pb2.Milestones(
        **{name.removesuffix("_us"): _time(getattr(seen, name)) for name in _MILESTONES}
    )


def show_attempts(
    attempts: Mapping[bytes, Message], standing: bytes, events: Told
) -> Iterable[message_service_pb2.Attempt]:
    """Yield the attempts by key, the standing one first, then in the order of their hand-over."""
    for key in sorted(attempts, key=lambda k: (k != standing, attempts[k].accept_time_us, k)):
        message = with_forwarded(attempts[key])
        seen = image(message)
        attempt = message_service_pb2.Attempt(
            provider=message.provider,
            account=message.account,
            provider_message_id=message.provider_message_id,
            channel=seen.scope.channel,
            state=seen.state,
            milestones=_milestones(seen),
            is_standing=key == standing,
        )
        if message.pricing_time_us:
            attempt.pricing.ParseFromString(message.pricing)
        if message.failure_time_us:
            attempt.failure.CopyFrom(_failure(message, seen.undeliver_time_us != 0, events))
        yield attempt


_FAILURE_KINDS = (common_pb2.EVENT_KIND_UNDELIVERED, common_pb2.EVENT_KIND_DROPPED)


def _failure(message: Message, is_handed_over: bool, events: Told) -> message_service_pb2.Failure:
    stage = (
        common_pb2.FAILURE_STAGE_UNDELIVERED if is_handed_over else common_pb2.FAILURE_STAGE_DROPPED
    )
    told = [
        event
        for entry, event in events
        if entry.kind in _FAILURE_KINDS
        and entry.occur_time_us == message.failure_time_us
        and clean(event.provider_code) == message.failure_code
    ]
    details = sorted(event.detail for event in told)
    # Whoever read the callback knew which source's code it is.
    topic = max((event.topic for event in told), default=0)
    return message_service_pb2.Failure(
        stage=stage,
        reason=message.failure_reason,  # type: ignore[arg-type]
        provider_code=message.failure_code,
        detail=details[-1] if details else "",
        provider_codes=split(message.failure_codes),
        transience=transience(  # type: ignore[arg-type]
            message.provider, message.failure_code, stage, message.failure_reason
        ),
        topic=topic or topic_for(message.provider, message.failure_code, stage),  # type: ignore[arg-type]
    )


def show_entry(entry: HistoryEntry, event: event_pb2.Event) -> message_service_pb2.HistoryEntry:
    """Return one thing that was told."""
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
