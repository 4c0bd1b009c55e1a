"""Twilio SendGrid's Event Webhook: a signed list of events.

Source: SendGrid's Event Webhook reference and its security page; quirks as noted.

- Signature: ECDSA on P-256 with SHA-256 over the timestamp header and the raw body (which may end
  with a line break), as base64 of DER; the account's secret ``public_key`` is base64 of DER, too.
- Message id: the part of ``sg_message_id`` before the first dot, which is what a send answers as
  ``X-Message-Id``; it covers all recipients of one request (see ``id_per_recipient``).
- Code of a bounce: the SMTP status ("5.1.1"), else "bounce:<classification>" or
  "bounce:type=<type>"; of a drop: "dropped:<reason>".
"""

import binascii
from base64 import b64decode
from functools import lru_cache, partial
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_CLICKED,
    EVENT_KIND_COMPLAINED,
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from libs.runtime.accounts import Account
from services.ingest.domain.fields import WORD_CHARACTERS_MAX, Unreadable
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import smtp_codes
from services.ingest.domain.times import seconds_us
from services.ingest.providers.email_events import (
    ACTS,
    URL_CHARACTERS_MAX,
    EmailEvents,
    check_signed_time,
    fact_id,
    set_click,
    set_failure,
    set_open,
)
from services.ingest.providers.json_parts import identity, read_list, words
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused

PUBLIC_KEY = "public_key"
SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
MACHINE_OPEN_RULE = "sg_machine_open/1"

KIND_BY_EVENT: Final = {
    "processed": EVENT_KIND_QUEUED,
    "deferred": EVENT_KIND_DEFERRED,
    "delivered": EVENT_KIND_DELIVERED,
    "bounce": EVENT_KIND_UNDELIVERED,
    # Never left SendGrid: not a bounce, although an earlier bounce may be the reason.
    "dropped": EVENT_KIND_DROPPED,
    "open": EVENT_KIND_READ,
    "click": EVENT_KIND_CLICKED,
    "spamreport": EVENT_KIND_COMPLAINED,
    "unsubscribe": EVENT_KIND_UNSUBSCRIBED,
    "group_unsubscribe": EVENT_KIND_UNSUBSCRIBED,
    "group_resubscribe": EVENT_KIND_RESUBSCRIBED,
    # About the SendGrid account, not about an email.
    "account_status_change": EVENT_KIND_INFO,
}


class SendGrid:
    """The dialect of SendGrid's Event Webhook."""

    name = "sendgrid"
    methods = frozenset({"POST"})
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """SendGrid makes none."""
        return None

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Verify the signature with any live public key."""
        keys = [
            key
            for text in account.secrets.get(PUBLIC_KEY, ())
            if (key := _public_key(text.strip()))
        ]
        if not keys:
            return Refused("SECRET_NOT_CONFIGURED", 503)
        signature = callback.headers.get(SIGNATURE_HEADER, "")
        timestamp = callback.headers.get(TIMESTAMP_HEADER, "")
        if not signature or not timestamp:
            return Refused("SIGNATURE_MISSING")
        signed = timestamp.encode(errors="replace") + callback.body
        if not any(_is_signed(key, signature, signed) for key in keys):
            return Refused("SIGNATURE_WRONG")
        return check_signed_time(timestamp, callback)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read every event of the list."""
        reading = Reading(
            tenant_id=account.tenant_id,
            provider=account.provider,
            account=account.account,
            receive_time_us=callback.receive_time_us,
        )
        read_list(reading, callback.body, partial(_add_event, EmailEvents(reading, account)))
        return reading

    def whole_of(self, part: bytes, place: str, account: Account) -> bytes:
        """Return a list of nothing but ``part``."""
        return b"[%s]" % part


@lru_cache(maxsize=256)
def _public_key(text: str) -> EllipticCurvePublicKey | None:
    """Return the P-256 key in ``text``; None if it is none, an Ed25519 key for example."""
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    return None


def _is_signed(key: EllipticCurvePublicKey, signature: str, signed: bytes) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), signed, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _add_event(emails: EmailEvents, item: dict[str, Any], raw: bytes) -> None:
    """Add what one event says.

    Custom arguments are merged into the event and may hide any field, so nothing is sure to be
    there or to be of its type.
    """
    word = words(item, "event", characters_max=WORD_CHARACTERS_MAX)
    if not word:
        raise Unreadable("EVENT_MISSING", "event: missing or empty")
    kind = KIND_BY_EVENT.get(word)
    # An asynchronous bounce may come without id and custom arguments: address and time are all
    # there is (sendgrid/docs issue 5177).
    event = emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        seconds_us(item.get("timestamp")),
        word=word,
        message_id=identity(item, "sg_message_id"),
        recipient=identity(item, "email"),
        message_ref=emails.ref_in(item),
    )
    if kind is None:
        event.raw = raw
    elif kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        _set_failure(event, item)
    elif kind == EVENT_KIND_INFO:
        event.detail = words(item, "type")
    elif kind == EVENT_KIND_READ:
        rule = MACHINE_OPEN_RULE if item.get("sg_machine_open") is True else ""
        set_open(event, _fact_id(item), _agent(item), rule)
    elif kind == EVENT_KIND_CLICKED:
        url = words(item, "url", characters_max=URL_CHARACTERS_MAX)
        set_click(event, _fact_id(item), url, _agent(item))
    elif kind in ACTS:
        event.engagement.fact_id = _fact_id(item)
        group = words(item, "asm_group_id", characters_max=WORD_CHARACTERS_MAX)
        # The opt-out holds for one list; without a group it holds for all mail.
        event.detail = f"asm_group_id={group}" if group else ""


def _set_failure(event: Event, item: dict[str, Any]) -> None:
    reason = words(item, "reason")
    detail = reason or words(item, "response")
    if event.kind == EVENT_KIND_DROPPED:
        set_failure(event, [f"dropped:{reason}" if reason else "dropped"], detail)
        return
    status = words(item, "status", characters_max=WORD_CHARACTERS_MAX)
    codes = smtp_codes(status, detail)
    bounce_type = words(item, "type", characters_max=WORD_CHARACTERS_MAX)
    classification = words(item, "bounce_classification", characters_max=WORD_CHARACTERS_MAX)
    if classification == "Unclassified":
        classification = ""
    own = [
        f"bounce:{classification}" if classification else "",
        f"bounce:type={bounce_type}" if bounce_type else "",
    ]
    if bounce_type == "blocked":
        # Not a dead address: a block is lifted again, whatever class the server's code has.
        soft = [code for code in codes.exact if code.startswith("4")]
        set_failure(event, [*soft, *own], detail)
    else:
        set_failure(event, [*codes.exact, *own, *codes.vague, status], detail)


def _agent(item: dict[str, Any]) -> str:
    return words(item, "useragent")


def _fact_id(item: dict[str, Any]) -> str:
    """Return ``sg_event_id``, which a repeat of the event bears, too."""
    names = ("sg_message_id", "email", "event", "timestamp", "url")
    return identity(item, "sg_event_id") or fact_id(*(item.get(name) for name in names))
