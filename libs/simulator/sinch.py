"""Sinch: Conversation API callbacks, signed with a nonce and a time; SMS reports, which are not.

Shapes: Sinch's SDKs for the Conversation and the SMS API (read 2026-09). One SMS batch covers
several recipients, so the sender records "batch/recipient".
"""

from __future__ import annotations

import base64
import hmac
import random
from collections.abc import Sequence
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
from libs.simulator.writing import hex_of, iso_time, json_body

_STATUSES = {
    FactKind.SENT: "QUEUED_ON_CHANNEL",
    FactKind.DELIVERED: "DELIVERED",
    FactKind.READ: "READ",
    FactKind.FAILED: "FAILED",
}
_REPORTS = {
    FactKind.SENT: ("Dispatched", 401),
    FactKind.DELIVERED: ("Delivered", 0),
    FactKind.FAILED: ("Failed", 0),
}
_SIGNATURE = "x-sinch-webhook-signature"


class SinchProvider(SimulatedProvider):
    """Renders callbacks of one app, or of one SMS service."""

    name = "sinch"
    kinds_by_channel: ClassVar = {
        Channel.WHATSAPP: STATUS_KINDS | INBOUND_KINDS,
        Channel.SMS: DELIVERY_KINDS,
    }
    failures_by_channel: ClassVar = {
        Channel.WHATSAPP: (
            Failure(40, "RECIPIENT_NOT_REACHABLE", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "CHANNEL_FAILURE", "META_ERRORS"),
            Failure(20, "DELIVERY_TIMED_OUT", "DELIVERY_REPORT_MISSING"),
            Failure(10, "OUTSIDE_ALLOWED_SENDING_WINDOW", "INVALID_MESSAGES"),
        ),
        Channel.SMS: (
            Failure(40, "402", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "408", "META_ERRORS"),
            Failure(20, "406", "DELIVERY_REPORT_MISSING"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A ULID's length of letters and digits; with the recipient behind it for an SMS."""
        letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        message_id = "01" + "".join(chance.choice(letters) for _ in range(24))
        is_sms = self.channel is Channel.SMS
        return f"{message_id}/{address.lstrip('+')}" if is_sms else message_id

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One callback of either interface."""
        emission = emissions[0]
        headers = (("Content-Type", "application/json"),)
        if self.channel is Channel.SMS:
            return Callback(headers=headers, body=json_body(_report(emission)), update_count=1)
        body = json_body(_envelope(emission))
        nonce, time = chance.randbytes(13).hex().upper(), str(emission.occur_time_s)
        signed = body + f".{nonce}.{time}".encode()
        mac = hmac.digest(self.secret.encode(), signed, "sha256")
        proof = (
            (_SIGNATURE, base64.b64encode(mac).decode()),
            (f"{_SIGNATURE}-timestamp", time),
            (f"{_SIGNATURE}-nonce", nonce),
            (f"{_SIGNATURE}-algorithm", "HmacSHA256"),
        )
        return Callback(headers=headers + proof, body=body, update_count=1)


def _report(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    batch_id, _, recipient = fact.message.provider_message_id.partition("/")
    status, code = _REPORTS[fact.kind]
    return {
        "type": "recipient_delivery_report_sms",
        "batch_id": batch_id,
        "recipient": recipient,
        "code": int(fact.code) if fact.code else code,
        "status": status,
        "at": iso_time(emission.occur_time_s),
    }


def _envelope(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    return {
        "app_id": "01SIMULATEDAPP000000000000",
        "project_id": "00000000-0000-4000-8000-000000000000",
        "accepted_time": iso_time(emission.occur_time_s),
        "event_time": iso_time(emission.occur_time_s),
        "message_metadata": "",
        **(_status(fact) if fact.kind in _STATUSES else _inbound(fact)),
    }


def _identity(fact: Fact) -> dict[str, Any]:
    return {"channel": "WHATSAPP", "identity": fact.message.address.lstrip("+"), "app_id": ""}


def _status(fact: Fact) -> dict[str, Any]:
    report: dict[str, Any] = {
        "message_id": fact.message.provider_message_id,
        "conversation_id": "",
        "status": _STATUSES[fact.kind],
        "channel_identity": _identity(fact),
        "contact_id": "",
        "metadata": "",
        "processing_mode": "DISPATCH",
    }
    if fact.kind is FactKind.FAILED:
        report["reason"] = {"code": fact.code, "description": "simulated", "sub_code": ""}
    return {"message_delivery_report": report}


def _inbound(fact: Fact) -> dict[str, Any]:
    ours = fact.message.provider_message_id
    own: dict[str, Any] = {"id": hex_of(fact.fact_id, 26), "channel_identity": _identity(fact)}
    if fact.kind in (FactKind.REACTION, FactKind.REACTION_REMOVED):
        is_on = fact.kind is FactKind.REACTION
        reaction = {
            "action": "REACTION_ACTION_REACT" if is_on else "REACTION_ACTION_UNREACT",
            "emoji": fact.text,
            "message_id": ours,
        }
        content: dict[str, Any] = {"reaction_event": reaction}
        return {"event": {**own, "direction": "TO_APP", "contact_event": content}}
    if fact.kind is FactKind.REPLY:
        content = {"text_message": {"text": fact.text}, "reply_to": {"message_id": ours}}
    else:
        choice = {"message_id": ours, "postback_data": fact.text.lower(), "title": fact.text}
        content = {"choice_response_message": choice}
    return {"message": {**own, "direction": "TO_APP", "contact_message": content}}
