"""Twilio Programmable Messaging: SMS and WhatsApp, status callbacks and inbound messages.

Source: Twilio's guides "Track the Message Status of Outbound Messages" and "Webhooks Security",
the message status enum of its OpenAPI description, and its request validators, as of 2026.

The message is keyed by ``MessageSid``, as the answer to the send gives it.
"""

import hmac
import re
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.consent import consent_event_of
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    needed_id,
    optional_id,
    text,
    title,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.whole_body import (
    STAGE_BY_KIND,
    add_consent,
    add_opt_out_by_failure,
    add_unknown,
    explain,
    form_object,
    form_pairs,
    read_whole,
)

AUTH_TOKEN = "auth_token"  # noqa: S105 the name of a secret
SIGNATURE_HEADER = "x-twilio-signature"

KIND_BY_STATUS: Final = {
    "accepted": EVENT_KIND_ACCEPTED,
    "scheduled": EVENT_KIND_ACCEPTED,
    "queued": EVENT_KIND_QUEUED,
    "sending": EVENT_KIND_QUEUED,
    "sent": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    # In the enum and in no guide. Twilio says that something arrived, so something did.
    "partially_delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    # "failed" never left Twilio; "undelivered" did, and the carrier or the handset refused it.
    "undelivered": EVENT_KIND_UNDELIVERED,
    "failed": EVENT_KIND_DROPPED,
    "canceled": EVENT_KIND_CANCELED,
}
INBOUND_STATUSES: Final = frozenset({"receiving", "received"})
# The person had answered STOP before: a failure and an opt-out in one.
OPT_OUT_CODES: Final = frozenset({"21610"})
# Advanced Opt-Out tells what Twilio itself made of the text. HELP changes nothing.
KIND_BY_OPT_OUT_TYPE: Final = {
    "STOP": EVENT_KIND_UNSUBSCRIBED,
    "START": EVENT_KIND_RESUBSCRIBED,
    "HELP": None,
}

# "whatsapp:+1555...", "rcs:+1555...", and "whatsapp:US.1234" where the phone is not known.
_CHANNEL_PREFIX: Final = re.compile(r"[a-z]{2,16}:")
_PORT_BY_SCHEME: Final = {"https": 443, "http": 80}


