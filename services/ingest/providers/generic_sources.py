"""The generic sources: what each writes where, and what its words mean.

Sources: SMPP 3.4 appendix B, Kannel's user guide, Jasmin's page on its HTTP API, and the vendors'
pages on delivery reports and inbound messages, as of 2026.
"""

from typing import Final

from services.ingest.providers.generic_dialect import Dialect, InboundPlaces, statuses_of
from services.ingest.providers.generic_values import paths_of

SMPP: Final = Dialect(
    statuses=statuses_of(
        {
            "ENROUTE": "sent",
            "ACCEPTD": "sent",
            "DELIVRD": "delivered",
            "EXPIRED": "undelivered",
            "UNDELIV": "undelivered",
            "REJECTD": "undelivered",
            "DELETED": "canceled",
            "UNKNOWN": "info",
            # As some bridges spell the states out.
            "ACCEPTED": "sent",
            "SCHEDULED": "queued",
            "DELIVERED": "delivered",
            "UNDELIVERABLE": "undelivered",
            "REJECTED": "undelivered",
            "FAILED": "undelivered",
            "SKIPPED": "undelivered",
            # `message_state` of a receipt that comes without a text (SMPP 3.4, 5.2.28).
            "1": "sent",
            "2": "delivered",
            "3": "undelivered",
            "4": "canceled",
            "5": "undelivered",
            "6": "sent",
            "7": "info",
            "8": "undelivered",
            "9": "undelivered",
        }
    ),
    # The bridge's own field before the receipt's: some centres write the one in hexadecimal and
    # the other in decimal.
    id=paths_of("provider_message_id|receipted_message_id|message_id|messageId|id|receipt.id"),
    receipt=paths_of("receipt|short_message|message|text|body|content|dlr"),
    status=paths_of("receipt.stat|message_state"),
    recipient=paths_of("recipient|source_addr|msisdn|to|from"),
    # In minutes, some centres in seconds, and in the centre's own zone.
    time=paths_of("receipt.done_date"),
    time_formats=("YYMMDDhhmm",),
    is_time_promised=True,
    error=paths_of("receipt.err"),
    reference=paths_of("reference|message_ref"),
    inbound=InboundPlaces(
        id=paths_of("message_id|messageId|id|provider_message_id"),
        person=paths_of("source_addr|from|msisdn|sender"),
        own=paths_of("destination_addr|dest_addr|to|recipient"),
        text=paths_of("short_message|message_payload|message|text|body|content"),
        time=paths_of("timestamp|time|ts|received_at"),
        reference=paths_of("sar_msg_ref_num|concat_ref"),
        part_count=paths_of("sar_total_segments|concat_total"),
    ),
)

# A sum of bits. What is proven more comes first: 1 with 8 is a delivery.
KANNEL: Final = Dialect(
    statuses=statuses_of(
        {"1": "delivered", "2": "undelivered", "16": "failed", "8": "sent", "4": "sent"}
    ),
    is_mask=True,
    id=paths_of("id|msgid|message_id"),
    status=paths_of("status|dlr|type"),
    recipient=paths_of("to|recipient|receiver|phone|msisdn"),
    time=paths_of("ts|time|timestamp"),
    error=paths_of("err|error"),
    # What the message centre answered ("NACK/11/...").
    detail=paths_of("answer|reply"),
    inbound=InboundPlaces(
        id=paths_of("id|msgid|message_id"),
        person=paths_of("sender|from|phone|msisdn"),
        own=paths_of("to|receiver|recipient|service"),
        text=paths_of("text|message|body|content"),
        time=paths_of("ts|time|timestamp"),
        keyword=paths_of("keyword"),
    ),
)

