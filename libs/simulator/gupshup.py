"""Gupshup: its own events (v2), one a callback, or Meta's bodies passed on (v3). Nothing is signed.

Shapes: docs.gupshup.io, "Message events" and "Inbound messages" (read 2026-09). A send answers
Gupshup's id; callbacks tell it as `gsId` or `gs_id` beside Meta's own id.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import INBOUND_KINDS, STATUS_KINDS, Channel, Fact, FactKind
from libs.simulator.meta import dump, envelope_of
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import hex_of, json_body, new_uuid, uuid_of

_APP = "SimulatedApp"


class GupshupProvider(SimulatedProvider):
    """Renders callbacks of one app."""

    name = "gupshup"
    kinds_by_channel: ClassVar = {Channel.WHATSAPP: STATUS_KINDS | INBOUND_KINDS}

    @property
    def updates_max(self) -> int:
        """A thousand at most."""
        return 1_000

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A UUID."""
        return new_uuid(chance)

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """Several updates in the third format, one in either."""
        if len(emissions) == 1 and chance.random() < 0.5:
            body = json_body(_event(emissions[0]))
        else:
            body = dump(_passed_on(emissions, chance), chance)
        headers = (("Content-Type", "application/json"),)
        return Callback(headers=headers, body=body, update_count=len(emissions))


def _meta_id(message_id: str) -> str:
    return f"wamid.{hex_of(message_id)}"


def _passed_on(emissions: Sequence[Emission], chance: random.Random) -> dict[str, Any]:
    envelope = envelope_of(emissions, chance)
    for item in _items_naming_ours(envelope):
        name = "message_id" if "message_id" in item else "id"
        item["gs_id"] = item[name]
        item[name] = _meta_id(item[name])
    return {**envelope, "gs_app_id": uuid_of(_APP)}


def _items_naming_ours(envelope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for change in envelope["entry"][0]["changes"]:
        value = change["value"]
        yield from value.get("statuses", ())
        for message in value.get("messages", ()):
            yield message.get("reaction") or message["context"]


def _event(emission: Emission) -> dict[str, Any]:
    is_status = emission.fact.kind in STATUS_KINDS
    return {
        "app": _APP,
        "timestamp": emission.occur_time_s * 1000,
        "version": 2,
        "type": "message-event" if is_status else "message",
        "payload": _status(emission) if is_status else _inbound(emission.fact),
    }


def _status(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    message_id = fact.message.provider_message_id
    inner: dict[str, Any] = {"ts": emission.occur_time_s}
    if fact.kind is FactKind.FAILED:
        inner |= {"code": int(fact.code), "reason": "simulated"}
    return {
        "id": _meta_id(message_id),
        "gsId": message_id,
        "type": fact.kind.value,
        "destination": fact.message.address.lstrip("+"),
        "payload": inner,
    }


def _inbound(fact: Fact) -> dict[str, Any]:
    phone = fact.message.address.lstrip("+")
    ours = fact.message.provider_message_id
    payload: dict[str, Any] = {
        "id": f"wamid.{hex_of(fact.fact_id)}",
        "source": phone,
        "type": "text",
        "payload": {"text": fact.text},
        "sender": {"phone": phone, "name": fact.message.profile_name},
        "context": {"id": _meta_id(ours), "gsId": ours},
    }
    if fact.kind in (FactKind.TAP, FactKind.STOP_TAP):
        payload["type"] = "quick_reply"
        payload["payload"] = {"text": fact.text, "type": "button", "payload": fact.text.lower()}
    elif fact.kind in (FactKind.REACTION, FactKind.REACTION_REMOVED):
        payload["type"] = "reaction"
        payload["payload"] = {"id": _meta_id(ours), "gsId": ours, "emoji": fact.text}
    return payload