class Twilio:
    """The dialect of Twilio Programmable Messaging."""

    name = "twilio"
    # The method is the sender's choice; Twilio's default is POST.
    methods = frozenset({"GET", "POST"})
    # Twilio answers an inbound message with what it hears, so it must hear an empty answer.
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Twilio tries nothing out."""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare HMAC-SHA1 over the address and the decoded fields with any live auth token.

        The address is the one that Twilio called, from configuration: ``Host`` is a stranger's.
        """
        tokens = [token for token in account.secrets.get(AUTH_TOKEN, ()) if token]
        if not tokens:
            return Refused("SECRET_NOT_CONFIGURED", 503)
        given = callback.headers.get(SIGNATURE_HEADER, "").strip()
        if not given:
            return Refused("SIGNATURE_MISSING")
        try:
            fields = _signed_fields(callback)
        except Unreadable:
            return Refused("SIGNATURE_WRONG")
        for url in _urls(callback.external_url):
            signed = (url + fields).encode(errors="surrogateescape")
            for token in tokens:
                expected = b64encode(hmac.digest(token.encode(), signed, "sha1"))
                if hmac.compare_digest(given.encode(errors="replace"), expected):
                    return Authentic()
        return Refused("SIGNATURE_WRONG")

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a status or an inbound message."""
        return read_whole(callback, account, lambda reading: _read(reading, callback))


def _signed_fields(callback: Callback) -> str:
    """Return the fields as Twilio signs them: by name, repeated values once and sorted.

    What is no form is signed by its hash, which stands in the address.

    Raises:
        Unreadable: too many fields, or the body is not the one of the hash.
    """
    if callback.method == "GET":
        return ""
    if "bodySHA256=" in callback.query:
        given = text(form_object(callback.query), "bodySHA256").lower()
        if not hmac.compare_digest(
            given.encode(errors="replace"), sha256(callback.body).hexdigest().encode()
        ):
            raise Unreadable("BODY_HASH_WRONG", "bodySHA256: not the hash of the body")
        return ""
    body = callback.body.decode(errors="surrogateescape")
    pairs = set(form_pairs(body, errors="surrogateescape"))
    return "".join([name + value for name, value in sorted(pairs)])


@lru_cache(maxsize=256)
def _urls(url: str) -> tuple[str, ...]:
    """Return the address with and without its default port: Twilio signs now one, now the other.

    Source: Twilio's own request validators, which try both.
    """
    try:
        parts = urlsplit(url)
        port, default = parts.port, _PORT_BY_SCHEME.get(parts.scheme)
    except ValueError:
        return (url,)
    host = parts.netloc
    if port is None and default:
        return url, parts._replace(netloc=f"{host}:{default}").geturl()
    return (url, parts._replace(netloc=host.rpartition(":")[0]).geturl()) if port else (url,)


def _read(reading: Reading, callback: Callback) -> None:
    if callback.method == "GET":
        raw = callback.query.encode(errors="replace")
        fields = form_object(callback.query)
    else:
        raw = callback.body
        fields = form_object(callback.body.decode(errors="replace"))
    status = first_text(fields, "MessageStatus", "SmsStatus").lower()
    if status in INBOUND_STATUSES or (not status and "Body" in fields):
        _add_inbound(reading, callback, fields)
    elif status:
        _add_status(reading, callback, fields, status, raw)
    elif fields:
        # Another product of Twilio's on the same address.
        add_unknown(reading, text(fields, "EventType"), callback.receive_time_us, raw)
    else:
        raise Unreadable("STATUS_MISSING", "MessageStatus: missing, and nothing else is there")


def _add_status(
    reading: Reading, callback: Callback, fields: dict[str, str], status: str, raw: bytes
) -> None:
    message_id = needed_id(
        fields, "MessageSid", "SmsSid", "SmsMessageSid", reason="STATUS_WITHOUT_ID"
    )
    kind = KIND_BY_STATUS.get(status)
    if text(fields, "EventType").upper() == "READ":
        kind = EVENT_KIND_READ
    # Twilio tells no time. `RawDlrDoneDate` is the carrier's clock, in minutes and without a
    # zone, so the time of receipt is the better one.
    if kind is None:
        event = add_unknown(reading, status, callback.receive_time_us, raw)
        reading.name_message(event, message_id)
    else:
        event = reading.add_of_message(kind, callback.receive_time_us, message_id)
        event.provider_word = status
    event.address = _address(optional_id(fields, "To"))
    if kind in STAGE_BY_KIND:
        code = word(fields, "ErrorCode")
        detail = first_text(fields, "ChannelStatusMessage", "ErrorMessage")
        explain(event, code, detail)
        if code in OPT_OUT_CODES:
            add_opt_out_by_failure(reading, event)


def _add_inbound(reading: Reading, callback: Callback, fields: dict[str, str]) -> None:
    inbound_id = needed_id(
        fields, "MessageSid", "SmsSid", "SmsMessageSid", reason="MESSAGE_WITHOUT_ID"
    )
    answered_id = optional_id(fields, "OriginalRepliedMessageSid")
    sender = optional_id(fields, "From")
    if sender and text(fields, "OriginalRepliedMessageSender") == sender:
        # People answer messages of their own, too.
        answered_id = ""
    time_us = callback.receive_time_us
    if answered_id:
        event = reading.add_of_message(EVENT_KIND_REPLIED, time_us, answered_id)
    else:
        event = reading.add(EVENT_KIND_REPLIED, time_us)
    event.provider_word = first_text(fields, "SmsStatus", "MessageStatus") or "received"
    event.address = _address(sender)
    _add_act(event, fields, inbound_id)
    _add_consent(reading, event, fields)


def _add_act(event: Event, fields: dict[str, str], inbound_id: str) -> None:
    engagement = event.engagement
    engagement.fact_id = inbound_id
    has_media = text(fields, "NumMedia") not in ("", "0")
    engagement.inbound_type = word(fields, "MessageType") or ("media" if has_media else "text")
    button_id = first_text(fields, "ButtonPayload", "ListId")
    label = first_text(fields, "ButtonText", "ListTitle")
    if button_id or label:
        engagement.is_tap = True
        engagement.button_id = title({"id": button_id}, "id")
        engagement.button_title = title({"title": label}, "title")


def _add_consent(reading: Reading, event: Event, fields: dict[str, str]) -> None:
    opt_out_type = text(fields, "OptOutType").upper()
    if opt_out_type not in KIND_BY_OPT_OUT_TYPE:
        engagement = event.engagement
        add_consent(
            reading, event, text(fields, "Body"), engagement.button_title, engagement.button_id
        )
        return
    kind = KIND_BY_OPT_OUT_TYPE[opt_out_type]
    if kind is not None:
        reading.batch.events.append(consent_event_of(event, kind))


def _address(given: str) -> str:
    """Return the address without its channel: phones have their "+", user ids stay as they are."""
    return _CHANNEL_PREFIX.sub("", given, count=1) if ":" in given else given
