"""WhatsApp Cloud API: webhook bodies as Meta writes them, signed with the app secret.

Shapes: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks
(read 2026-09). Quirks that matter to a receiver are imitated: times are strings, `conversation`
is gone from version 24 on, `pricing` comes with `sent` and one later status, `contacts` and
often `error_data` are missing on failures, text may be escaped in ways that a second dump of
the JSON would not repeat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import INBOUND_KINDS, STATUS_KINDS, Channel, Fact, FactKind
from libs.simulator.provider import SimulatedProvider

_ACCOUNT_ID = "102290129340398"
_METADATA = {"display_phone_number": "15550100200", "phone_number_id": "106540352242922"}
_TITLES = {
    "131049": "This message was not delivered to maintain healthy ecosystem engagement.",
    "131026": "Message undeliverable",
    "130472": "User's number is part of an experiment",
    "131047": "Re-engagement message",
    "131053": "Media upload error",
    "131000": "Something went wrong",
    "131050": "User has stopped marketing messages from this business",
}


class MetaProvider(SimulatedProvider):
    """Renders callbacks of one WhatsApp business account, signed with the app secret."""

    name = "meta"
    kinds_by_channel: ClassVar = {Channel.WHATSAPP: STATUS_KINDS | INBOUND_KINDS}

    @property
    def updates_max(self) -> int:
        """A thousand at most."""
        return 1_000

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A `wamid`: opaque to everybody, unique by its random part."""
        content = b"\x1c\x18" + address.encode() + b"\x15\x02\x00" + chance.randbytes(10)
        return "wamid." + base64.b64encode(content).decode()

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One webhook: statuses and inbound messages in changes of their own, mixed order."""
        body = dump(envelope_of(emissions, chance), chance)
        return Callback(headers=self._headers(body), body=body, update_count=len(emissions))

    def _headers(self, body: bytes) -> tuple[tuple[str, str], ...]:
        signature = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return (
            ("Content-Type", "application/json"),
            ("User-Agent", "facebookexternalua"),
            ("X-Hub-Signature-256", f"sha256={signature}"),
        )


def envelope_of(emissions: Sequence[Emission], chance: random.Random) -> dict[str, Any]:
    """The body as data; others pass the same on."""
    is_v24 = chance.random() < 0.5
    changes: list[dict[str, Any]] = []
    for emission in emissions:
        if emission.fact.kind in STATUS_KINDS:
            _add_status(changes, emission, is_v24)
        else:
            changes.append(_inbound_change(emission))
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": _ACCOUNT_ID, "changes": changes}],
    }


def dump(envelope: dict[str, Any], chance: random.Random) -> bytes:
    """Half of the bodies in UTF-8, half escaped as Meta escapes them; both are signed as sent."""
    if chance.random() < 0.5:
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
    text = json.dumps(envelope, separators=(",", ":"))
    for plain, escaped in (("/", "\\/"), ("<", "\\u003C"), ("@", "\\u0040")):
        text = text.replace(plain, escaped)
    return text.encode()


def _add_status(changes: list[dict[str, Any]], emission: Emission, is_v24: bool) -> None:
    """Statuses that follow one another share one change, as in real batches."""
    last = changes[-1]["value"] if changes else {}
    if "statuses" in last:
        last["statuses"].append(_status(emission, is_v24))
        return
    value = {
        "messaging_product": "whatsapp",
        "metadata": _METADATA,
        "statuses": [_status(emission, is_v24)],
    }
    changes.append({"value": value, "field": "messages"})


def _status(emission: Emission, is_v24: bool) -> dict[str, Any]:
    fact = emission.fact
    message_id = fact.message.provider_message_id
    status: dict[str, Any] = {
        "id": message_id,
        "status": fact.kind.value,
        "timestamp": str(emission.occur_time_s),
        "recipient_id": fact.message.address.lstrip("+"),
    }
    if fact.kind is FactKind.FAILED:
        status["errors"] = [_error(fact, is_v24)]
    elif fact.kind is not FactKind.READ:
        if not is_v24:
            status["conversation"] = _conversation(emission)
        status["pricing"] = _pricing(is_v24)
    return status


def _conversation(emission: Emission) -> dict[str, Any]:
    message_id = emission.fact.message.provider_message_id
    conversation: dict[str, Any] = {
        "id": hashlib.md5(message_id.encode(), usedforsecurity=False).hexdigest(),
        "origin": {"type": "marketing"},
    }
    if emission.fact.kind is FactKind.SENT:
        conversation["expiration_timestamp"] = str(emission.occur_time_s + 86_400)
    return conversation


def _pricing(is_v24: bool) -> dict[str, Any]:
    pricing: dict[str, Any] = {
        "pricing_model": "PMP",
        "type": "regular",
        "category": "marketing",
    }
    if not is_v24:
        pricing["billable"] = True
    return pricing


def _error(fact: Fact, is_v24: bool) -> dict[str, Any]:
    title = _TITLES.get(fact.code, "Unknown error")
    error: dict[str, Any] = {"code": int(fact.code), "title": title}
    if is_v24:
        error["message"] = title
        error["error_data"] = {"details": f"{title} (simulated)"}
        error["href"] = "/documentation/business-messaging/whatsapp/support/error-codes"
    return error


def _inbound_change(emission: Emission) -> dict[str, Any]:
    message = emission.fact.message
    wa_id = message.address.lstrip("+")
    value = {
        "messaging_product": "whatsapp",
        "metadata": _METADATA,
        "contacts": [{"profile": {"name": message.profile_name}, "wa_id": wa_id}],
        "messages": [_inbound(emission, wa_id)],
    }
    return {"value": value, "field": "messages"}


def _inbound(emission: Emission, wa_id: str) -> dict[str, Any]:
    """An inbound message that points at ours, by `context` or, for reactions, by their own field.

    Its id follows from the fact, so that a repeat of the fact is the same inbound message.
    """
    fact = emission.fact
    ours = fact.message.provider_message_id
    inbound: dict[str, Any] = {
        "from": wa_id,
        "id": "wamid." + base64.b64encode(hashlib.sha256(fact.fact_id.encode()).digest()).decode(),
        "timestamp": str(emission.occur_time_s),
    }
    if fact.kind in (FactKind.REACTION, FactKind.REACTION_REMOVED):
        reaction = {"message_id": ours}
        if fact.kind is FactKind.REACTION:
            reaction["emoji"] = fact.text
        return inbound | {"type": "reaction", "reaction": reaction}
    inbound["context"] = {"from": _METADATA["display_phone_number"], "id": ours}
    if fact.kind is FactKind.REPLY:
        return inbound | {"type": "text", "text": {"body": fact.text}}
    payload = "stop_promotions" if fact.kind is FactKind.STOP_TAP else fact.text.upper()
    return inbound | {"type": "button", "button": {"payload": payload, "text": fact.text}}
