"""Twilio SendGrid's Event Webhook: a signed list of events.

Source: SendGrid's Event Webhook reference and its security page; quirks as noted.

- Signature: ECDSA on P-256 with SHA-256 over the timestamp header and the raw body (which may end
  with a line break), as base64 of DER; the account's secret ``public_key`` is base64 of DER, too.
- Message id: ``sg_message_id`` without the names of servers behind it (".filter...", ".recvd..."),
  which is what a send answers as ``X-Message-Id`` and what the ``smtp-id`` begins with; it covers
  all recipients of one request. A drop may have a server's name in its place.
- Code of a bounce: the SMTP status ("5.1.1"), else "bounce:<classification>" or
  "bounce:type=<type>"; of a drop: "dropped:<reason>".
"""

import binascii
import re
from base64 import b64decode
from functools import lru_cache, partial
from typing import Any, ClassVar, Final

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
from libs.runtime.message_ids import bare_id
from services.ingest.domain.fields import (
    WORD_CHARACTERS_MAX,
    Unreadable,
    identity,
    words,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.smtp_codes import is_unknown_address, smtp_codes
from services.ingest.domain.times import seconds_us
from services.ingest.providers import email_events
from services.ingest.providers.bodies import empty_reading, read_list
from services.ingest.providers.decoding import without_mark
from services.ingest.providers.email_events import (
    ACTS,
    URL_CHARACTERS_MAX,
    EmailEvents,
    check_signed_time,
    set_choice,
    set_click,
    set_open,
)
from services.ingest.providers.failures import explain
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)

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


# What stands in the place of an id where SendGrid gave none: the name of a server.
_SERVER: Final = re.compile(r"(?:filter|ismtpd|recvd|geopod)", re.IGNORECASE)
SIGNATURE_CURE: Final = (
    "Compare the account's public_key with the verification key of the event webhook in SendGrid's "
    "settings; while it is changed, list both. A proxy must not rewrite bodies."
)


class SendGrid(Dialect):
    """The dialect of SendGrid's Event Webhook."""

    name = "sendgrid"
    secrets: ClassVar[Names] = {PUBLIC_KEY: "verification key of the event webhook, base64 of DER"}
    options: ClassVar[Names] = email_events.OPTIONS

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Verify the signature with any live public key."""
        keys = [key for text in live(account, PUBLIC_KEY) if (key := _public_key(text.strip()))]
        if not keys:
            return SECRET_NOT_CONFIGURED
        signature = callback.headers.get(SIGNATURE_HEADER, "")
        timestamp = callback.headers.get(TIMESTAMP_HEADER, "")
        if not signature or not timestamp:
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        signed = timestamp.encode(errors="replace") + callback.body
        if not any(_is_signed(key, signature, signed) for key in keys):
            return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)
        return check_signed_time(timestamp, callback)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read every event of the list."""
        reading = empty_reading(callback, account)
        add = partial(_add_event, EmailEvents(reading, account))
        read_list(reading, without_mark(callback.body), add)
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
    time_us = seconds_us(item.get("timestamp"))
    event = emails.add(
        EVENT_KIND_UNKNOWN if kind is None else kind,
        time_us,
        word=word,
        message_id=_message_id(item),
        recipient=identity(item, "email"),
        message_ref=emails.ref_in(item),
    )
    agent = words(item, "useragent")
    if kind is None:
        event.raw = raw
    elif kind in (EVENT_KIND_UNDELIVERED, EVENT_KIND_DROPPED, EVENT_KIND_DEFERRED):
        _explain(emails.reading, event, item)
    elif kind == EVENT_KIND_INFO:
        event.detail = words(item, "type")
    elif kind == EVENT_KIND_READ:
        # A flag, which some relays turn into a text.
        is_machine = str(item.get("sg_machine_open")).lower() == "true"
        set_open(event, time_us, agent, MACHINE_OPEN_RULE if is_machine else "")
    elif kind == EVENT_KIND_CLICKED:
        set_click(event, time_us, words(item, "url", characters_max=URL_CHARACTERS_MAX), agent)
    elif kind in ACTS:
        group = words(item, "asm_group_id", characters_max=WORD_CHARACTERS_MAX)
        set_choice(event, time_us, group)
        # The opt-out holds for one list; without a group it holds for all mail.
        event.detail = f"asm_group_id={group}" if group else ""


def _message_id(item: dict[str, Any]) -> str:
    told = identity(item, "sg_message_id")
    if told and not _SERVER.match(told):
        return told
    # The Message-ID that SendGrid gave begins with the same id; a sender's own is no id here.
    bare = bare_id("sendgrid", identity(item, "smtp-id"))
    return "" if "@" in bare else bare


def _explain(reading: Reading, event: Event, item: dict[str, Any]) -> None:
    reason = words(item, "reason")
    detail = reason or words(item, "response")
    if event.kind == EVENT_KIND_DROPPED:
        explain(reading, event, [f"dropped:{reason}" if reason else "dropped"], detail)
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
    exact = codes.exact
    if bounce_type == "blocked" and not any(map(is_unknown_address, exact)):
        # Not a dead address: a block is lifted again, whatever class the server's code has.
        soft = [code for code in exact if code.startswith("4")]
        explain(reading, event, [*soft, *own], detail)
    else:
        explain(reading, event, [*exact, *own, *codes.vague, status], detail)