# Jasmin's HTTP API: it tries again until it hears its own word.
JASMIN: Final = Dialect(
    statuses={
        **SMPP.statuses,
        # Level 1: the message centre took it, or did not.
        **statuses_of({"ESME_ROK": "sent", "ESME_RINVDSTADR": "undelivered",
                       "ESME_RTHROTTLED": "failed", "ESME_RSUBMITFAIL": "failed"}),
    },
    id=paths_of("id"),
    status=paths_of("message_status"),
    recipient=paths_of("to"),
    time=paths_of("donedate"),
    time_formats=("YYMMDDhhmm",),
    error=paths_of("err"),
    inbound=InboundPlaces(
        id=paths_of("id"),
        person=paths_of("from"),
        own=paths_of("to"),
        text=paths_of("content"),
    ),
    answer="ACK/Jasmin",
)  # fmt: skip

CLICKATELL: Final = Dialect(
    vocabulary="clickatell",
    statuses=statuses_of(
        {
            "1": "info",  # unknown to Clickatell itself
            "2": "queued",
            "3": "sent",
            # "Received by recipient".
            "4": "delivered",
            "5": "failed",
            "6": "canceled",
            "7": "failed",
            "8": "queued",
            "9": "failed",
            "10": "undelivered",
            "11": "queued",
            "12": "failed",
            "13": "failed",
            "14": "failed",
            # The same in words, where the number is left out.
            "QUEUED": "queued",
            "MESSAGE_QUEUED": "queued",
            "MESSAGE_QUEUED_FOR_LATER_DELIVERY": "queued",
            "DELIVERED_TO_GATEWAY": "sent",
            "SENT_TO_SUPPLIER": "sent",
            "RECEIVED_BY_RECIPIENT": "delivered",
            "DELIVERED": "delivered",
            "DEVICE_ACK": "delivered",
            "READ": "read",
            "USER_CANCELLED_MESSAGE_DELIVERY": "canceled",
            "ERROR_WITH_MESSAGE": "failed",
            "ERROR_DELIVERING_MESSAGE": "failed",
            "ROUTING_ERROR": "failed",
            "MESSAGE_EXPIRED": "undelivered",
            "OUT_OF_CREDIT": "failed",
            "MAXIMUM_MT_LIMIT_EXCEEDED": "failed",
        }
    ),
    id=paths_of("messageId|apiMessageId|apiMsgId|apimsgid"),
    status=paths_of("statusCode|status"),
    recipient=paths_of("toNumber|to"),
    time=paths_of("timestamp"),
    # Milliseconds; the old interface tells seconds.
    time_formats=("ms", "s", "iso"),
    error=paths_of("errorCode|statusCode"),
    detail=paths_of("statusDescription|description"),
    reference=paths_of("clientMessageId|cliMsgId"),
    inbound=InboundPlaces(
        id=paths_of("messageId|moMsgId|apiMsgId"),
        person=paths_of("fromNumber|from"),
        own=paths_of("toNumber|to"),
        text=paths_of("text|moText|content"),
        time=paths_of("timestamp"),
        keyword=paths_of("keyword"),
        answered=paths_of("replyMessageId|repliedToMessageId"),
    ),
)

AFRICASTALKING: Final = Dialect(
    vocabulary="africastalking",
    statuses=statuses_of(
        {
            "Submitted": "sent",
            "Sent": "sent",
            "Buffered": "sent",
            "Success": "delivered",
            "Rejected": "failed",
            "Failed": "undelivered",
            "Expired": "undelivered",
            "AbsentSubscriber": "undelivered",
        }
    ),
    id=paths_of("id|messageId"),
    status=paths_of("status"),
    recipient=paths_of("phoneNumber"),
    # With and without a zone, and nearly always missing.
    time=paths_of("date|timestamp"),
    time_formats=("iso", "YYYY-MM-DD HH:MM:SS"),
    error=paths_of("failureReason"),
    inbound=InboundPlaces(
        id=paths_of("id|linkId"),
        person=paths_of("from"),
        own=paths_of("to"),
        text=paths_of("text"),
        time=paths_of("date"),
        keyword=paths_of("keyword"),
    ),
)

