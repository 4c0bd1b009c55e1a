"""Brevo: one JSON event a callback, with user and password in the address.

Shapes: Brevo's page on transactional webhooks (read 2026-11). Only `ts_epoch` is in UTC.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import basic_auth, json_body

_EVENTS = {
    FactKind.SENT: "request",
    FactKind.DELIVERED: "delivered",
    FactKind.READ: "opened",
    FactKind.MACHINE_READ: "proxy_open",
    FactKind.FAILED: "hard_bounce",
    FactKind.CLICK: "click",
}
# The account's zone, in which the other times are told.
_ZONE_S = 7_200


class BrevoProvider(SimulatedProvider):
    """Renders callbacks of one account; the secret is "user:password"."""

    name = "brevo"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: (STATUS_KINDS - {FactKind.SENT}) | {FactKind.CLICK, FactKind.MACHINE_READ}
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "5.2.2", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "5.7.1", "META_ERRORS"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A Message-ID, in the angle brackets in which a send answers it."""
        return f"<2026.{chance.randbytes(8).hex()}@smtp-relay.mailin.fr>"

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One webhook."""
        headers = (("Content-Type", "application/json"), basic_auth(self.secret))
        return Callback(headers=headers, body=json_body(_event(emissions[0])), update_count=1)


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    # An act has its own time: a repeat of the event tells the same one.
    is_act = fact.kind in (FactKind.CLICK, FactKind.READ, FactKind.MACHINE_READ)
    time_s = fact.occur_time_s if is_act else emission.occur_time_s
    event: dict[str, Any] = {
        "event": _EVENTS[fact.kind],
        "email": fact.message.address,
        "id": 26224,
        "date": f"{datetime.fromtimestamp(time_s + _ZONE_S, UTC):%Y-%m-%d %H:%M:%S}",
        "ts": time_s + _ZONE_S,
        "message-id": fact.message.provider_message_id,
        "ts_event": time_s + _ZONE_S,
        "ts_epoch": time_s * 1_000,
        "subject": "Spring sale",
    }
    if fact.kind is FactKind.FAILED:
        event["reason"] = f"550 {fact.code} simulated"
    elif fact.kind is FactKind.CLICK:
        event["link"] = f"https://example.com/{fact.link_id}"
    return event
