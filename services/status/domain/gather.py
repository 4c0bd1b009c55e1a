"""Sorts a pulled batch by message, so that the database sees each message once.

The inner loop runs for every event, tens of thousands a second: fields are read once, and what
needs no object gets none.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_DROPPED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
)
from bluetick.v1.event_pb2 import Event, EventBatch, Quarantined

from libs.runtime.keys import ref_key
from services.status.domain.acts import (
    ACT_KINDS,
    MAYBE_ACTS,
    Act,
    act_of,
    is_act,
    standing,
)
from services.status.domain.addresses import address_key
from services.status.domain.flaws import KEY_BYTES, REASON_MAX, SMALL_BYTES, find_flaw, refused
from services.status.domain.gathered import (
    ActPlace,
    Gathered,
    Key,
    Notice,
    fingerprint,
)
from services.status.domain.message import Record
from services.status.domain.origins import origin
from services.status.domain.people import OTHER_NAMES, take_names
from services.status.domain.recipients import BATCH_KEY

FAILURE_KINDS: Final = frozenset((EVENT_KIND_DROPPED, EVENT_KIND_UNDELIVERED))
_NUL: Final = b"\x00"


def gather(batches: Iterable[EventBatch]) -> Gathered:
    """Sort batches into one. They are used up: their events are changed on the way."""
    gathered = Gathered()
    for batch in batches:
        gather_into((gathered,), batch)
    return gathered


def lane_of(message_key: bytes, lanes: int) -> int:
    """Return the lane of a message; what is of no message goes into the first one."""
    return message_key[0] % lanes if message_key else 0


def gather_into(lanes: Sequence[Gathered], batch: EventBatch) -> list[int]:
    """Sort a batch into lanes by message; return the lanes that got anything, ascending."""
    parts: list[list[Event]] = [[] for _ in lanes]
    if len(lanes) == 1:
        parts[0] += batch.events
    else:
        count = len(lanes)
        for event in batch.events:
            key = event.message_key
            parts[key[0] % count if key else 0].append(event)
    for gathered, part in zip(lanes, parts, strict=True):
        if part:
            gathered.event_count += len(part)
            _gather_events(gathered, part)
    first = lanes[0]
    for quarantined in batch.quarantined:
        _gather_quarantined(first, quarantined)
    for report in batch.door_reports:
        first.door_reports[report.tenant_id, report.report_id] = report
    touched = [number for number, part in enumerate(parts) if part]
    if (batch.quarantined or batch.door_reports) and touched[:1] != [0]:
        return [0, *touched]
    return touched


def occur_time(time_us: int, receive_us: int) -> int:
    """Return when it happened; 0 means never, so a time that is missing must not be 0."""
    return time_us if time_us > 0 else max(receive_us, 1)


def _gather_events(gathered: Gathered, events: Iterable[Event]) -> None:
    told = gathered.told
    for event in events:
        message_key, tenant_id = event.message_key, event.tenant_id
        own_id, ref = event.provider_message_id, event.message_ref
        receive_us, time_us, kind = event.receive_time_us, event.occur_time_us, event.kind
        if time_us <= 0:
            time_us = occur_time(time_us, receive_us)
        record = _record_of(event, kind, time_us) if event.HasField("registration") else None
        stored = _history_bytes(event, record is not None or bool(ref))
        if OTHER_NAMES in stored:
            if names := take_names(event):
                gathered.joins.add((tenant_id, names))
            stored = event.SerializeToString()
        # A close look is hardly ever worth it. No number of protobuf's ends in a zero byte, so
        # one in the bytes is a NUL in a text, or something empty.
        if (
            _NUL in stored
            or len(stored) > SMALL_BYTES
            or (kind in FAILURE_KINDS and not 0 <= event.reason <= REASON_MAX)
            or (len(message_key) != KEY_BYTES and message_key)
            or "\x00" in own_id
            or "\x00" in ref
            or "\x00" in tenant_id
            or len(own_id) + len(ref) + len(tenant_id) > SMALL_BYTES
            or (record is not None and _is_record_suspect(record))
        ):
            whole = _restored(event, message_key, tenant_id, receive_us, own_id, ref, record)
            if flaw := find_flaw(whole):
                _gather_quarantined(gathered, refused(whole, flaw))
                continue
        if not message_key:
            _gather_notice(gathered, event, tenant_id, time_us, receive_us, own_id, ref)
            continue
        is_told: Event | None = event
        if kind in MAYBE_ACTS and is_act(kind, event):
            if ref and not own_id:
                # The act belongs to whichever message stands for the reference.
                is_told = None
                at = (tenant_id, ref_key(tenant_id, ref))
                _gather_act(gathered.ref_acts, at, event, time_us, stored)
            else:
                _gather_act(gathered.acts, (tenant_id, message_key), event, time_us, stored)
        elif kind == EVENT_KIND_UNKNOWN:
            # Two messages may have been told the same of.
            place = message_key + fingerprint(stored)
            gathered.unknown.append((tenant_id, place, stored, receive_us))
        if record is not None and is_told is not None and ref:
            at = (tenant_id, ref_key(tenant_id, ref))
            gathered.claims.setdefault(at, set()).add(message_key)
        if BATCH_KEY in stored and len(event.batch_key) == KEY_BYTES:
            gathered.batched[tenant_id, message_key] = event.batch_key
        telling = (kind, time_us, stored, receive_us, own_id, ref, is_told, record)
        key = (tenant_id, message_key)
        known = told.get(key)
        if known is None:
            told[key] = [telling]
        else:
            known.append(telling)


def _history_bytes(event: Event, has_more: bool) -> bytes:
    """Return the event without what its row says already and without what differs by delivery.

    What is left is what tells two reports apart. The event keeps what advances a message.
    """
    event.ClearField("message_key")
    event.ClearField("tenant_id")
    event.ClearField("receive_time_us")
    event.ClearField("provider_message_id")
    if has_more:
        event.ClearField("message_ref")
        event.ClearField("registration")
    if event.is_time_untold:
        event.ClearField("occur_time_us")
    return event.SerializeToString()


def _is_record_suspect(record: Record) -> bool:
    # The pseudonym is a hash, and may hold any byte.
    told = record.registration
    return len(told) > SMALL_BYTES or (
        _NUL in told and _NUL in told.replace(record.person_key, b"")
    )


def _restored(
    event: Event,
    message_key: bytes,
    tenant_id: str,
    receive_us: int,
    own_id: str,
    ref: str,
    record: Record | None,
) -> Event:
    """Return the event as it came, but for a time that is not told."""
    whole = Event()
    whole.CopyFrom(event)
    whole.message_key, whole.tenant_id, whole.receive_time_us = message_key, tenant_id, receive_us
    whole.provider_message_id, whole.message_ref = own_id, ref
    if record is not None:
        whole.registration.ParseFromString(record.registration)
    return whole


def _gather_act(
    acts: dict[ActPlace, Act], key: Key, event: Event, time_us: int, stored: bytes
) -> None:
    engagement = event.engagement
    if engagement.is_withdrawn and not engagement.is_replaceable:
        return
    # Without an id of its own the whole report is the identity.
    act_id = engagement.act_id or fingerprint(stored).hex()
    told = engagement.SerializeToString(deterministic=True)
    place = (*key, act_id)
    act = act_of(act_id, event.kind, time_us, engagement, told)
    acts[place] = standing(acts.get(place), act)


def _record_of(event: Event, kind: int, time_us: int) -> Record:
    registration = event.registration
    return Record(
        time_us,
        registration.SerializeToString(deterministic=True),
        event.message_ref,
        event.address,
        registration.campaign_id,
        registration.contact_id,
        registration.person_key,
        kind,
        registration.channel,
        registration.sender,
    )


def _gather_notice(
    gathered: Gathered,
    event: Event,
    tenant_id: str,
    time_us: int,
    receive_us: int,
    own_id: str,
    ref: str,
) -> None:
    event.tenant_id, event.provider_message_id, event.message_ref = tenant_id, own_id, ref
    stored = event.SerializeToString(deterministic=True)
    kind = event.kind
    place = (tenant_id, fingerprint(stored))
    known = gathered.notices.get(place)
    if known is None or receive_us < known.receive_time_us:
        gathered.notices[place] = Notice(
            event.provider, event.account, kind, time_us, receive_us, stored
        )
    engagement = event.engagement
    is_answer = not engagement.is_withdrawn and not engagement.answers_nothing
    if kind not in ACT_KINDS or not is_answer or own_id or ref:
        return
    if at := address_key(tenant_id, event.address):
        act_id = engagement.act_id or place[1].hex()
        told = engagement.SerializeToString(deterministic=True)
        act = act_of(act_id, kind, time_us, engagement, told)
        came_in = origin(event.channel, event.provider, event.account, event.own_address)
        gathered.address_acts[tenant_id, at, act_id, place[1]] = (act, came_in)


def _gather_quarantined(gathered: Gathered, quarantined: Quarantined) -> None:
    tenant_id = quarantined.tenant_id
    key = quarantined.quarantine_key
    at = (tenant_id, key)
    receive_us = quarantined.receive_time_us
    known = gathered.quarantined.get(at)
    if known is None or receive_us < known.receive_time_us:
        gathered.quarantined[at] = quarantined
    # A redelivery by the broker has the same time of receipt, a repeat by the provider another.
    gathered.receipts.add((tenant_id, key, receive_us))