PLIVO: Final = Dialect(
    vocabulary="plivo",
    statuses=statuses_of(
        {
            "queued": "queued",
            "sent": "sent",
            "delivered": "delivered",
            "read": "read",
            "undelivered": "undelivered",
            "rejected": "failed",
            "failed": "failed",
        }
    ),
    # Each part of a long message has an id of its own; the send answered the parent's.
    id=paths_of("ParentMessageUUID|MessageUUID"),
    status=paths_of("Status|status"),
    recipient=paths_of("To"),
    time=paths_of("DeliveryReportTime|SentTime|QueuedTime"),
    time_formats=("iso", "YYYY-MM-DD HH:MM:SS"),
    error=paths_of("ErrorCode"),
    sender=paths_of("From"),
    part=paths_of("MessageUUID"),
    # "2 of 3".
    part_count=paths_of("PartInfo|Units"),
    inbound=InboundPlaces(
        id=paths_of("MessageUUID"),
        person=paths_of("From"),
        own=paths_of("To"),
        text=paths_of("Text|Body"),
        time=paths_of("MessageTime"),
        answered=paths_of("ContextMessageUUID|Context.MessageUUID"),
    ),
)

TELNYX: Final = Dialect(
    vocabulary="telnyx",
    statuses=statuses_of(
        {
            "queued": "queued",
            "sending": "queued",
            "sent": "sent",
            "delivered": "delivered",
            # Of WhatsApp and RCS.
            "read": "read",
            "sending_failed": "failed",
            "delivery_failed": "undelivered",
            "expired": "undelivered",
            # No report will come from that network: it left, and no more will be known.
            "delivery_unconfirmed": "sent",
            # An inbound message: it has no status of a message of ours.
            "webhook_delivered": "info",
        }
    ),
    items=("data", "payload", "to"),
    recipients=paths_of("^.data.payload.to"),
    id=paths_of("^.data.payload.id"),
    status=paths_of("status"),
    recipient=paths_of("phone_number"),
    time=paths_of("^.data.occurred_at|^.data.payload.completed_at|^.data.payload.sent_at"),
    time_formats=("iso",),
    error=paths_of("^.data.payload.errors.0.code"),
    detail=paths_of("^.data.payload.errors.0.detail|^.data.payload.errors.0.title"),
    sender=paths_of("^.data.payload.from.phone_number"),
    event=paths_of("^.data.event_type"),
    inbound=InboundPlaces(
        id=paths_of("data.payload.id"),
        person=paths_of("data.payload.from.phone_number|data.payload.from"),
        own=paths_of("data.payload.to.0.phone_number|data.payload.to"),
        text=paths_of("data.payload.text|data.payload.body.text.body"),
        time=paths_of("data.payload.received_at|data.occurred_at"),
        event=paths_of("data.event_type"),
        event_word="message.received",
    ),
)

BANDWIDTH: Final = Dialect(
    vocabulary="bandwidth",
    statuses=statuses_of(
        {
            "message-sending": "queued",
            "message-sent": "sent",
            "message-delivered": "delivered",
            "message-read": "read",
            "message-failed": "undelivered",
            # An inbound message: it has no status of a message of ours.
            "message-received": "info",
        }
    ),
    recipients=paths_of("message.to"),
    id=paths_of("message.id"),
    status=paths_of("type"),
    recipient=paths_of("to"),
    time=paths_of("time|message.time"),
    time_formats=("iso",),
    error=paths_of("errorCode"),
    detail=paths_of("description"),
    reference=paths_of("message.tag"),
    sender=paths_of("message.from"),
    inbound=InboundPlaces(
        id=paths_of("message.id"),
        person=paths_of("message.from"),
        own=paths_of("to|message.to.0|message.owner"),
        text=paths_of("message.text"),
        time=paths_of("message.time|time"),
        event=paths_of("type"),
        event_word="message-received",
    ),
)
