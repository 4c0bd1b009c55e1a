"""Pre-merges a pulled batch by message, so that the database sees each message once.

The inner loop runs for every event, tens of thousands a second: fields are read once, and what
needs no object gets none.
"""
# One condition a line reads like the table that it is.
# ruff: noqa: SIM102

from collections.abc import Iterable
from hashlib import blake2b

import msgspec
from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_PLAYED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)
from bluetick.v1.event_pb2 import DoorReport, Event, EventBatch, Quarantined

from libs.catalogue.failures import reason_after_hand_over
from libs.runtime.keys import ref_key
from services.status.domain.addresses import address_key
from services.status.domain.facts import FACT_KINDS, Fact, prove
from services.status.domain.message import (
    Message,
    Record,
    clean_code,
    fail,
    first_name,
    price,
    register,
)

# (tenant_id, 16 bytes): a message or a reference.
Key = tuple[str, bytes]
# (tenant_id, address_key, fact_id, fingerprint): one way in which an act was told by an address.
ActPlace = tuple[str, bytes, str, bytes]
FINGERPRINT_BYTES = 16
# Stands where an act names its message by reference only.
_NOBODY = Message()


class HistoryEntry(msgspec.Struct, frozen=True, gc=False):
    """One thing told about a message. Unique by (message, ``fingerprint``)."""

    kind: int
    occur_time_us: int
    receive_time_us: int
    event: bytes  # bluetick.v1.Event without identity and receive time


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something told about no message. Unique by (tenant, ``fingerprint``)."""

    provider: str
    account: str
    kind: int
    occur_time_us: int
    receive_time_us: int
    event: bytes


class Gathered(msgspec.Struct):
    """What a batch says, merged. Everything in it is a set: order and repeats are gone."""

    messages: dict[Key, Message] = {}
    # (tenant_id, message_key or ref_key, fact_id)
    facts: dict[tuple[str, bytes, str], Fact] = {}
    ref_facts: dict[tuple[str, bytes, str], Fact] = {}
    # Reference -> messages whose records name it.
    claims: dict[Key, set[bytes]] = {}
    # (tenant_id, message_key, fingerprint)
    history: dict[tuple[str, bytes, bytes], HistoryEntry] = {}
    notices: dict[tuple[str, bytes], Notice] = {}
    # Acts that name no message.
    address_acts: dict[ActPlace, Fact] = {}
    # (tenant_id, quarantine_key) -> content, and the times at which it was received.
    quarantined: dict[Key, Quarantined] = {}
    receipts: set[tuple[str, bytes, int]] = set()
    # By tenant and report id.
    door_reports: dict[Key, DoorReport] = {}
    event_count: int = 0


def gather(batches: Iterable[EventBatch]) -> Gathered:
    """Merge batches into one. The batches are used up: their events are changed on the way."""
    gathered = Gathered()
    for batch in batches:
        gathered.event_count += len(batch.events)
        _gather_events(gathered, batch.events)
        for quarantined in batch.quarantined:
            _gather_quarantined(gathered, quarantined)
        for report in batch.door_reports:
            gathered.door_reports[report.tenant_id, report.report_id] = report
    return gathered


def advance(message: Message, event: Event) -> None:
    """Merge one event into ``message``, which is changed. Acts are proven here, not counted."""
    kind = event.kind
    time_us = occur_time_of(event)
    _absorb(message, event, kind, time_us)
    if kind in FACT_KINDS and not event.engagement.is_withdrawn:
        prove(message, _fact(event, kind, time_us, b""))


def occur_time_of(event: Event) -> int:
    """Return when it happened; 0 means never, so a time that is missing must not be 0."""
    time_us = event.occur_time_us
    return time_us if time_us > 0 else max(event.receive_time_us, 1)


def _gather_events(gathered: Gathered, events: Iterable[Event]) -> None:
    messages, history = gathered.messages, gathered.history
    for event in events:
        message_key = event.message_key
        if not message_key:
            _gather_notice(gathered, event)
            continue
        tenant_id = event.tenant_id
        kind = event.kind
        time_us = event.occur_time_us
        if time_us <= 0:
            time_us = occur_time_of(event)
        # What is left after identity and receive time is what tells two reports apart.
        is_fact = kind in FACT_KINDS
        ref = event.message_ref
        by_ref = is_fact and bool(ref) and not event.provider_message_id
        message = _NOBODY
        if not by_ref:
            key = (tenant_id, message_key)
            known_message = messages.get(key)
            if known_message is None:
                known_message = messages[key] = Message(
                    event.provider, event.account, event.provider_message_id
                )
            message = known_message
            _absorb(message, event, kind, time_us)
            if event.HasField("registration"):
                _gather_record(gathered, message, event, kind, time_us)
        receive_us = event.receive_time_us
        stored = _history_bytes(event)
        fingerprint = blake2b(stored, digest_size=FINGERPRINT_BYTES).digest()
        place = (tenant_id, message_key, fingerprint)
        known = history.get(place)
        if known is None or receive_us < known.receive_time_us:
            history[place] = HistoryEntry(kind, time_us, receive_us, stored)
        if is_fact and not event.engagement.is_withdrawn:
            fact = _fact(event, kind, time_us, fingerprint)
            if by_ref:
                at = (tenant_id, ref_key(tenant_id, ref), fact.fact_id)
                gathered.ref_facts.setdefault(at, fact)
            else:
                prove(message, fact)
                gathered.facts.setdefault((tenant_id, message_key, fact.fact_id), fact)


def _history_bytes(event: Event) -> bytes:
    """Return the event without what its row already says and without what differs by delivery."""
    event.ClearField("message_key")
    event.ClearField("receive_time_us")
    event.ClearField("provider_message_id")
    event.ClearField("message_ref")
    event.ClearField("registration")
    return event.SerializeToString()


def _absorb(message: Message, event: Event, kind: int, time_us: int) -> None:
    """Merge what is not an act. Written out, since it runs for every event."""
    if kind == EVENT_KIND_DELIVERED:
        if not message.report_time_us or time_us < message.report_time_us:
            message.report_time_us = time_us
    elif kind == EVENT_KIND_SENT:
        if not message.send_time_us or time_us < message.send_time_us:
            message.send_time_us = time_us
    elif kind in (EVENT_KIND_READ, EVENT_KIND_PLAYED):
        if not message.read_time_us or time_us < message.read_time_us:
            message.read_time_us = time_us
        if not message.evidence_time_us or time_us < message.evidence_time_us:
            message.evidence_time_us = time_us
        if kind == EVENT_KIND_PLAYED:
            if not message.play_time_us or time_us < message.play_time_us:
                message.play_time_us = time_us
    elif kind == EVENT_KIND_ACCEPTED:
        if not message.accept_time_us or time_us < message.accept_time_us:
            message.accept_time_us = time_us
    elif kind == EVENT_KIND_UNDELIVERED:
        if not message.undeliver_time_us or time_us < message.undeliver_time_us:
            message.undeliver_time_us = time_us
        fail(message, time_us, clean_code(event.provider_code), event.reason)
    elif kind == EVENT_KIND_DROPPED:
        if not message.drop_time_us or time_us < message.drop_time_us:
            message.drop_time_us = time_us
        fail(message, time_us, clean_code(event.provider_code), _drop_reason(event))
    elif kind == EVENT_KIND_QUEUED:
        if not message.queue_time_us or time_us < message.queue_time_us:
            message.queue_time_us = time_us
    elif kind == EVENT_KIND_CANCELED:
        if not message.cancel_time_us or time_us < message.cancel_time_us:
            message.cancel_time_us = time_us
    _absorb_names(message, event)
    if event.HasField("pricing"):
        price(message, time_us, event.pricing.SerializeToString(deterministic=True))


def _drop_reason(event: Event) -> int:
    """Return the reason on the side of the hand-over where the message really failed.

    A provider's id proves the hand-over. Of a sender's own record the reason counts and not the
    code, since the sender may have said both.
    """
    if not event.provider_message_id:
        return event.reason
    code = "" if event.HasField("registration") else event.provider_code
    return reason_after_hand_over(event.provider, code, event.reason)


def _absorb_names(message: Message, event: Event) -> None:
    """Merge identities. All events of a message say the same, unless an account was renamed."""
    if (name := event.provider) != message.provider:
        message.provider = first_name(message.provider, name)
    if (name := event.account) != message.account:
        message.account = first_name(message.account, name)
    if (name := event.provider_message_id) != message.provider_message_id:
        message.provider_message_id = first_name(message.provider_message_id, name)
    if (name := event.message_ref) != message.message_ref:
        message.message_ref = first_name(message.message_ref, name)


def _fact(event: Event, kind: int, time_us: int, fingerprint: bytes) -> Fact:
    engagement = event.engagement
    return Fact(
        # Without an id of its own the whole report is the identity.
        engagement.fact_id or fingerprint.hex(),
        kind,
        time_us,
        engagement.SerializeToString(deterministic=True),
        engagement.is_tap,
        engagement.by_failure,
        engagement.is_machine,
    )


def record_of(event: Event) -> Record:
    """Return the sender's record that ``event`` carries."""
    registration = event.registration
    return Record(
        occur_time_of(event),
        registration.SerializeToString(deterministic=True),
        event.message_ref,
        event.address,
        registration.campaign_id,
        registration.contact_id,
        registration.person_key,
        event.kind,
    )


