"""Amazon SES: one event in one SNS envelope, signed with RSA.

Shapes: the SES developer guide, "Examples of event data", and the SNS developer guide (read
2026-09). One id covers all recipients of a send, so the sender records "id/mailbox".
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.simulator.callback import Callback
from libs.simulator.chaos import Emission
from libs.simulator.facts import STATUS_KINDS, Channel, Fact, FactKind, Failure
from libs.simulator.provider import SimulatedProvider, Subscription
from libs.simulator.writing import BROWSER, SCANNER, iso_time, json_body, uuid_of

_TOPIC = "arn:aws:sns:eu-west-1:123456789012:simulated"
_HOST = "https://sns.eu-west-1.amazonaws.com"
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")


class SesProvider(SimulatedProvider):
    """Renders callbacks of one topic; the secret is an RSA private key as PEM."""

    name = "ses"
    kinds_by_channel: ClassVar = {
        Channel.EMAIL: STATUS_KINDS | {FactKind.CLICK, FactKind.REPLY, FactKind.MACHINE_READ}
    }
    failures_by_channel: ClassVar = {
        Channel.EMAIL: (
            Failure(50, "Permanent/General", "RECIPIENT_RELATED_ERRORS"),
            Failure(20, "Transient/MailboxFull", "RECIPIENT_RELATED_ERRORS"),
            Failure(10, "Transient/ContentRejected", "INVALID_MESSAGES"),
        ),
    }

    def __init__(self, subscription: Subscription) -> None:
        """Read the key.

        Raises:
            ValueError: the secret is no RSA private key as PEM.
        """
        super().__init__(subscription)
        key = load_pem_private_key(subscription.secret.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("SNS signs with an RSA private key")
        self._key = key

    def new_message_id(self, chance: random.Random, address: str) -> str:
        """SES's id with the mailbox behind it."""
        return f"0102{chance.randbytes(18).hex()}-000000/{address}"

    def render(self, emissions: Sequence[Emission], chance: random.Random) -> Callback:
        """One notification, signed by either version of the signature."""
        emission = emissions[0]
        is_second = chance.random() < 0.5
        envelope = {
            "Type": "Notification",
            "MessageId": uuid_of(emission.fact.fact_id),
            "TopicArn": _TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": json.dumps(_event(emission)),
            "Timestamp": iso_time(emission.occur_time_s + 1),
            "SignatureVersion": "2" if is_second else "1",
            "SigningCertURL": f"{_HOST}/SimpleNotificationService-simulated.pem",
            "UnsubscribeURL": f"{_HOST}/?Action=Unsubscribe&SubscriptionArn={_TOPIC}:1",
        }
        signed = "".join(f"{name}\n{envelope[name]}\n" for name in _SIGNED).encode()
        signature = self._key.sign(signed, PKCS1v15(), SHA256() if is_second else SHA1())  # noqa: S303 (what SNS signs with)
        envelope["Signature"] = base64.b64encode(signature).decode()
        headers = (
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("x-amz-sns-message-type", "Notification"),
            ("x-amz-sns-message-id", envelope["MessageId"]),
            ("x-amz-sns-topic-arn", _TOPIC),
        )
        return Callback(headers=headers, body=json_body(envelope), update_count=1)


def _event(emission: Emission) -> dict[str, Any]:
    fact = emission.fact
    if fact.kind is FactKind.REPLY:
        return _received(emission)
    message_id, _, mailbox = fact.message.provider_message_id.partition("/")
    name, part = _part(fact, mailbox, iso_time(emission.occur_time_s))
    return {
        "eventType": name,
        "mail": {
            "timestamp": iso_time(emission.occur_time_s),
            "source": "news@example.com",
            "messageId": message_id,
            "destination": [mailbox],
            "headersTruncated": False,
            "tags": {"ses:configuration-set": ["simulated"]},
        },
        name.lower(): part,
    }


def _part(fact: Fact, mailbox: str, time: str) -> tuple[str, dict[str, Any]]:
    if fact.kind is FactKind.SENT:
        return "Send", {}
    if fact.kind is FactKind.DELIVERED:
        return "Delivery", {"timestamp": time, "recipients": [mailbox], "smtpResponse": "250 ok"}
    if fact.kind is FactKind.FAILED:
        main, _, sub = fact.code.partition("/")
        bounced = [{"emailAddress": mailbox, "action": "failed"}]
        return "Bounce", {
            "bounceType": main,
            "bounceSubType": sub,
            "bouncedRecipients": bounced,
            "timestamp": time,
            "feedbackId": uuid_of(fact.fact_id),
        }
    # An act has its own time: a repeat of the event tells the same one.
    act = {
        "timestamp": iso_time(fact.occur_time_s),
        "userAgent": SCANNER if fact.kind is FactKind.MACHINE_READ else BROWSER,
        "ipAddress": "192.0.2.7",
    }
    if fact.kind in (FactKind.READ, FactKind.MACHINE_READ):
        return "Open", act
    link = f"https://example.com/{fact.link_id}"
    # Two clicks within a second would be one, if nothing else told them apart.
    number = int(fact.fact_id.rpartition("#")[2]) % 1000
    act["timestamp"] = iso_time(fact.occur_time_s + number / 1000)
    return "Click", {**act, "link": link, "linkTags": {"link_id": [fact.link_id]}}


def _received(emission: Emission) -> dict[str, Any]:
    """A person's answer, received by SES for us."""
    fact = emission.fact
    message_id, _, mailbox = fact.message.provider_message_id.partition("/")
    answered = f"<{message_id}@eu-west-1.amazonses.com>"
    return {
        "notificationType": "Received",
        "mail": {
            "timestamp": iso_time(emission.occur_time_s),
            "source": mailbox,
            "messageId": uuid_of(fact.fact_id),
            "destination": ["news@example.com"],
            "headers": [
                {"name": "From", "value": f"{fact.message.profile_name} <{mailbox}>"},
                {"name": "Subject", "value": "Re: Spring sale"},
                {"name": "In-Reply-To", "value": answered},
            ],
            "commonHeaders": {"subject": "Re: Spring sale"},
        },
        "receipt": {"action": {"type": "SNS", "topicArn": _TOPIC}},
    }
