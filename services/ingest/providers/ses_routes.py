"""The ways by which SES's events come to a door, told apart by the shape of the body.

- SNS: an envelope, signed (`sns_envelope.py`). With "raw message delivery" on, the event comes
  without it, and so without any proof.
- EventBridge: ``{"detail-type": ..., "source": "aws.ses", "detail": event}``, through an API
  destination, whose connection brings a credential.
- Firehose: ``{"requestId", "timestamp", "records": [{"data": base64}]}``, with an access key in a
  header; it wants its request id back, as JSON.

Sources: the developer guides of SNS, EventBridge ("API destinations") and Firehose ("HTTP endpoint
delivery request and response specifications").
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from services.ingest.domain.fields import Unreadable, list_at, object_at, text
from services.ingest.providers.decoding import check_density, without_mark

Envelope = Mapping[str, Any]

SNS: Final = "sns"
RAW: Final = "raw"
EVENT_BRIDGE: Final = "eventbridge"
FIREHOSE: Final = "firehose"

FIREHOSE_KEY_HEADER: Final = "x-amz-firehose-access-key"
FIREHOSE_ID_HEADER: Final = "x-amz-firehose-request-id"
RAW_HEADER: Final = "x-amz-sns-rawdelivery"
# Firehose's limit of a request is far below.
RECORDS_MAX: Final = 10_000

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def envelope_of(body: bytes) -> Mapping[str, Any]:
    """Return the body as an object; empty if it is none.

    Nothing is proven yet, so nothing is mended: Amazon writes clean JSON.
    """
    try:
        check_density(body)
        return _decode(without_mark(body))
    except (ValueError, RecursionError):
        return {}


def route_of(envelope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return by which way a body came."""
    if FIREHOSE_ID_HEADER in headers or isinstance(envelope.get("records"), list):
        return FIREHOSE
    if "detail-type" in envelope and isinstance(envelope.get("detail"), Mapping):
        return EVENT_BRIDGE
    is_raw = headers.get(RAW_HEADER, "").lower() == "true" or (
        "Signature" not in envelope and ("eventType" in envelope or "notificationType" in envelope)
    )
    return RAW if is_raw else SNS


def firehose_events(envelope: Mapping[str, Any]) -> Iterator[bytes]:
    """Give the events of a request of Firehose, each as JSON; a record may hold several lines.

    Raises:
        Unreadable: a record is none, or there are more than any request holds.
    """
    records = list_at(envelope, "records")
    if len(records) > RECORDS_MAX:
        raise Unreadable("PARTS_TOO_MANY", f"records: more than {RECORDS_MAX}")
    for index, record in enumerate(records):
        try:
            data = b64decode(text(record, "data"), validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("RECORD_NOT_BASE64", f"records[{index}].data: no base64") from None
        yield from (line for line in data.splitlines() if line.strip())


def firehose_answer(envelope: Mapping[str, Any], receive_time_us: int) -> bytes:
    """Return what Firehose must hear, else it delivers again."""
    answer = {"requestId": text(envelope, "requestId"), "timestamp": receive_time_us // 1_000}
    return msgspec.json.encode(answer)


def event_of_bridge(envelope: Mapping[str, Any]) -> bytes:
    """Return the event within an envelope of EventBridge, as JSON."""
    return msgspec.json.encode(object_at(envelope, "detail"))