def _gather_record(
    gathered: Gathered, message: Message, event: Event, kind: int, time_us: int
) -> None:
    record = record_of(event)
    register(message, record)
    if record.message_ref:
        tenant_id = event.tenant_id
        at = (tenant_id, ref_key(tenant_id, record.message_ref))
        gathered.claims.setdefault(at, set()).add(event.message_key)


def _gather_notice(gathered: Gathered, event: Event) -> None:
    tenant_id, kind, receive_us = event.tenant_id, event.kind, event.receive_time_us
    time_us = occur_time_of(event)
    event.ClearField("receive_time_us")
    stored = event.SerializeToString(deterministic=True)
    place = (tenant_id, blake2b(stored, digest_size=FINGERPRINT_BYTES).digest())
    known = gathered.notices.get(place)
    if known is None or receive_us < known.receive_time_us:
        gathered.notices[place] = Notice(
            event.provider, event.account, kind, time_us, receive_us, stored
        )
    if kind in FACT_KINDS and not event.engagement.is_withdrawn and not _names_message(event):
        if at := address_key(tenant_id, event.address):
            fact = _fact(event, kind, time_us, place[1])
            gathered.address_acts[tenant_id, at, fact.fact_id, place[1]] = fact


def _names_message(event: Event) -> bool:
    return bool(event.provider_message_id or event.message_ref)


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
