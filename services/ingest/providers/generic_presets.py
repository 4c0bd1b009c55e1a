"""Ready-made dialects of the generic adapter, and how to tell them apart by the shape of a body.

Sources: SMPP 3.4 appendix B, Kannel's user guide, and the vendors' pages on delivery reports, as of
September 2026.
"""

from typing import Any, Final

from services.ingest.providers.generic_dialect import Dialect, statuses_of
from services.ingest.providers.generic_values import paths_of, receipt_fields

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
        }
    ),
    # The bridge's own field before the receipt's: some centres write the one in hexadecimal and
    # the other in decimal.
    id=paths_of("provider_message_id|receipted_message_id|message_id|messageId|id|receipt.id"),
    receipt=paths_of("receipt|short_message|message|text|body|content|dlr"),
    status=paths_of("receipt.stat"),
    recipient=paths_of("recipient|source_addr|msisdn|to|from"),
    # In minutes, some centres in seconds, and in the centre's own zone.
    time=paths_of("receipt.done_date"),
    time_formats=("YYMMDDhhmm",),
    is_time_promised=True,
    error=paths_of("receipt.err"),
    reference=paths_of("reference|message_ref"),
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
)

CLICKATELL: Final = Dialect(
    statuses=statuses_of(
        {
            "1": "info",  # unknown to Clickatell itself
            "2": "queued",
            "3": "sent",
            # "Received by recipient" in one of its interfaces, "by the operator" in another:
            # taken for the weaker of the two.
            "4": "sent",
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
)

AFRICASTALKING: Final = Dialect(
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
)

PLIVO: Final = Dialect(
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
)

TELNYX: Final = Dialect(
    statuses=statuses_of(
        {
            "queued": "queued",
            "sending": "queued",
            "sent": "sent",
            "delivered": "delivered",
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
)

BANDWIDTH: Final = Dialect(
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
)

PRESETS: Final[dict[str, Dialect]] = {
    "smpp": SMPP,
    "kannel": KANNEL,
    "clickatell": CLICKATELL,
    "africastalking": AFRICASTALKING,
    "plivo": PLIVO,
    "telnyx": TELNYX,
    "bandwidth": BANDWIDTH,
}

# Items of a list that are looked at to tell what it is.
_LOOKED_AT: Final = 10


def detect(body: Any) -> Dialect | None:
    """Return the preset that a body looks like; None: like none."""
    if isinstance(body, list):
        return BANDWIDTH if any(map(_is_bandwidth, body[:_LOOKED_AT])) else None
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("data"), dict) and "event_type" in body["data"]:
        return TELNYX
    if any(isinstance(value, str) and receipt_fields(value) for value in body.values()):
        return SMPP
    if "MessageUUID" in body or "ParentMessageUUID" in body:
        return PLIVO
    if "statusCode" in body or "apiMsgId" in body:
        return CLICKATELL
    if "status" in body and "id" in body:
        return KANNEL if str(body["status"]).isdecimal() else AFRICASTALKING
    return None


def _is_bandwidth(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("type", "")).startswith("message-")
