"""Take what the sender's own systems saw people do."""

from typing import Final

from bluetick.v1 import common_pb2 as pb
from bluetick.v1 import ingest_service_pb2 as ingest
from bluetick.v1.event_pb2 import EventBatch
from bluetick.v1.ingest_service_pb2 import (
    EngagementRecord,
    RecordEngagementsRequest,
    RecordEngagementsResponse,
)

from libs.runtime.accounts import Accounts
from libs.runtime.keys import ref_key
from libs.runtime.message_ids import MAY_SEND_MAIL
from services.ingest.domain.addresses import from_sender
from services.ingest.domain.record_rules import (
    Faulty,
    check_required,
    check_texts,
    occur_time,
    provider_name,
)
from services.ingest.name_messages import NO_ACCOUNTS, MessageNames
from services.ingest.record_callback import EventSink
from services.ingest.record_messages import read_each

KIND_BY_ENGAGEMENT: Final = {
    ingest.ENGAGEMENT_KIND_CLICK: pb.EVENT_KIND_CLICKED,
    ingest.ENGAGEMENT_KIND_REPLY: pb.EVENT_KIND_REPLIED,
    ingest.ENGAGEMENT_KIND_UNSUBSCRIBE: pb.EVENT_KIND_UNSUBSCRIBED,
    ingest.ENGAGEMENT_KIND_RESUBSCRIBE: pb.EVENT_KIND_RESUBSCRIBED,
    ingest.ENGAGEMENT_KIND_COMPLAINT: pb.EVENT_KIND_COMPLAINED,
}
TEXT_LIMITS: Final = (
    ("engagement_id", 256),
    ("message_ref", 256),
    ("provider_message_id", 512),
    ("account", 64),
    ("address", 320),
    ("link_id", 128),
    ("url", 2_048),
    ("button_id", 256),
    ("button_title", 256),
)
# Who says that a machine did it.
SENDERS_RULE: Final = "sender"


async def record_engagements(
    request: RecordEngagementsRequest,
    *,
    tenant_id: str,
    now_us: int,
    events: EventSink,
    accounts: Accounts = NO_ACCOUNTS,
) -> RecordEngagementsResponse:
    """Store the acts that can work, and say of each other one why not.

    Returning means durable. A message is named as in a record: see ``record_messages``. An act of a
    message that nobody has recorded yet waits for it.

    Raises:
        InvalidArgument: no act at all, or more than 1,000.
        BrokerUnavailable: not stored for sure; send the request again.
    """

    names = MessageNames(tenant_id, accounts)

    def add(batch: EventBatch, record: EngagementRecord) -> None:
        _add_engagement(batch, record, names, now_us)

    batch, rejections = read_each("engagements", request.engagements, add)
    if batch.events:
        await events.submit(batch)
    return RecordEngagementsResponse(recorded_count=len(batch.events), rejections=rejections)


def _add_engagement(
    batch: EventBatch, record: EngagementRecord, names: MessageNames, now_us: int
) -> None:
    kind, provider = _check(record)
    account = names.account_of(provider, record)
    tenant_id = names.tenant_id
    told = occur_time("occur_time", record, now_us)
    event = batch.events.add(
        kind=kind,
        tenant_id=tenant_id,
        message_ref=record.message_ref,
        occur_time_us=told.time_us,
        is_time_clamped=told.is_clamped,
        receive_time_us=now_us,
    )
    if record.provider_message_id:
        event.provider = provider
        event.account = account
        names.name(event, record.provider_message_id, from_sender(record.address))
        if provider in MAY_SEND_MAIL and not event.batch_key:
            # If it is a mail's, it is the one that was sent under this id.
            event.batch_key = event.message_key
    else:
        event.message_key = ref_key(tenant_id, record.message_ref)
    engagement = event.engagement
    engagement.act_id = record.engagement_id
    engagement.link_id = record.link_id
    engagement.url = record.url
    engagement.button_id = record.button_id
    engagement.button_title = record.button_title
    engagement.card_index = record.card_index
    is_button = bool(record.button_id or record.button_title)
    engagement.is_tap = kind == pb.EVENT_KIND_REPLIED and is_button
    if record.is_machine:
        engagement.is_machine = True
        engagement.machine_rule = SENDERS_RULE


def _check(record: EngagementRecord) -> tuple[pb.EventKind.ValueType, str]:
    """Return the kind of the event and the provider.

    Raises:
        Faulty: the record cannot work.
    """
    check_required(
        "engagement_id", record.engagement_id, "send an id of the act, so that it counts once."
    )
    check_texts(record, TEXT_LIMITS)
    provider = provider_name(record.provider)
    kind = KIND_BY_ENGAGEMENT.get(record.kind)
    if kind is None:
        reason = "KIND_UNKNOWN" if record.kind else "KIND_MISSING"
        raise Faulty(reason, "kind: send CLICK, REPLY, UNSUBSCRIBE, RESUBSCRIBE or COMPLAINT.")
    if record.provider_message_id:
        check_required("provider", provider, 'name whose id provider_message_id is ("meta").')
    elif not record.message_ref:
        raise Faulty(
            "MESSAGE_MISSING",
            "message_ref: empty; name the message by it, or by provider and provider_message_id.",
        )
    return kind, provider
