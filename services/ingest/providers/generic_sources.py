"""Message centres and gateways: what each writes where, and what its words mean.

Sources: SMPP 3.4, Kannel's user guide, and Jasmin's page on its HTTP API, as of 2026.
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
        header=paths_of("udh"),
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
        header=paths_of("udh"),
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
