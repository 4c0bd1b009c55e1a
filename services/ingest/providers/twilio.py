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
from typing import ClassVar, Final
from urllib.parse import urlsplit

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_CANCELED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_QUEUED,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNKNOWN,
    EVENT_KIND_UNSUBSCRIBED,
)

from libs.runtime.accounts import Account
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    WORD_CHARACTERS_MAX,
    Unreadable,
    first_text,
    needed_id,
    optional_id,
    text,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.providers import inbound
from services.ingest.providers.bodies import add_unknown, read_whole
from services.ingest.providers.decoding import form_object, form_pairs
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import FROM_ADVERT, Inbound, add_inbound
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    SIGNED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
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
# Advanced Opt-Out tells what Twilio itself made of the text. HELP changes nothing.
KIND_BY_OPT_OUT_TYPE: Final = {
    "STOP": EVENT_KIND_UNSUBSCRIBED,
    "START": EVENT_KIND_RESUBSCRIBED,
    "HELP": None,
}

# "whatsapp:+1555...", "rcs:+1555...", and "whatsapp:US.1234" where the phone is not known.
_CHANNEL_PREFIX: Final = re.compile(r"[a-z]{2,16}:")
_PORT_BY_SCHEME: Final = {"https": 443, "http": 80}
CHANNELS: Final = {"whatsapp": CHANNEL_WHATSAPP, "": CHANNEL_SMS, "sms": CHANNEL_SMS}
SIGNATURE_CURE: Final = (
    "Compare the account's auth_token with Twilio's console; while it is changed, list both. "
    "Twilio "
    "signs the address: BLUETICK_PUBLIC_URL must be the one that it calls."
)


