"""Take a sender's records of messages: handed over, dropped, or waiting."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from bluetick.v1 import common_pb2 as pb
from bluetick.v1.event_pb2 import Event, EventBatch
from bluetick.v1.ingest_service_pb2 import (
    MessageRecord,
    RecordMessagesRequest,
    RecordMessagesResponse,
    Rejection,
)

from libs.catalogue.countries import country_of
from libs.catalogue.failures import reason_for, topic_for
from libs.catalogue.markets import market_of
from libs.runtime.accounts import Accounts
from libs.runtime.addresses import canonical_address
from libs.runtime.keys import person_key, ref_key
from libs.runtime.rpc_errors import InvalidArgument
from services.ingest.count_unmapped import count_unmapped
from services.ingest.domain.addresses import (
    from_sender,
    is_group_id,
    is_reachable,
    mailbox_from_sender,
)
from services.ingest.domain.record_rules import (
    Faulty,
    ToldTime,
    check_attributes,
    check_required,
    check_texts,
    check_time_zone,
    occur_time,
    provider_name,
)
from services.ingest.name_messages import NO_ACCOUNTS, MessageNames
from services.ingest.record_callback import EventSink

RECORDS_MAX: Final = 1_000
TEXT_LIMITS: Final = (
    ("message_ref", 256),
    ("campaign_id", 128),
    ("contact_id", 256),
    ("address", 320),
    ("account", 64),
    ("provider_message_id", 512),
    ("sender", 320),
    ("template", 512),
    ("language", 35),
    ("category", 64),
    ("variant", 128),
    ("flow_id", 128),
    ("step_id", 128),
    ("segment", 128),
    ("branch_id", 128),
    ("time_zone", 64),
)
DROPPED_TEXT_LIMITS: Final = (("provider_code", 64), ("detail", 1_000))
REASONS: Final = frozenset(pb.FailureReason.values())
# What a registration has under the same name as the record.
_COPIED: Final = (
    "campaign_id", "contact_id", "channel", "sender", "template", "language", "category",
    "variant", "flow_id", "step_id", "segment", "branch_id", "time_zone",
)  # fmt: skip


# What two records of one message must agree in.
_OF_ONE_MESSAGE: Final = ("message_ref", "campaign_id", "contact_id")


async def record_messages(
    request: RecordMessagesRequest,
    *,
    tenant_id: str,
    now_us: int,
    events: EventSink,
    accounts: Accounts = NO_ACCOUNTS,
) -> RecordMessagesResponse:
    """Store the records that can work, and say of each other one why not.

    Returning means durable. The same record may come again: it is the same event. ``accounts`` are
    those of all tenants: where ids are unique in one account only, a record without one is of the
    tenant's only account of its provider.

    Raises:
        InvalidArgument: no record at all, or more than 1,000.
        BrokerUnavailable: not stored for sure; send the request again.
    """

    names = MessageNames(tenant_id, accounts)
    told: dict[bytes, MessageRecord] = {}

    def add(batch: EventBatch, record: MessageRecord) -> None:
        _add_record(batch, record, names, now_us)
        if record.provider_message_id:
            try:
                _check_agreement(record, told.setdefault(batch.events[-1].message_key, record))
            except Faulty:
                del batch.events[-1]
                raise

    batch, rejections = read_each("messages", request.messages, add)
    if batch.events:
        await events.submit(batch)
        count_unmapped(batch.events)
    return RecordMessagesResponse(recorded_count=len(batch.events), rejections=rejections)


def read_each(
    field: str, records: Sequence[Any], add: Callable[[EventBatch, Any], None]
) -> tuple[EventBatch, list[Rejection]]:
    """Let ``add`` make an event of each record; return the events and the rejections.

    Raises:
        InvalidArgument: no record at all, or more than 1,000.
    """
    if not records:
        raise InvalidArgument.of(field, "is empty; send 1 to 1,000.")
    if len(records) > RECORDS_MAX:
        raise InvalidArgument.of(
            field, f"has {len(records)} entries, the limit is 1,000; send several requests."
        )
    batch, rejections = EventBatch(), []
    for index, record in enumerate(records):
        try:
            add(batch, record)
        except Faulty as faulty:
            reason, detail = faulty.fault
            rejections.append(Rejection(index=index, reason=reason, detail=detail))
    return batch, rejections


def _add_record(batch: EventBatch, record: MessageRecord, names: MessageNames, now_us: int) -> None:
    provider, address = _check(record)
    account = names.account_of(provider, record)
    outcome = record.WhichOneof("outcome")
    if outcome == "accepted":
        kind = pb.EVENT_KIND_ACCEPTED
        told = occur_time("accept_time", record.accepted, now_us)
    elif outcome == "dropped":
        kind = pb.EVENT_KIND_DROPPED
        told = occur_time("drop_time", record.dropped, now_us)
    else:
        kind, told = pb.EVENT_KIND_QUEUED, ToldTime(now_us, is_clamped=False)

    # Everything was checked: from here on nothing is turned away, so no half event stays behind.
    event = batch.events.add(
        kind=kind,
        tenant_id=names.tenant_id,
        provider=provider,
        account=account,
        message_ref=record.message_ref,
        address=address,
        occur_time_us=told.time_us,
        is_time_clamped=told.is_clamped,
        receive_time_us=now_us,
    )
    if record.provider_message_id:
        names.name(event, record.provider_message_id, address)
    else:
        event.message_key = ref_key(names.tenant_id, record.message_ref)
    if outcome == "dropped":
        _add_failure(event, record)
    _add_registration(event, record)


def _check_agreement(record: MessageRecord, earlier: MessageRecord) -> None:
    """Compare two records of one request that name the same message.

    Those of different requests are compared where messages are stored, and counted there.

    Raises:
        Faulty: they cannot both be right.
    """
    for field in _OF_ONE_MESSAGE:
        if getattr(record, field) != getattr(earlier, field):
            raise Faulty(
                "RECORD_CONFLICT",
                f"{field}: an earlier record of this request names the same message with another "
                "one; an id belongs to one message. Where the provider gives one id for several "
                'people, send "id/recipient".',
            )


def _check(record: MessageRecord) -> tuple[str, str]:
    """Return the provider and the address in their one form.

    Raises:
        Faulty: the record cannot work.
    """
    check_required("message_ref", record.message_ref, "send your own id of the message.")
    check_texts(record, TEXT_LIMITS)
    if record.attributes:
        check_attributes(record.attributes)
    check_time_zone(record.time_zone)
    provider = provider_name(record.provider)
    if record.channel not in (pb.CHANNEL_WHATSAPP, pb.CHANNEL_SMS, pb.CHANNEL_EMAIL):
        reason = "CHANNEL_UNKNOWN" if record.channel else "CHANNEL_MISSING"
        raise Faulty(reason, "channel: send WHATSAPP, SMS or EMAIL.")
    is_dropped = record.HasField("dropped")
    if record.HasField("accepted") or record.provider_message_id:
        check_required("provider", provider, 'name who took the message ("meta").')
    if record.HasField("accepted"):
        check_required(
            "provider_message_id",
            record.provider_message_id,
            "send the id that the provider answered with; a message without one was dropped.",
        )
    if is_dropped:
        check_texts(record.dropped, DROPPED_TEXT_LIMITS)
        if record.dropped.reason not in REASONS:
            raise Faulty("REASON_UNKNOWN", "dropped.reason: no reason of this version; leave it "
                         "out and send provider_code.")  # fmt: skip
    return provider, _address(record, is_dropped=is_dropped)


def _address(record: MessageRecord, *, is_dropped: bool) -> str:
    is_phone = record.channel != pb.CHANNEL_EMAIL
    address = from_sender(record.address) if is_phone else mailbox_from_sender(record.address)
    if is_dropped:
        # A malformed address may be the very reason of the drop.
        return address
    if not record.address and record.contact_id:
        return ""
    check_required("address", record.address, "send the phone number or mailbox, or contact_id.")
    is_group = record.channel == pb.CHANNEL_WHATSAPP and is_group_id(address)
    if not is_reachable(address) and not is_group:
        raise Faulty(
            "ADDRESS_MALFORMED",
            'address: no phone number in E.164 ("+" and 6 to 15 digits), mailbox, user id or, on '
            "WhatsApp, group id; write it so, or record the message as dropped.",
        )
    return address


def _add_failure(event: Event, record: MessageRecord) -> None:
    dropped = record.dropped
    event.provider_code = dropped.provider_code
    event.detail = dropped.detail
    # An id proves that the provider had it: then it failed after the hand-over.
    stage = pb.FAILURE_STAGE_UNDELIVERED if record.provider_message_id else pb.FAILURE_STAGE_DROPPED
    event.reason = dropped.reason or reason_for(  # type: ignore[assignment]
        event.provider, dropped.provider_code, stage
    )
    event.topic = topic_for(event.provider, dropped.provider_code, stage)  # type: ignore[assignment]


def _add_registration(event: Event, record: MessageRecord) -> None:
    registration = event.registration
    for name in _COPIED:
        if value := getattr(record, name):
            setattr(registration, name, value)
    if record.attributes:
        registration.attributes.update(record.attributes)
    registration.country = country_of(event.address)
    if record.channel == pb.CHANNEL_WHATSAPP:
        registration.market = market_of(event.address, event.occur_time_us)
    # Without a contact's id the address is the person, in whichever form it was written.
    person = record.contact_id or canonical_address(event.address)
    if person:
        registration.person_key = person_key(event.tenant_id, person)
