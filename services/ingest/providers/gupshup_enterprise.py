"""Gupshup Enterprise (enterprise.smsgupshup.com): its own reports, for WhatsApp and SMS.

Source: Gupshup Enterprise's guide on real-time delivery reports, and public receivers of them. One
or many reports as JSON in the field ``response`` (itself a text of JSON), as a bare list, or one as
the fields of a form or query. Message id: ``externalId``, which the answer to a send gives. Times
are milliseconds or seconds; the error code stands beside successes too ("000", "026").
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import lookup
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import Unreadable, first_text, needed_id, optional_id, text, word
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import milliseconds_or_seconds_us
from services.ingest.providers.bodies import add_report
from services.ingest.providers.decoding import json_value, without_mark
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import Inbound, add_inbound

KIND_BY_TYPE: Final = {
    "SENT": EVENT_KIND_SENT,
    "SUBMITTED": EVENT_KIND_SENT,
    "DELIVERED": EVENT_KIND_DELIVERED,
    "SUCCESS": EVENT_KIND_DELIVERED,
    "READ": EVENT_KIND_READ,
    "FAILED": EVENT_KIND_UNDELIVERED,
    "FAIL": EVENT_KIND_UNDELIVERED,
    "UNDELIVERED": EVENT_KIND_UNDELIVERED,
    "EXPIRED": EVENT_KIND_UNDELIVERED,
    "REJECTED": EVENT_KIND_DROPPED,
    "UNKNOWN": EVENT_KIND_INFO,
}
CHANNELS: Final = {"WHATSAPP": CHANNEL_WHATSAPP, "SMS": CHANNEL_SMS}
RESPONSE: Final = "response"
# Of its numbers, of which none is in the catalogue.
VOCABULARY: Final = "gupshup_enterprise"
_FORM_NAMES: Final = (b"response=", b"externalId=", b"waNumber=")
# Gupshup sends a thousand at most.
REPORTS_MAX: Final = 10_000


def is_enterprise(fields: Mapping[str, Any]) -> bool:
    """Say whether a body is Enterprise's."""
    return RESPONSE in fields or "externalId" in fields or ("waNumber" in fields)


def is_enterprise_form(body: bytes) -> bool:
    """Say whether a body is a form of Enterprise's."""
    is_json = without_mark(body[:64]).lstrip()[:1] in (b"{", b"[")
    return not is_json and any(name in body for name in _FORM_NAMES)


def add_enterprise(reading: Reading, fields: Mapping[str, Any], body: bytes) -> None:
    """Add what a body of Enterprise says.

    Raises:
        Unreadable: it is none, or a report lacks what it cannot do without.
    """
    if "waNumber" in fields:
        _add_inbound(reading, fields)
        return
    for report in _reports(fields):
        _add_report(reading, report, body)


def _reports(fields: Mapping[str, Any]) -> list[Any]:
    given = fields.get(RESPONSE)
    if given is None:
        if "externalId" not in fields:
            raise Unreadable("EVENT_WITHOUT_TYPE", "response and externalId: missing")
        return [fields]
    reports = json_value(given.encode(errors="replace")) if isinstance(given, str) else given
    if isinstance(reports, Mapping):
        reports = [reports]
    if not isinstance(reports, list) or not reports:
        raise Unreadable("BODY_NOT_A_LIST", "response: no list of reports")
    if len(reports) > REPORTS_MAX:
        raise Unreadable("PARTS_TOO_MANY", f"response: more than {REPORTS_MAX} reports")
    return reports


def _add_report(reading: Reading, report: Any, body: bytes) -> None:
    message_id = needed_id(report, "externalId", reason="STATUS_WITHOUT_ID")
    status = word(report, "eventType") or word(report, "status")
    kind = KIND_BY_TYPE.get(status.upper())
    told = report.get("eventTs") if "eventTs" in report else report.get("deliveredTS")
    event = add_report(
        reading, kind, status, milliseconds_or_seconds_us(told), message_id,
        body if kind is None else b"",
    )  # fmt: skip
    event.address = from_digits(optional_id(report, "destAddr", "phoneNo"))
    event.own_address = optional_id(report, "srcAddr")
    channel = CHANNELS.get(text(report, "channel").upper(), CHANNEL_UNSPECIFIED)
    event.channel = channel
    if kind in STAGE_BY_KIND:
        _explain(reading, event, word(report, "errorCode"), word(report, "cause"))


def _explain(reading: Reading, event: Event, code: str, cause: str) -> None:
    """Take the cause where it is known: the numbers beside it are other ones than WhatsApp's."""
    if lookup("gupshup", cause, STAGE_BY_KIND[event.kind]):
        explain(reading, event, [cause], cause)
    else:
        explain(reading, event, [code or cause], cause, vocabulary=VOCABULARY)


def _add_inbound(reading: Reading, fields: Mapping[str, Any]) -> None:
    """Add what a person wrote: ``mobile`` to ``waNumber``."""
    kind = word(fields, "type") or "text"
    tapped = fields.get("button") or fields.get("interactive")
    if isinstance(tapped, str):
        tapped = json_value(tapped.encode(errors="replace")) if tapped.startswith("{") else {}
    add_inbound(
        reading,
        Inbound(
            inbound_id=first_text(fields, "messageId", "id")
            or needed_id(fields, "timestamp", reason="MESSAGE_WITHOUT_ID"),
            word=kind,
            time_us=milliseconds_or_seconds_us(fields.get("timestamp")),
            person=from_digits(optional_id(fields, "mobile")),
            own_address=from_digits(optional_id(fields, "waNumber")),
            channel=CHANNEL_WHATSAPP,
            answered_id=optional_id(fields, "replyId"),
            content_type=kind,
            texts=(text(fields, "text"), text(fields, "caption")),
            is_tap=kind == "button" or bool(text(tapped, "payload")),
            button_id=text(tapped, "payload"),
            button_title=text(tapped, "text"),
        ),
    )
