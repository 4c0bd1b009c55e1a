"""Azure Communication Services: email events of Event Grid, with a credential in a header.

Shapes: Microsoft's page "Azure Communication Services - Email events" (read 2026-11), Event Grid's
own schema: a list of events.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import (
    BROWSER,
    SCANNER,
    basic_auth,
    iso_time,
    json_body,
    new_uuid,
    uuid_of,
)

_PREFIX = "Microsoft.Communication.Email"
_STATUSES = {
    FactKind.SENT: "OutForDelivery",
    FactKind.DELIVERED: "Delivered",
    FactKind.FAILED: "Bounced",
}


class AzureProvider(SimulatedProvider):
    """Renders callbacks of one subscription; the secret is "user:password"."""

    name = "azure"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK, FactKind.MACHINE_READ}
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "5.1.1", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "5.2.2", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "5.7.1", "META_ERRORS"),
        ),
    }

    @property
    def updates_max(self) -> int:
        """Event Grid sends up to 5,000; a hundred is its usual limit."""
        return 100

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID."""
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One list of events."""
        headers = (("Content-Type", "application/json"), basic_auth(self.secret))
        body = json_body([_event(emission) for emission in emissions])
        return Callback(headers=headers, body=body, update_count=len(emissions))


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    # An act has its own time: a repeat of the event tells the same one.
    is_act = fact.kind in (FactKind.CLICK, FactKind.READ, FactKind.MACHINE_READ)
    time = iso_time(fact.occur_time_s if is_act else emission.occur_time_s, digits=6)
    data: dict[str, Any] = {
        "sender": "news@example.com",
        "messageId": fact.message.provider_message_id,
        "recipient": fact.message.address,
    }
    if is_act:
        is_click = fact.kind is FactKind.CLICK
        data |= {
            "userActionTimeStamp": time,
            "userAgent": SCANNER if fact.kind is FactKind.MACHINE_READ else BROWSER,
            "engagementType": "click" if is_click else "view",
            "engagementContext": f"https://example.com/{fact.link_id}" if is_click else "",
        }
    else:
        said = f"550 {fact.code} simulated" if fact.code else "250 ok"
        data |= {
            "status": _STATUSES[fact.kind],
            "deliveryStatusDetails": {"statusMessage": said},
            "deliveryAttemptTimeStamp": time,
        }
    named = "EngagementTrackingReportReceived" if is_act else "DeliveryReportReceived"
    return {
        "id": uuid_of(fact.fact_id),
        "topic": "/subscriptions/s/resourceGroups/g/providers/microsoft.communication/c",
        "subject": f"sender/news@example.com/message/{fact.message.provider_message_id}",
        "eventType": f"{_PREFIX}{named}",
        "eventTime": time,
        "data": data,
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }
