"""Twilio: one form a callback, signed over address and fields.

Shapes: Twilio's guides "Track the Message Status of Outbound Messages" and "Webhooks Security"
(read 2026-09). There is no time in a status callback.
"""

from __future__ import annotations

import base64
import hmac
import random
from collections.abc import Sequence
from typing import ClassVar

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import (
    DELIVERY_KINDS,
    STATUS_KINDS,
    TEXT_KINDS,
    Channel,
    Fact,
    FactKind,
    Failure,
)
from libs.simulator.provider import SimulatedProvider
from libs.simulator.writing import form_text, hex_of

_ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
# The carrier and the handset never saw these: Twilio calls them "failed".
_REFUSED_CODES = frozenset({"21610", "63016"})


class TwilioProvider(SimulatedProvider):
    """Renders callbacks of one account, signed with the auth token."""

    name = "twilio"
    kinds_by_channel: ClassVar = {
        Channel.SMS: DELIVERY_KINDS,
        Channel.WHATSAPP: STATUS_KINDS | TEXT_KINDS,
    }
    failures_by_channel: ClassVar = {
        Channel.SMS: (
            Failure(40, "30003", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "30007", "INVALID_MESSAGES"),
            Failure(10, "30008", "META_ERRORS"),
            Failure(10, "21610", "RECIPIENT_RELATED_ERRORS", opts_out=True),
        ),
        Channel.WHATSAPP: (
            Failure(40, "63049", "META_RECIPIENT_LIMIT"),
            Failure(20, "63024", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "63016", "INVALID_MESSAGES"),
        ),
    }

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """A message SID."""
        return f"SM{chance.randbytes(16).hex()}"

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One status callback or inbound message."""
        fact = emissions[0].fact
        fields = self._status(fact) if fact.kind in STATUS_KINDS else self._inbound(fact)
        signed = self.url + "".join(name + value for name, value in sorted(fields.items()))
        mac = hmac.digest(self.secret.encode(), signed.encode(), "sha1")
        headers = (
            ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
            ("X-Twilio-Signature", base64.b64encode(mac).decode()),
        )
        return Callback(headers=headers, body=form_text(fields.items()).encode(), update_count=1)

    def _address(self, phone: str) -> str:
        return f"whatsapp:{phone}" if self.channel is Channel.WHATSAPP else phone

    def _status(self, fact: Fact) -> dict[str, str]:
        word = fact.kind.value
        if fact.kind is FactKind.FAILED and fact.code not in _REFUSED_CODES:
            word = "undelivered"
        sid = fact.message.provider_message_id
        fields = {
            "ApiVersion": "2010-04-01",
            "AccountSid": _ACCOUNT_SID,
            "From": self._address("+15550100200"),
            "To": self._address(fact.message.address),
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": word,
            "SmsStatus": word,
        }
        if fact.kind is FactKind.FAILED:
            fields["ErrorCode"] = fact.code
        elif fact.kind is FactKind.READ:
            fields["EventType"] = "READ"
        return fields

    def _inbound(self, fact: Fact) -> dict[str, str]:
        sid = f"SM{hex_of(fact.fact_id)}"
        fields = {
            "AccountSid": _ACCOUNT_SID,
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "From": self._address(fact.message.address),
            "To": self._address("+15550100200"),
            "WaId": fact.message.address.lstrip("+"),
            "ProfileName": fact.message.profile_name,
            "Body": fact.text,
            "NumMedia": "0",
            "MessageType": "text",
            "OriginalRepliedMessageSid": fact.message.provider_message_id,
            "OriginalRepliedMessageSender": self._address("+15550100200"),
        }
        if fact.kind is not FactKind.REPLY:
            fields |= {
                "MessageType": "button",
                "ButtonText": fact.text,
                "ButtonPayload": fact.text.lower(),
            }
        return fields
