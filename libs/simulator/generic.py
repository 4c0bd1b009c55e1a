"""Delivery receipts of operators and small gateways, each in its own form. Nothing is signed.

Shapes: SMPP 3.4 appendix B, Kannel's user guide, and the pages of Africa's Talking, Plivo,
Telnyx and Bandwidth on delivery reports (read 2026-09). An account would see one of them; this one
sees all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import DELIVERY_KINDS, Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import form_text, iso_time, json_body, uuid_of

_JSON = (("Content-Type", "application/json"),)
_FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
_SMPP = {
    FactKind.SENT: "ACCEPTD",
    FactKind.DELIVERED: "DELIVRD",
    FactKind.FAILED: "UNDELIV",
}
_KANNEL = {FactKind.SENT: "8", FactKind.DELIVERED: "1", FactKind.FAILED: "2"}
_AFRICASTALKING = {
    FactKind.SENT: "Sent",
    FactKind.DELIVERED: "Success",
    FactKind.FAILED: "Failed",
}
_TELNYX = {
    FactKind.SENT: "sent",
    FactKind.DELIVERED: "delivered",
    FactKind.FAILED: "delivery_failed",
}
_PLIVO = {
    FactKind.SENT: "sent",
    FactKind.DELIVERED: "delivered",
    FactKind.FAILED: "undelivered",
}
_BANDWIDTH = {
    FactKind.SENT: "message-sent",
    FactKind.DELIVERED: "message-delivered",
    FactKind.FAILED: "message-failed",
}


class GenericProvider(SimulatedProvider):
    """Renders receipts of an account that says nothing about their form."""

    name = "generic"
    kinds_by_channel: ClassVar = {Channel.SMS: DELIVERY_KINDS}
    # The catalogue has no vocabulary of theirs: the codes stay visible as they are.
    failures_by_channel: ClassVar = {
        Channel.SMS: (Failure(2, "001", "UNMAPPED"), Failure(1, "069", "UNMAPPED")),
    }

    # Plivo's form does.
    reports_parts: ClassVar = True

    @property
    def updates_max(self) -> int:
        """Bandwidth sends lists."""
        return 100

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """Sixteen hexadecimal digits."""
        return chance.randbytes(8).hex()

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One receipt in any form, or a list of them."""
        if emissions[0].fact.part:
            return _plivo(emissions[0])
        if len(emissions) == 1:
            return chance.choice(_WRITERS)(emissions[0])
        body = json_body([_bandwidth_item(emission) for emission in emissions])
        return Callback(headers=_JSON, body=body, update_count=len(emissions))


def _smpp(emission: Emission) -> Callback:
    fact = emission.fact
    done = f"{datetime.fromtimestamp(emission.occur_time_s, UTC):%y%m%d%H%M}"
    is_delivered = int(fact.kind is FactKind.DELIVERED)
    receipt = (
        f"id:{fact.message.provider_message_id} sub:001 dlvrd:00{is_delivered} "
        f"submit date:{done} done date:{done} stat:{_SMPP[fact.kind]} "
        f"err:{fact.code or '000'} text:Spring sale"
    )
    form = form_text((("source_addr", fact.message.address), ("receipt", receipt)))
    return Callback(headers=_FORM, body=form.encode(), update_count=1)


def _kannel(emission: Emission) -> Callback:
    fact = emission.fact
    fields = {
        "id": fact.message.provider_message_id,
        "status": _KANNEL[fact.kind],
        "to": fact.message.address,
        "ts": str(emission.occur_time_s),
    }
    if fact.code:
        fields["err"] = fact.code
    query = form_text(fields.items())
    return Callback(headers=(), body=b"", update_count=1, method="GET", query=query)


def _africastalking(emission: Emission) -> Callback:
    fact = emission.fact
    fields = {
        "id": fact.message.provider_message_id,
        "status": _AFRICASTALKING[fact.kind],
        "phoneNumber": fact.message.address,
        "networkCode": "62120",
    }
    if fact.code:
        fields["failureReason"] = fact.code
    return Callback(headers=_FORM, body=form_text(fields.items()).encode(), update_count=1)


def _plivo(emission: Emission) -> Callback:
    """One part of a message, with an id of its own beside the message's."""
    fact = emission.fact
    message_id = fact.message.provider_message_id
    fields = {
        "MessageUUID": uuid_of(f"{message_id}.{fact.part}"),
        "ParentMessageUUID": message_id,
        "Status": _PLIVO[fact.kind],
        "To": fact.message.address.removeprefix("+"),
        "PartInfo": f"{fact.part} of {fact.message.part_count}",
        "DeliveryReportTime": iso_time(emission.occur_time_s, zone="+00:00", digits=0),
    }
    if fact.code:
        fields["ErrorCode"] = fact.code
    return Callback(headers=_FORM, body=form_text(fields.items()).encode(), update_count=1)


def _telnyx(emission: Emission) -> Callback:
    fact = emission.fact
    is_sent = fact.kind is FactKind.SENT
    payload: dict[str, Any] = {
        "id": fact.message.provider_message_id,
        "direction": "outbound",
        "to": [{"phone_number": fact.message.address, "status": _TELNYX[fact.kind]}],
        "errors": [{"code": fact.code, "title": "simulated"}] if fact.code else [],
    }
    data = {
        "event_type": "message.sent" if is_sent else "message.finalized",
        "id": uuid_of(fact.fact_id),
        "occurred_at": iso_time(emission.occur_time_s, zone="+00:00"),
        "record_type": "event",
        "payload": payload,
    }
    return Callback(headers=_JSON, body=json_body({"data": data}), update_count=1)


def _bandwidth(emission: Emission) -> Callback:
    return Callback(headers=_JSON, body=json_body([_bandwidth_item(emission)]), update_count=1)


def _bandwidth_item(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    item: dict[str, Any] = {
        "type": _BANDWIDTH[fact.kind],
        "time": iso_time(emission.occur_time_s),
        "to": fact.message.address,
        "description": "simulated",
        "message": {
            "id": fact.message.provider_message_id,
            "to": [fact.message.address],
            "direction": "out",
        },
    }
    if fact.code:
        item["errorCode"] = int(fact.code)
    return item


_WRITERS: tuple[Callable[[Emission], Callback], ...] = (
    _smpp,
    _kannel,
    _africastalking,
    _telnyx,
    _bandwidth,
)
