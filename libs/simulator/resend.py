"""Resend: one JSON event a callback, signed by Svix's scheme.

Shapes: Resend's webhook reference (read 2026-11). The time of the event stands outside, that of the
email inside.
"""

from __future__ import annotations

import hmac
import random
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import BROWSER, iso_time, json_body, new_uuid

_EVENTS = {
    FactKind.SENT: "email.sent",
    FactKind.DELIVERED: "email.delivered",
    FactKind.READ: "email.opened",
    FactKind.FAILED: "email.bounced",
    FactKind.CLICK: "email.clicked",
}


class ResendProvider(SimulatedProvider):
    """Renders callbacks of one webhook; the secret is its signing secret (whsec_...)."""

    name = "resend"
    kinds_by_channel: ClassVar = {Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK}}
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "Permanent/General", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "Transient/MailboxFull", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "Transient/ContentRejected", "INVALID_MESSAGES"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID."""
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One webhook."""
        body = json_body(_event(emissions[0]))
        signed_id, time = f"msg_{chance.randbytes(12).hex()}", str(emissions[0].occur_time_s)
        key = b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"{signed_id}.{time}.".encode() + body, "sha256")
        headers = (
            ("Content-Type", "application/json"),
            ("svix-id", signed_id),
            ("svix-timestamp", time),
            ("svix-signature", f"v1,{b64encode(mac).decode()}"),
        )
        return Callback(headers=headers, body=body, update_count=1)


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    # An act has its own time: a repeat of the event tells the same one.
    is_act = fact.kind in (FactKind.CLICK, FactKind.READ)
    time = iso_time(fact.occur_time_s if is_act else emission.occur_time_s)
    data: dict[str, Any] = {
        "email_id": fact.message.provider_message_id,
        "created_at": time,
        "from": "Shop <news@example.com>",
        "to": [fact.message.address],
        "subject": "Spring sale",
    }
    if fact.kind is FactKind.FAILED:
        kind, _, sub = fact.code.partition("/")
        data["bounce"] = {"type": kind, "subType": sub, "message": "simulated"}
    elif fact.kind is FactKind.CLICK:
        data["click"] = {
            "link": f"https://example.com/{fact.link_id}",
            "timestamp": time,
            "userAgent": BROWSER,
            "ipAddress": "192.0.2.7",
        }
    return {"type": _EVENTS[fact.kind], "created_at": time, "data": data}
