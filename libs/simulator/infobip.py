"""Infobip: lists of results, with user and password; email opens and clicks one a callback.

Shapes: Infobip's API reference on delivery reports, seen reports, inbound messages and email
tracking (read 2026-09). A seen report turns the two ends; an `error` is always there.
"""

from __future__ import annotations

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
from libs.simulator.writing import (
    BROWSER,
    SCANNER,
    basic_auth,
    hex_of,
    iso_time,
    json_body,
    new_uuid,
)

_SENDER = "15550100200"
# groupId, groupName, id, name
_STATUSES = {
    FactKind.SENT: (1, "PENDING", 7, "PENDING_ENROUTE"),
    FactKind.DELIVERED: (3, "DELIVERED", 5, "DELIVERED_TO_HANDSET"),
    FactKind.FAILED: (2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED"),
}
_NO_ERROR = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}
_TRACKED = {
    FactKind.READ: "OPENED",
    FactKind.MACHINE_READ: "OPENED",
    FactKind.CLICK: "CLICKED",
}
_FAILURES = (
    Failure(40, "1", "RECIPIENT_RELATED_ERRORS"),
    Failure(20, "27", "RECIPIENT_RELATED_ERRORS"),
    Failure(10, "51", "META_ERRORS"),
    Failure(5, "7011", "ACCOUNT_VERIFICATION_ERRORS"),
    Failure(5, "7033", "RECIPIENT_RELATED_ERRORS", opts_out=True),
)


class InfobipProvider(SimulatedProvider):
    """Renders callbacks of one account; the secret is "user:password"."""

    name = "infobip"
    kinds_by_channel: ClassVar = {
        Channel.WHATSAPP: STATUS_KINDS | INBOUND_KINDS,
        Channel.SMS: DELIVERY_KINDS,
        Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK, FactKind.MACHINE_READ},
    }
    failures_by_channel: ClassVar = dict.fromkeys(kinds_by_channel, _FAILURES)

    @property
    def updates_max(self) -> int:
        """Many results, but a tracked email alone."""
        return 1 if self.channel is Channel.EMAIL else 1_000

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID."""
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """A list of results, or one opened or clicked email."""
        if self.channel is Channel.EMAIL and emissions[0].fact.kind in _TRACKED:
            body = json_body(_tracked(emissions[0]))
        else:
            body = json_body({"results": [_result(emission) for emission in emissions]})
        headers = (("Content-Type", "application/json"), basic_auth(self.secret))
        return Callback(headers=headers, body=body, update_count=len(emissions))


def _result(emission: Emission) -> dict[str, Any]:
    kind = emission.fact.kind
    if kind is FactKind.READ:
        return _seen(emission)
    return _report(emission) if kind in _STATUSES else _inbound(emission)


def _time(time_s: float) -> str:
    return iso_time(time_s, zone="+0000")


def _report(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    group_id, group, status_id, name = _STATUSES[fact.kind]
    error = _NO_ERROR
    if fact.kind is FactKind.FAILED:
        error = {
            "groupId": 1,
            "groupName": "HANDSET_ERRORS",
            "id": int(fact.code),
            "name": f"EC_{fact.code}",
            "description": "simulated",
            "permanent": True,
        }
    return {
        "bulkId": hex_of(fact.message.campaign_id),
        "messageId": fact.message.provider_message_id,
        "to": fact.message.address.lstrip("+"),
        "sentAt": _time(fact.message.outcome_time_s),
        "doneAt": _time(emission.occur_time_s),
        "messageCount": 1,
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": {"groupId": group_id, "groupName": group, "id": status_id, "name": name},
        "error": error,
    }


def _seen(emission: Emission) -> dict[str, Any]:
    message = emission.fact.message
    return {
        "messageId": message.provider_message_id,
        "from": message.address.lstrip("+"),
        "to": _SENDER,
        "sentAt": _time(message.outcome_time_s),
        "seenAt": _time(emission.occur_time_s),
    }


def _inbound(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    message = fact.message
    return {
        "from": message.address.lstrip("+"),
        "to": _SENDER,
        "integrationType": "WHATSAPP",
        "receivedAt": _time(emission.occur_time_s),
        "messageId": hex_of(fact.fact_id),
        "message": {
            **_content(fact),
            "context": {"from": _SENDER, "id": message.provider_message_id},
        },
        "contact": {"name": message.profile_name},
    }


def _content(fact: Fact) -> dict[str, Any]:
    if fact.kind is FactKind.REPLY:
        return {"type": "TEXT", "text": fact.text}
    if fact.kind in (FactKind.REACTION, FactKind.REACTION_REMOVED):
        return {"type": "REACTION", "emoji": fact.text}
    return {"type": "BUTTON", "text": fact.text, "payload": fact.text.lower()}


def _tracked(emission: Emission) -> dict[str, Any]:
    """An opened or clicked email. `sendDateTime` is the moment of the act, in milliseconds."""
    fact = emission.fact
    agent = SCANNER if fact.kind is FactKind.MACHINE_READ else BROWSER
    tracked: dict[str, Any] = {
        "notificationType": _TRACKED[fact.kind],
        "eventId": hex_of(fact.fact_id),
        "messageId": fact.message.provider_message_id,
        "recipient": fact.message.address,
        # An act has its own time: a repeat of the event tells the same one.
        "sendDateTime": fact.occur_time_s * 1000,
        "recipientInfo": {"deviceType": "Phone", "userAgent": agent},
    }
    if fact.kind is FactKind.CLICK:
        tracked["url"] = f"https://example.com/{fact.link_id}"
    return tracked
