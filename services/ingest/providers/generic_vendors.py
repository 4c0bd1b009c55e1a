"""Vendors that are read as generic sources: what each writes where, and what its words mean.

Sources: the vendors' pages on delivery reports and inbound messages, as of 2026.
"""

from typing import Final

from services.ingest.providers.generic_dialect import Dialect, InboundPlaces, statuses_of
from services.ingest.providers.generic_values import paths_of

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
        header=paths_of("udh"),
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
    leaver="phoneNumber",
    left="senderId",
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
