"""Postmark: one JSON object a callback, with user and password in the address.

Shapes: Postmark's webhook reference (read 2026-09). There is no word for the hand-over. Times have
seven digits of a fraction, some an offset.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import Channel, FactKind, Failure
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import (
    BROWSER,
    SCANNER,
    basic_auth,
    hex_of,
    iso_time,
    json_body,
    new_uuid,
    uuid_of,
)


class PostmarkProvider(SimulatedProvider):
    """Renders callbacks of one server; the secret is "user:password"."""

    name = "postmark"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: frozenset(
            {
                FactKind.DELIVERED,
                FactKind.READ,
                FactKind.FAILED,
                FactKind.CLICK,
                FactKind.MACHINE_READ,
                FactKind.REPLY,
            }
        )
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "HardBounce", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "SoftBounce", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "Blocked", "META_ERRORS"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID."""
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One webhook."""
        emission = emissions[0]
        is_reply = emission.fact.kind is FactKind.REPLY
        body = json_body(_inbound(emission) if is_reply else _webhook(emission))
        headers = (("Content-Type", "application/json"), basic_auth(self.secret))
        return Callback(headers=headers, body=body, update_count=1)


def _webhook(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    webhook: dict[str, Any] = {
        "MessageID": fact.message.provider_message_id,
        "ServerID": 23,
        "MessageStream": "broadcast",
        "Tag": "spring",
        "Metadata": {},
        "Recipient": fact.message.address,
    }
    if fact.kind is FactKind.DELIVERED:
        time = iso_time(emission.occur_time_s, zone="0-00:00", digits=6)
        return {"RecordType": "Delivery", **webhook, "DeliveredAt": time, "Details": "250 ok"}
    if fact.kind is FactKind.FAILED:
        # Bounces alone have an id: a number of 64 bits.
        return {
            "RecordType": "Bounce",
            **webhook,
            "ID": int(hex_of(fact.fact_id, 15), 16),
            "Type": fact.code,
            "Email": fact.message.address,
            "BouncedAt": iso_time(emission.occur_time_s, digits=0),
            "Details": "simulated",
        }
    # An act has its own time: a repeat of the webhook tells the same one.
    number = int(fact.fact_id.rpartition("#")[2]) % 1000
    webhook["ReceivedAt"] = iso_time(fact.occur_time_s + number / 1000)
    webhook["UserAgent"] = SCANNER if fact.kind is FactKind.MACHINE_READ else BROWSER
    if fact.kind in (FactKind.READ, FactKind.MACHINE_READ):
        return {"RecordType": "Open", **webhook, "FirstOpen": True}
    link = f"https://example.com/{fact.link_id}"
    return {"RecordType": "Click", **webhook, "OriginalLink": link, "ClickLocation": "HTML"}


def _inbound(emission: Emission) -> dict[str, Any]:
    """A person's answer; Postmark's own header of our message bears its id."""
    fact = emission.fact
    moment = datetime.fromtimestamp(emission.occur_time_s, UTC)
    answered = f"<{fact.message.provider_message_id}@mtasv.net>"
    return {
        "RecordType": "Inbound",
        "MessageID": uuid_of(fact.fact_id),
        "From": fact.message.address,
        "FromFull": {"Email": fact.message.address, "Name": fact.message.profile_name},
        "To": "news@example.com",
        "Subject": "Re: Spring sale",
        "Date": format_datetime(moment),
        "TextBody": f"{fact.text}\n\n> Spring sale",
        "StrippedTextReply": fact.text,
        "Headers": [{"Name": "In-Reply-To", "Value": answered}],
    }
