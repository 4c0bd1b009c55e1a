"""Vonage: one JSON object a callback, whose hash a token signs; SMS receipts by either method.

Shapes: Vonage's "Messages Status Callbacks", "Signed Webhooks" and the SMS API's specification
(read 2026-09).
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import (
    DELIVERY_KINDS,
    INBOUND_KINDS,
    STATUS_KINDS,
    Channel,
    Fact,
    FactKind,
    Failure,
)
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import (
    form_text,
    iso_time,
    json_body,
    new_uuid,
    signed_jwt,
    uuid_of,
)

_STATUSES = {
    FactKind.SENT: "submitted",
    FactKind.DELIVERED: "delivered",
    FactKind.READ: "read",
    FactKind.FAILED: "rejected",
}
_RECEIPTS = {
    FactKind.SENT: "accepted",
    FactKind.DELIVERED: "delivered",
    FactKind.FAILED: "failed",
}
_SENDER = "15550100200"


class VonageProvider(SimulatedProvider):
    """Renders callbacks of one application, signed with the account's signature secret."""

    name = "vonage"
    kinds_by_channel: ClassVar = {
        Channel.WHATSAPP: STATUS_KINDS | INBOUND_KINDS,
        Channel.SMS: DELIVERY_KINDS,
    }
    failures_by_channel: ClassVar = {
        Channel.WHATSAPP: (
            Failure(30, "1300", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "1360", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "1340", "INVALID_MESSAGES"),
            Failure(10, "1022", "INVALID_MESSAGES"),
        ),
        Channel.SMS: (
            Failure(30, "3", "RECIPIENT_RELATED_ERRORS"),
            Failure(30, "2", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "6", "INVALID_MESSAGES"),
            Failure(10, "8", "META_ERRORS"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID, or sixteen hexadecimal digits for an SMS."""
        if self.channel is Channel.SMS:
            return chance.randbytes(8).hex().upper()
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One status, inbound message or receipt."""
        emission = emissions[0]
        if self.channel is Channel.SMS:
            return self._receipt(emission, is_get=chance.random() < 0.5)
        is_status = emission.fact.kind in STATUS_KINDS
        body = json_body(_status(emission) if is_status else _inbound(emission))
        claims = {
            "iat": emission.occur_time_s,
            "jti": new_uuid(chance),
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(body).hexdigest(),
            "api_key": "a1b2c3d4",
            "application_id": uuid_of("application"),
        }
        headers = (
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {signed_jwt(claims, self.secret)}"),
        )
        return Callback(headers=headers, body=body, update_count=1)

    def _receipt(self, emission: Emission, *, is_get: bool) -> Callback:
        fact = emission.fact
        moment = datetime.fromtimestamp(emission.occur_time_s, UTC)
        fields = {
            "api-key": "a1b2c3d4",
            "err-code": fact.code or "0",
            "message-timestamp": f"{moment:%Y-%m-%d %H:%M:%S}",
            "messageId": fact.message.provider_message_id,
            "msisdn": fact.message.address.lstrip("+"),
            "network-code": "26201",
            "price": "0.05",
            "scts": f"{moment:%y%m%d%H%M}",
            "status": _RECEIPTS[fact.kind],
            "timestamp": str(emission.occur_time_s),
            "to": "Simulated",
        }
        signed = "".join(f"&{name}={value}" for name, value in sorted(fields.items()))
        fields["sig"] = hmac.digest(self.secret.encode(), signed.encode(), "sha256").hex()
        form = form_text(fields.items())
        if is_get:
            return Callback(headers=(), body=b"", update_count=1, method="GET", query=form)
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        return Callback(headers=headers, body=form.encode(), update_count=1)


def _status(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    status: dict[str, Any] = {
        "message_uuid": fact.message.provider_message_id,
        "to": fact.message.address.lstrip("+"),
        "from": _SENDER,
        "timestamp": iso_time(emission.occur_time_s),
        "status": _STATUSES[fact.kind],
        "channel": "whatsapp",
    }
    if fact.kind is FactKind.FAILED:
        status["error"] = {
            "type": f"https://developer.vonage.com/api-errors/messages#{fact.code}",
            # Now a number, now a text.
            "title": int(fact.code) if emission.occur_time_s % 2 else fact.code,
            "detail": "simulated",
        }
    elif fact.kind is FactKind.DELIVERED:
        status["usage"] = {"currency": "EUR", "price": "0.0333"}
    return status


def _inbound(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    return {
        "channel": "whatsapp",
        "message_uuid": uuid_of(fact.fact_id),
        "to": _SENDER,
        "from": fact.message.address.lstrip("+"),
        "timestamp": iso_time(emission.occur_time_s),
        "profile": {"name": fact.message.profile_name},
        "context_status": "available",
        "context": {"message_uuid": fact.message.provider_message_id, "message_from": _SENDER},
        **_content(fact),
    }


def _content(fact: Fact) -> dict[str, Any]:
    if fact.kind is FactKind.REPLY:
        return {"message_type": "text", "text": fact.text}
    if fact.kind is FactKind.REACTION:
        return {"message_type": "reaction", "reaction": {"action": "react", "emoji": fact.text}}
    if fact.kind is FactKind.REACTION_REMOVED:
        return {"message_type": "reaction", "reaction": {"action": "unreact"}}
    button = {"payload": fact.text.lower(), "text": fact.text}
    return {"message_type": "button", "button": button}