class Twilio(Dialect):
    """The dialect of Twilio Programmable Messaging.

    Twilio answers an inbound message with what it hears, so it must hear an empty answer.
    """

    name = "twilio"
    # The method is the sender's choice; Twilio's default is POST.
    methods = frozenset({"GET", "POST"})
    secrets: ClassVar[Names] = {
        AUTH_TOKEN: "auth token of the account or subaccount, which signs callbacks"
    }
    options: ClassVar[Names] = inbound.OPTIONS

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare HMAC-SHA1 over the address and the decoded fields with any live auth token.

        The address is the one that Twilio called, from configuration: ``Host`` is a stranger's.
        """
        tokens = live(account, AUTH_TOKEN)
        if not tokens:
            return SECRET_NOT_CONFIGURED
        given = callback.headers.get(SIGNATURE_HEADER, "").strip()
        if not given:
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        try:
            fields = _signed_fields(callback)
        except Unreadable:
            return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)
        for url in _urls(callback.external_url):
            signed = (url + fields).encode(errors="surrogateescape")
            for token in tokens:
                expected = b64encode(hmac.digest(token.encode(), signed, "sha1"))
                if hmac.compare_digest(given.encode(errors="replace"), expected):
                    return SIGNED
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)

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
    return "".join([name + value for name, value in sorted(set(_pairs(callback.body)))])


# A callback is decoded to be proven, and then read: two at most are kept, none for long.
@lru_cache(maxsize=2)
def _pairs(body: bytes) -> list[tuple[str, str]]:
    """Decode a form as it is signed, with odd bytes as they are; not to be changed."""
    return form_pairs(body.decode(errors="surrogateescape"), errors="surrogateescape")


def form_fields(body: bytes) -> dict[str, str]:
    """Decode a form as ``form_object`` does; one of ASCII, as nearly all are, is decoded before."""
    if not body.isascii():
        return form_object(body.decode(errors="replace"))
    return dict(map(_replaced, reversed(_pairs(body))))


def _replaced(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    if name.isascii() and value.isascii():
        return pair
    return (
        name.encode(errors="surrogateescape").decode(errors="replace"),
        value.encode(errors="surrogateescape").decode(errors="replace"),
    )


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
        fields = form_fields(callback.body)
    status = first_text(fields, "MessageStatus", "SmsStatus").lower()
    if status in INBOUND_STATUSES or (not status and "Body" in fields):
        _add_inbound(reading, fields)
    elif status:
        _add_status(reading, fields, status, raw)
    elif fields:
        # Another product of Twilio's on the same address.
        add_unknown(reading, text(fields, "EventType"), callback.receive_time_us, raw)
    else:
        raise Unreadable("STATUS_MISSING", "MessageStatus: missing, and nothing else is there")


def _add_status(reading: Reading, fields: dict[str, str], status: str, raw: bytes) -> None:
    message_id = needed_id(
        fields, "MessageSid", "SmsSid", "SmsMessageSid", reason="STATUS_WITHOUT_ID"
    )
    kind = KIND_BY_STATUS.get(status)
    if text(fields, "EventType").upper() == "READ":
        kind = EVENT_KIND_READ
    # Twilio tells no time. `RawDlrDoneDate` is the carrier's clock, in minutes and without a
    # zone, so the time of receipt is the better one.
    event = reading.add_untimed(EVENT_KIND_UNKNOWN if kind is None else kind)
    reading.name_message(event, message_id)
    event.provider_word = status[:WORD_CHARACTERS_MAX]
    if kind is None:
        event.raw = raw
    person, channel = _address(optional_id(fields, "To"))
    event.address = person
    event.own_address = _address(optional_id(fields, "From"))[0]
    event.channel = channel  # type: ignore[assignment]
    if kind in STAGE_BY_KIND:
        detail = first_text(fields, "ChannelStatusMessage", "ErrorMessage")
        explain(reading, event, [word(fields, "ErrorCode")], detail)


def _add_inbound(reading: Reading, fields: dict[str, str]) -> None:
    answered_id = optional_id(fields, "OriginalRepliedMessageSid")
    sender = optional_id(fields, "From")
    if sender and text(fields, "OriginalRepliedMessageSender") == sender:
        # People answer messages of their own, too.
        answered_id = ""
    person, channel = _address(sender)
    has_media = text(fields, "NumMedia") not in ("", "0")
    button_id = first_text(fields, "ButtonPayload", "ListId")
    label = first_text(fields, "ButtonText", "ListTitle")
    opt_out_type = text(fields, "OptOutType").upper()
    # Twilio passes on what WhatsApp tells of the advert, now this and now that; the number of its
    # pictures stands there without one, too.
    is_advert = any(
        name.startswith("Referral") and value and name != "ReferralNumMedia"
        for name, value in fields.items()
    )
    add_inbound(reading, Inbound(
        inbound_id=needed_id(
            fields, "MessageSid", "SmsSid", "SmsMessageSid", reason="MESSAGE_WITHOUT_ID"
        ),
        word=first_text(fields, "SmsStatus", "MessageStatus") or "received",
        is_untimed=True,
        person=person,
        also_known_as=(
            from_digits(optional_id(fields, "WaId")), optional_id(fields, "ExternalUserId"),
        ),
        own_address=_address(optional_id(fields, "To"))[0],
        channel=channel,
        answered_id=answered_id,
        content_type=word(fields, "MessageType") or ("media" if has_media else "text"),
        # Advanced Opt-Out tells what Twilio itself made of the text, and then that counts.
        texts=(text(fields, "Body"),),
        is_consent_told=opt_out_type in KIND_BY_OPT_OUT_TYPE,
        consent=KIND_BY_OPT_OUT_TYPE.get(opt_out_type),
        is_tap=bool(button_id or label),
        button_id=button_id,
        button_title=label,
        answers_nothing=FROM_ADVERT if is_advert and not answered_id else "",
    ))  # fmt: skip


def _address(given: str) -> tuple[str, int]:
    """Return the address without its channel, and that: phones have their "+", user ids stay."""
    prefix = _CHANNEL_PREFIX.match(given) if ":" in given else None
    named = prefix.group()[:-1] if prefix else ""
    return given[len(prefix.group()) if prefix else 0 :], CHANNELS.get(named, CHANNEL_UNSPECIFIED)
