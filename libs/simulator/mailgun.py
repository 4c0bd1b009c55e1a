"""Mailgun: one JSON event a callback, with a signature inside that covers time and token.

Shapes: Mailgun's webhook reference (read 2026-09). A send answers the id in angle brackets, events
bear it without.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, Fact, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import BROWSER, hex_of, json_body

_EVENTS = {
    FactKind.SENT: "accepted",
    FactKind.DELIVERED: "delivered",
    FactKind.READ: "opened",
    FactKind.FAILED: "failed",
    FactKind.MACHINE_READ: "opened",
    FactKind.CLICK: "clicked",
    FactKind.REPLY: "stored",
}


class MailgunProvider(SimulatedProvider):
    """Renders callbacks of one domain, signed with the webhook signing key."""

    name = "mailgun"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK, FactKind.REPLY, FactKind.MACHINE_READ}
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "5.2.2", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "5.7.1", "META_ERRORS"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """As a send answers it."""
        return f"<20260101.{chance.randbytes(8).hex()}@mail.example.com>"

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One event."""
        emission = emissions[0]
        time, token = str(emission.occur_time_s), chance.randbytes(25).hex()
        mac = hmac.digest(self.secret.encode(), (time + token).encode(), "sha256")
        signature = {"timestamp": time, "token": token, "signature": mac.hex()}
        body = json_body({"signature": signature, "event-data": _event(emission)})
        headers = (("Content-Type", "application/json"),)
        return Callback(headers=headers, body=body, update_count=1)


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    # An act has its own time: a repeat of the event tells the same one.
    is_act = fact.kind in (FactKind.CLICK, FactKind.READ, FactKind.MACHINE_READ)
    event: dict[str, Any] = {
        "event": _EVENTS[fact.kind],
        "id": hex_of(fact.fact_id, 22),
        "timestamp": (fact.occur_time_s if is_act else emission.occur_time_s) + 0.25,
        "recipient": fact.message.address,
        "message": {"headers": {"message-id": fact.message.provider_message_id.strip("<>")}},
        "user-variables": {},
    }
    return event | _rest(fact)


def _rest(fact: Fact) -> dict[str, Any]:
    if fact.kind is FactKind.FAILED:
        status = {"code": 550, "enhanced-code": fact.code, "message": "simulated"}
        return {"severity": "permanent", "reason": "bounce", "delivery-status": status}
    if fact.kind is FactKind.CLICK:
        client = {"user-agent": BROWSER, "client-type": "mobile browser"}
        return {"url": f"https://example.com/{fact.link_id}", "client-info": client}
    if fact.kind is FactKind.READ:
        return {"client-info": {"user-agent": BROWSER, "client-type": "mobile browser"}}
    if fact.kind is FactKind.MACHINE_READ:
        return {"client-info": {"user-agent": BROWSER, "bot": "apple"}}
    if fact.kind is FactKind.REPLY:
        headers = {
            "message-id": f"{hex_of(fact.fact_id)}@mail.example.net",
            "from": fact.message.address,
            "subject": "Re: Spring sale",
            "in-reply-to": fact.message.provider_message_id,
        }
        return {
            "recipient": "news@example.com",
            "sender": fact.message.address,
            "message": {"headers": headers},
        }
    return {}
