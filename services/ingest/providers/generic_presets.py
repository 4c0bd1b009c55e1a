"""Which generic sources are known by name, and how to tell them apart by the shape of a body."""

from typing import Any, Final

from services.ingest.providers.generic_dialect import Dialect
from services.ingest.providers.generic_sources import JASMIN, KANNEL, SMPP
from services.ingest.providers.generic_values import receipt_fields
from services.ingest.providers.generic_vendors import (
    AFRICASTALKING,
    BANDWIDTH,
    CLICKATELL,
    PLIVO,
    TELNYX,
)

PRESETS: Final[dict[str, Dialect]] = {
    "smpp": SMPP,
    "kannel": KANNEL,
    "jasmin": JASMIN,
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
    if "message_status" in body or "origin-connector" in body:
        return JASMIN
    if "statusCode" in body or "apiMsgId" in body or "moMsgId" in body or "fromNumber" in body:
        return CLICKATELL
    if "status" in body and "id" in body:
        return KANNEL if str(body["status"]).isdecimal() else AFRICASTALKING
    if body.keys() == {"phoneNumber", "senderId"}:
        return AFRICASTALKING
    if "linkId" in body or {"from", "text", "id", "date"} <= body.keys():
        return AFRICASTALKING
    if "source_addr" in body and "short_message" in body:
        return SMPP
    return KANNEL if {"sender", "message"} <= body.keys() else None


def _is_bandwidth(item: Any) -> bool:
    return isinstance(item, dict) and str(item.get("type", "")).startswith("message-")
