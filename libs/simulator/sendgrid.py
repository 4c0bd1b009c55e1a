"""SendGrid: lists of events, signed with ECDSA over time and body.

Shapes: SendGrid's Event Webhook reference (read 2026-09). A send answers an id, events bear it with
a suffix; a body ends with a line break, and is signed with it.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Sequence
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.writing import BROWSER, hex_of, json_body

_EVENTS = {
    # SendGrid knows no hand-over to the receiving server: it is delivered, or it waits.
    FactKind.SENT: "processed",
    FactKind.DELIVERED: "delivered",
    FactKind.READ: "open",
    FactKind.MACHINE_READ: "open",
    FactKind.FAILED: "bounce",
    FactKind.CLICK: "click",
}
# SendGrid keeps a list of who left, and sends them nothing.
_UNSUBSCRIBED = "dropped:Unsubscribed Address"
_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
_ACTS = frozenset({FactKind.CLICK, FactKind.READ, FactKind.MACHINE_READ})
_ID_LETTERS = string.ascii_letters + string.digits + "-_"


class SendGridProvider(SimulatedProvider):
    """Renders callbacks of one account; the secret is its P-256 private key as PEM."""

    name = "sendgrid"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK, FactKind.MACHINE_READ}
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "5.2.2", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "5.7.1", "META_ERRORS"),
            Failure(10, _UNSUBSCRIBED, "RECIPIENT_RELATED_ERRORS", opts_out=True),
        ),
    }

    def __init__(self, subscription: Subscription) -> None:
        """Read the key.

        Raises:
            ValueError: the secret is no P-256 private key as PEM.
        """
        super().__init__(subscription)
        key = load_pem_private_key(subscription.secret.encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("SendGrid signs with a P-256 private key")
        self._key = key

    @property
    def updates_max(self) -> int:
        """A thousand; SendGrid cuts by size."""
        return 1_000

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """An `X-Message-Id`: 22 letters and digits."""
        return "".join(chance.choice(_ID_LETTERS) for _ in range(22))

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One list of events."""
        body = json_body([_event(emission) for emission in emissions]) + b"\r\n"
        time = str(max(emission.occur_time_s for emission in emissions))
        signature = self._key.sign(time.encode() + body, ECDSA(SHA256()))
        headers = (
            ("Content-Type", "application/json"),
            (_SIGNATURE, base64.b64encode(signature).decode()),
            (_TIMESTAMP, time),
        )
        return Callback(headers=headers, body=body, update_count=len(emissions))


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    event: dict[str, Any] = {
        "email": fact.message.address,
        # An act has its own time: a repeat of the event tells the same one.
        "timestamp": fact.occur_time_s if fact.kind in _ACTS else emission.occur_time_s,
        "event": _EVENTS[fact.kind],
        "sg_event_id": hex_of(fact.fact_id, 22),
        "sg_message_id": f"{fact.message.provider_message_id}.filterdrecv-5b9d-4q2x-1-0.0",
        # A text for one, a list for several.
        "category": "spring" if emission.occur_time_s % 2 else ["spring", "sale"],
    }
    if fact.code == _UNSUBSCRIBED:
        event |= {"event": "dropped", "reason": _UNSUBSCRIBED.partition(":")[2]}
    elif fact.kind is FactKind.FAILED:
        event |= {"type": "bounce", "status": fact.code, "reason": f"550 {fact.code} simulated"}
    elif fact.kind in _ACTS:
        event |= {"useragent": BROWSER, "ip": "192.0.2.7"}
        if fact.kind is FactKind.CLICK:
            event["url"] = f"https://example.com/{fact.link_id}"
        else:
            event["sg_machine_open"] = fact.kind is FactKind.MACHINE_READ
    return event
