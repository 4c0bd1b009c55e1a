"""Vonage: the Messages API (signed JSON) and, on the same address, the older SMS API.

Source: Vonage's "Messages Status Callbacks", "WhatsApp Status Callbacks" and "Signed Webhooks"
pages and its SDKs, as of 2026. The SMS API is in `vonage_sms.py`.

The message is keyed by ``message_uuid``. In a failover workflow each item has one of its own.
"""

from typing import Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_REPLIED,
    EVENT_KIND_SENT,
)
from bluetick.v1.event_pb2 import Event

from libs.runtime.accounts import Account
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    first_text,
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
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.signed_jwt import check_age, claims_of, is_hash_of
from services.ingest.providers.unsigned_door import without_noise
from services.ingest.providers.vonage_sms import add_receipt, authenticate_sms, sms_fields
from services.ingest.providers.whole_body import (
    STAGE_BY_KIND,
    add_consent,
    add_unknown,
    explain,
    json_object,
    read_whole,
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
NOTICE_TYPES: Final = frozenset({"unsupported"})
# An amount of zero before the end means that nothing is charged yet.
UNFINISHED: Final = frozenset({EVENT_KIND_SENT})


class Vonage:
    """The dialect of Vonage."""

    name = "vonage"
    # The SMS API's receipts come by either method.
    methods = frozenset({"GET", "POST"})
    answer = Answer()

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """Vonage tries nothing out."""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Check the token, the hash of the body in it, and its age.

        Vonage's own verifier checks the token only, which any overheard token would pass.
        """
        secrets = [secret for secret in account.secrets.get(SIGNATURE_SECRET, ()) if secret]
        if callback.method == "GET" or not _has_token(callback):
            return authenticate_sms(callback, account, secrets)
        if not secrets:
            return Refused("SECRET_NOT_CONFIGURED", 503)
        token = callback.headers[SIGNATURE_HEADER][len("bearer ") :].strip()
        claims = claims_of(token, secrets)
        if claims is None or not is_hash_of(claims.get("payload_hash"), callback.body):
            return Refused("SIGNATURE_WRONG")
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
    if kind is None:
        event = add_unknown(reading, status, time_us, raw)
        reading.name_message(event, message_id)
    else:
        event = reading.add_of_message(kind, time_us, message_id)
        event.provider_word = status
    event.address = _recipient(fields)
    event.message_ref = reference(fields, "client_ref")
    usage = object_at(fields, "usage")
    amount = text(usage, "price")
    if kind not in UNFINISHED or amount.strip("0."):
        set_price(event, amount, text(usage, "currency"))
    origin = object_at(object_at(object_at(fields, "whatsapp"), "conversation"), "origin")
    if category := word(origin, "type"):
        event.pricing.category = category
    if kind in STAGE_BY_KIND:
        _explain(event, fields)


def _explain(event: Event, fields: dict[str, object]) -> None:
    """Take the code from ``title`` (text or number) or from the end of the address in ``type``."""
    error = object_at(fields, "error")
    code = text(error, "title")
    detail = text(error, "detail")
    if not code.isdecimal():
        detail = detail or code
        linked = text(error, "type").rpartition("#")[2]
        code = linked if linked.isdecimal() else code
    explain(event, code, detail)


def _recipient(fields: dict[str, object]) -> str:
    """Return the phone if Vonage gives it; since 2026 there may be a WhatsApp user id only."""
    if phone := optional_id(fields, "to"):
        return from_digits(phone)
    recipient = object_at(object_at(fields, "whatsapp"), "recipient")
    return from_digits(optional_id(recipient, "wa_id", "user_id", "parent_user_id"))


def _add_inbound(reading: Reading, fields: dict[str, object]) -> None:
    inbound_id = needed_id(fields, "message_uuid", reason="MESSAGE_WITHOUT_ID")
    time_us = iso_us(fields.get("timestamp"))
    # `context_status` says "unavailable" beside a context that is there: the context counts.
    context = object_at(fields, "context")
    answered_id = optional_id(context, "message_uuid")
    sender = optional_id(fields, "from")
    if sender and text(context, "message_from") == sender:
        # People answer messages of their own, too.
        answered_id = ""
    kind = word(fields, "message_type")
    if kind in NOTICE_TYPES:
        event = reading.add(EVENT_KIND_INFO, time_us)
    elif answered_id:
        event = reading.add_of_message(EVENT_KIND_REPLIED, time_us, answered_id)
    else:
        event = reading.add(EVENT_KIND_REPLIED, time_us)
    event.provider_word = kind
    if not sender:
        whatsapp = object_at(object_at(fields, "whatsapp"), "sender")
        sender = optional_id(whatsapp, "wa_id", "user_id", "parent_user_id")
    event.address = from_digits(sender)
    if kind in NOTICE_TYPES:
        return
    _add_act(event, fields, inbound_id)
    engagement = event.engagement
    add_consent(reading, event, text(fields, "text"), engagement.button_title, engagement.button_id)


def _add_act(event: Event, fields: dict[str, object], inbound_id: str) -> None:
    engagement = event.engagement
    engagement.fact_id = inbound_id
    engagement.inbound_type = event.provider_word
    if event.provider_word == "reaction":
        reaction = object_at(fields, "reaction")
        is_removed = text(reaction, "action") in {"unreact", "removed"}
        engagement.is_withdrawn = is_removed or not first_text(reaction, "emoji", "action")
    tapped = object_at(fields, "button") or object_at(fields, "reply")
    if tapped:
        engagement.is_tap = True
        engagement.button_id = title(tapped, "payload") or title(tapped, "id")
        engagement.button_title = title(tapped, "text") or title(tapped, "title")
