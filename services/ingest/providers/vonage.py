"""Vonage: the Messages API (signed JSON) and, on the same address, the older SMS API.

Source: Vonage's "Messages Status Callbacks", "WhatsApp Status Callbacks" and "Signed Webhooks"
pages and its SDKs, as of 2026. The SMS API is in `vonage_sms.py`.

The message is keyed by ``message_uuid``. In a failover workflow each item has one of its own.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    CHANNEL_UNSPECIFIED,
    CHANNEL_WHATSAPP,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_READ,
    EVENT_KIND_SENT,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
    list_at,
    needed_id,
    object_at,
    optional_id,
    reference,
    text,
    title,
    word,
)
from services.ingest.domain.prices import set_price
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import iso_us
from services.ingest.providers import inbound, static_credential, unsigned_door
from services.ingest.providers.bodies import add_report, add_unknown, read_whole
from services.ingest.providers.decoding import json_object
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import (
    FROM_ADVERT,
    IN_GROUP,
    Inbound,
    add_inbound,
    name_person,
)
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.signed_jwt import check_age, claims_of, is_hash_of
from services.ingest.providers.unsigned_door import without_noise
from services.ingest.providers.vonage_sms import (
    METHODS_BY_LENGTH,
    SIGNATURE_CURE,
    SIGNATURE_METHOD,
    add_receipt,
    authenticate_sms,
    sms_fields,
)

SIGNATURE_SECRET = "signature_secret"  # noqa: S105 the name of a secret
SIGNATURE_HEADER = "authorization"

KIND_BY_STATUS: Final = {
    "submitted": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "read": EVENT_KIND_READ,
    "rejected": EVENT_KIND_DROPPED,
    # Not the handset's doing: Vonage could not reach the channel, so the message never left.
    "undeliverable": EVENT_KIND_DROPPED,
}
# Authentic and understood, but nobody answered anything.
NOTICE_TYPES: Final = frozenset({"system", "unsupported"})
# Parts of one message that are looked at.
CONTENTS_MAX: Final = 20
# An amount of zero before the end means that nothing is charged yet.
UNFINISHED: Final = frozenset({EVENT_KIND_SENT})


CHANNELS: Final = {
    "whatsapp": CHANNEL_WHATSAPP,
    "sms": CHANNEL_SMS,
    "mms": CHANNEL_SMS,
    "email": CHANNEL_EMAIL,
}


class Vonage(Dialect):
    """The dialect of Vonage."""

    name = "vonage"
    # The SMS API's receipts come by either method.
    methods = frozenset({"GET", "POST"})
    secrets: ClassVar[Names] = {
        SIGNATURE_SECRET: "signature secret of the Vonage account",
        **static_credential.SECRETS,
    }
    options: ClassVar[Names] = {
        **static_credential.OPTIONS,
        **unsigned_door.OPTIONS,
        **inbound.OPTIONS,
        SIGNATURE_METHOD: "the one method by which the SMS API signs: md5hash, md5, sha1, "
        "sha256 or "
        "sha512; without it any of them is taken",
    }

    def option_problem(self, options: Mapping[str, str]) -> str:
        """Say which methods there are, if none of them is pinned."""
        pinned = options.get(SIGNATURE_METHOD, "")
        known = [method for methods in METHODS_BY_LENGTH.values() for method in methods]
        if pinned and pinned not in known:
            return f"{SIGNATURE_METHOD}: {pinned!r} is none of {', '.join(known)}"
        return ""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Check the token, the hash of the body in it, and its age.

        Vonage's own verifier checks the token only, which any overheard token would pass.
        """
        secrets = live(account, SIGNATURE_SECRET)
        if callback.method == "GET" or not _has_token(callback):
            return authenticate_sms(callback, account, secrets)
        if not secrets:
            return SECRET_NOT_CONFIGURED
        token = callback.headers[SIGNATURE_HEADER][len("bearer ") :].strip()
        claims = claims_of(token, secrets)
        if claims is None or not is_hash_of(claims.get("payload_hash"), callback.body):
            return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)
        return check_age(claims.get("iat"), callback)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a status or an inbound message of either interface."""
        fields = sms_fields(callback)
        if fields is None:
            return read_whole(callback, account, lambda reading: _read(reading, callback.body))
        reading = read_whole(
            callback, account, lambda reading: add_receipt(reading, fields, callback)
        )
        is_signed = "sig" in fields or (callback.method == "POST" and _has_token(callback))
        return reading if is_signed else without_noise(reading, account)


def _has_token(callback: Callback) -> bool:
    return callback.headers.get(SIGNATURE_HEADER, "").lower().startswith("bearer ")


def _read(reading: Reading, body: bytes) -> None:
    fields = json_object(body)
    if text(fields, "status"):
        _add_status(reading, fields, body)
    elif text(fields, "message_type"):
        _add_inbound(reading, fields)
    elif fields:
        add_unknown(reading, word(fields, "event"), iso_us(fields.get("timestamp")), body)
    else:
        raise Unreadable("STATUS_MISSING", "status: missing, and nothing else is there")


def _add_status(reading: Reading, fields: dict[str, object], raw: bytes) -> None:
    message_id = needed_id(fields, "message_uuid", reason="STATUS_WITHOUT_ID")
    status = text(fields, "status")
    time_us = iso_us(fields.get("timestamp"))
    kind = KIND_BY_STATUS.get(status)
    event = add_report(reading, kind, status, time_us, message_id, raw)
    _name_ends(event, fields)
    event.message_ref = reference(fields, "client_ref")
    usage = object_at(fields, "usage")
    amount = text(usage, "price")
    if kind not in UNFINISHED or amount.strip("0."):
        set_price(event, amount, text(usage, "currency"))
    origin = object_at(object_at(object_at(fields, "whatsapp"), "conversation"), "origin")
    if category := word(origin, "type"):
        event.pricing.category = category
    if kind in STAGE_BY_KIND:
        _explain(reading, event, fields)


def _explain(reading: Reading, event: Event, fields: dict[str, object]) -> None:
    """Take the code from ``title`` (text or number) or from the end of the address in ``type``."""
    error = object_at(fields, "error")
    code = text(error, "title")
    detail = text(error, "detail")
    if not code.isdecimal():
        detail = detail or code
        linked = text(error, "type").rpartition("#")[2]
        code = linked if linked.isdecimal() else code
    explain(reading, event, [code], detail)


def _name_ends(event: Event, fields: dict[str, object]) -> None:
    """Name both ends; since 2026 the recipient may be known by a WhatsApp user id only."""
    names = _names(object_at(object_at(fields, "whatsapp"), "recipient"))
    phone = from_digits(optional_id(fields, "to"))
    name_person(event, phone or next(iter(names), ""), *names)
    event.own_address = from_digits(optional_id(fields, "from"))
    event.channel = CHANNELS.get(text(fields, "channel"), CHANNEL_UNSPECIFIED)


def _names(whatsapp: Mapping[str, object]) -> tuple[str, ...]:
    """Return the phone and the user ids of a person on WhatsApp."""
    told = (optional_id(whatsapp, name) for name in ("wa_id", "user_id", "parent_user_id"))
    return tuple(from_digits(name) for name in told if name)


def _add_inbound(reading: Reading, fields: dict[str, object]) -> None:
    # `context_status` says "unavailable" beside a context that is there: the context counts.
    context = object_at(fields, "context")
    answered_id = optional_id(context, "message_uuid")
    sender = optional_id(fields, "from")
    if sender and text(context, "message_from") == sender:
        # People answer messages of their own, too.
        answered_id = ""
    kind = word(fields, "message_type")
    names = _names(object_at(object_at(fields, "whatsapp"), "sender"))
    tapped = object_at(fields, "button") or object_at(fields, "reply")
    reaction = object_at(fields, "reaction")
    told = Inbound(
        inbound_id=needed_id(fields, "message_uuid", reason="MESSAGE_WITHOUT_ID"),
        word=kind,
        time_us=iso_us(fields.get("timestamp")),
        person=from_digits(sender) or next(iter(names), ""),
        also_known_as=names,
        own_address=from_digits(optional_id(fields, "to")),
        channel=CHANNELS.get(text(fields, "channel"), CHANNEL_UNSPECIFIED),
        answered_id=answered_id,
        content_type=kind,
        texts=_written(fields, kind),
        # A form that was filled in is an answer, and no tap.
        is_tap=bool(tapped) and text(tapped, "subtype") != "flow",
        button_id=title(tapped, "payload") or title(tapped, "id"),
        button_title=title(tapped, "text") or title(tapped, "title"),
        is_reaction=kind == "reaction",
        is_withdrawn=kind == "reaction" and _is_withdrawn(reaction),
        answers_nothing="" if answered_id else _answers_nothing(fields),
    )
    if kind in NOTICE_TYPES:
        told.answered_id, told.answers_nothing = "", kind
        add_inbound(reading, told).ClearField("detail")
        return
    add_inbound(reading, told)


def _written(fields: dict[str, object], kind: str) -> tuple[str, ...]:
    """Return all that was written: the text, a picture's caption, the texts of an MMS."""
    parts = [part for part in list_at(fields, "content")[:CONTENTS_MAX] if isinstance(part, dict)]
    return (text(fields, "text"), text(fields, kind, "caption"), *(text(p, "text") for p in parts))


def _is_withdrawn(reaction: Mapping[str, object]) -> bool:
    is_removed = text(reaction, "action") in {"unreact", "removed"}
    return is_removed or not first_text(reaction, "emoji", "action")


def _answers_nothing(fields: dict[str, object]) -> str:
    whatsapp = object_at(fields, "whatsapp")
    if object_at(whatsapp, "referral") or object_at(fields, "referral"):
        return FROM_ADVERT
    return IN_GROUP if text(whatsapp, "group_id") else ""
