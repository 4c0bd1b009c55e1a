"""MessageBird: SMS reports by GET, conversations as JSON; a token signs address and body.

Shapes: MessageBird's SMS reference and its Go SDK (read 2026-09). One SMS id covers several
recipients, so the sender records "id/recipient".
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import (
    DELIVERY_KINDS,
    STATUS_KINDS,
    TEXT_KINDS,
    Channel,
    Fact,
    FactKind,
    Failure,
)
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import form_text, hex_of, iso_time, json_body, signed_jwt

_REPORTS = {
    FactKind.SENT: "sent",
    FactKind.DELIVERED: "delivered",
    FactKind.FAILED: "delivery_failed",
}
_STATUSES = {
    FactKind.SENT: "transmitted",
    FactKind.DELIVERED: "delivered",
    FactKind.READ: "read",
    FactKind.FAILED: "delivery_failed",
}
_BUSINESS = "15550100200"


class MessageBirdProvider(SimulatedProvider):
    """Renders callbacks of one account, signed with its signing key."""

    name = "messagebird"
    kinds_by_channel: ClassVar = {
        Channel.SMS: DELIVERY_KINDS,
        Channel.WHATSAPP: STATUS_KINDS | TEXT_KINDS,
    }
    failures_by_channel: ClassVar = {
        Channel.SMS: (
            Failure(30, "1", "RECIPIENT_RELATED_ERRORS"),
            Failure(30, "27", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "34", "META_ERRORS"),
            Failure(10, "103", "RECIPIENT_RELATED_ERRORS", opts_out=True),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """32 hexadecimal digits; with the recipient behind them for an SMS."""
        message_id = chance.randbytes(16).hex()
        is_sms = self.channel is Channel.SMS
        return f"{message_id}/{address.lstrip('+')}" if is_sms else message_id

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One report, status or inbound message."""
        emission = emissions[0]
        if self.channel is Channel.SMS:
            query = form_text(_report(emission).items())
            return Callback(
                headers=(self._signature(emission, query, b""),),
                body=b"",
                update_count=1,
                method="GET",
                query=query,
            )
        body = json_body(_conversation(emission))
        headers = (("Content-Type", "application/json"), self._signature(emission, "", body))
        return Callback(headers=headers, body=body, update_count=1)

    def _signature(self, emission: Emission, query: str, body: bytes) -> tuple[str, str]:
        url = f"{self.url}?{query}" if query else self.url
        claims: dict[str, Any] = {
            "iss": "MessageBird",
            "nbf": emission.occur_time_s,
            "exp": emission.occur_time_s + 60,
            "jti": hex_of(emission.fact.fact_id),
            "url_hash": hashlib.sha256(url.encode()).hexdigest(),
        }
        if body:
            claims["payload_hash"] = hashlib.sha256(body).hexdigest()
        return ("MessageBird-Signature-JWT", signed_jwt(claims, self.secret))


def _report(emission: Emission) -> dict[str, str]:
    fact = emission.fact
    message_id, _, recipient = fact.message.provider_message_id.partition("/")
    report = {
        "id": message_id,
        "recipient": recipient,
        "status": _REPORTS[fact.kind],
        "statusDatetime": iso_time(emission.occur_time_s, zone="+00:00", digits=0),
        "mccmnc": "26201",
        "ported": "0",
        "messageLength": "40",
        "messagePartCount": "1",
    }
    if fact.kind is FactKind.FAILED:
        report |= {"statusReason": "simulated", "statusErrorCode": fact.code}
    return report


def _conversation(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    is_status = fact.kind in _STATUSES
    return {
        "type": "message.updated" if is_status else "message.created",
        "contact": {
            "msisdn": int(fact.message.address.lstrip("+")),
            "displayName": fact.message.profile_name,
        },
        "message": _status(emission) if is_status else _inbound(emission),
    }


def _status(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    status: dict[str, Any] = {
        "id": fact.message.provider_message_id,
        "platform": "whatsapp",
        "to": fact.message.address,
        "from": _BUSINESS,
        "direction": "sent",
        "status": _STATUSES[fact.kind],
        "type": "hsm",
        "createdDatetime": iso_time(fact.message.outcome_time_s),
        "updatedDatetime": iso_time(emission.occur_time_s),
    }
    if fact.kind is FactKind.FAILED:
        status["error"] = {"code": int(fact.code), "description": "simulated"}
    return status


def _inbound(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    return {
        "id": hex_of(fact.fact_id),
        "platform": "whatsapp",
        "to": _BUSINESS,
        "from": fact.message.address,
        "direction": "received",
        "status": "received",
        "createdDatetime": iso_time(emission.occur_time_s),
        "replyTo": {"id": fact.message.provider_message_id},
        **_content(fact),
    }


def _content(fact: Fact) -> dict[str, Any]:
    if fact.kind is FactKind.REPLY:
        return {"type": "text", "content": {"text": fact.text}}
    button = {"payload": fact.text.lower(), "text": fact.text}
    return {"type": "button", "content": {"button": button}}
