"""MessageBird: SMS status reports by GET, inbound SMS, and Conversations, on one address.

Source: MessageBird's Go SDK (``signature_jwt``, ``conversation``) and its SMS reference, as of
2026. Conversations are in `messagebird_conversations.py`. The newer Bird platform (bird.com)
publishes neither its payloads nor its signature, so it is not read.

One SMS id covers several recipients: the message is called ``id/recipient``, the recipient as
MessageBird writes it (digits without "+", as in the answer to the send); the key ignores a "+".
"""

from collections.abc import Mapping
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_REPLIED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)

from libs.runtime.accounts import Account
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    needed_id,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.prices import set_price
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import iso_us
from services.ingest.providers.messagebird_conversations import add_conversation_event
from services.ingest.providers.provider import Answer, Authentic, Callback, Refused
from services.ingest.providers.signed_jwt import check_age, claims_of, is_hash_of
from services.ingest.providers.static_credential import has_static_credential
from services.ingest.providers.unsigned_door import admit_unsigned, without_noise
from services.ingest.providers.whole_body import (
    STAGE_BY_KIND,
    add_consent,
    add_opt_out_by_failure,
    add_unknown,
    explain,
    form_object,
    json_object,
    read_whole,
)

SIGNING_KEY = "signing_key"
SIGNATURE_HEADER = "messagebird-signature-jwt"
ISSUER = "MessageBird"

KIND_BY_STATUS: Final = {
    "scheduled": EVENT_KIND_ACCEPTED,
    "accepted": EVENT_KIND_ACCEPTED,
    "pending": EVENT_KIND_ACCEPTED,
    "sent": EVENT_KIND_SENT,
    # The carrier holds it for a handset that is off.
    "buffered": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "expired": EVENT_KIND_UNDELIVERED,
    "delivery_failed": EVENT_KIND_UNDELIVERED,
}
# The person had answered STOP before: a failure and an opt-out in one.
OPT_OUT_CODES: Final = frozenset({"103"})
# An amount of zero before the end means that nothing is charged yet.
UNFINISHED: Final = frozenset({EVENT_KIND_ACCEPTED, EVENT_KIND_SENT})


class MessageBird:
    """The dialect of MessageBird."""

    name = "messagebird"
    # SMS reports are GETs, everything else is POSTed.
    methods = frozenset({"GET", "POST"})
    # MessageBird's own word for "taken"; it looks at the code only.
    answer = Answer(body=b"OK")

    def handshake(self, callback: Callback, account: Account) -> Answer | None:
        """MessageBird tries nothing out."""

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Check the token, and in it the hash of the whole address and the hash of the body.

        The address counts with its query in the order received: in a report it is all there is.
        """
        keys = [key for key in account.secrets.get(SIGNING_KEY, ()) if key]
        token = callback.headers.get(SIGNATURE_HEADER, "").strip()
        if not token:
            if _is_inbound_sms(callback) or (not keys and has_static_credential(account)):
                return admit_unsigned(callback, account)
            return Refused("SIGNATURE_MISSING") if keys else Refused("SECRET_NOT_CONFIGURED", 503)
        if not keys:
            return Refused("SECRET_NOT_CONFIGURED", 503)
        claims = claims_of(token, keys)
        if claims is None or claims.get("iss") != ISSUER:
            return Refused("SIGNATURE_WRONG")
        url = callback.external_url.encode(errors="replace")
        if not is_hash_of(claims.get("url_hash"), url):
            return Refused("SIGNATURE_OF_ANOTHER_ADDRESS")
        payload_hash = claims.get("payload_hash")
        is_body_signed = (
            is_hash_of(payload_hash, callback.body) if callback.body else payload_hash is None
        )
        if not is_body_signed:
            return Refused("SIGNATURE_WRONG")
        return check_age(claims.get("nbf"), callback)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a report, an inbound SMS, or an event of a conversation."""
        reading = read_whole(callback, account, lambda reading: _read(reading, callback))
        is_signed = bool(callback.headers.get(SIGNATURE_HEADER, "").strip())
        return reading if is_signed else without_noise(reading, account)


def _is_json(callback: Callback) -> bool:
    return callback.body.lstrip()[:1] == b"{"


def _form(callback: Callback) -> dict[str, str]:
    """Return the parameters of a report or an inbound SMS.

    Raises:
        Unreadable: too many fields.
    """
    given = callback.query if callback.method == "GET" else callback.body.decode(errors="replace")
    return form_object(given)


def _is_inbound_sms(callback: Callback) -> bool:
    try:
        fields = {} if _is_json(callback) else _form(callback)
    except Unreadable:
        return False
    return "originator" in fields and "status" not in fields


def _read(reading: Reading, callback: Callback) -> None:
    if callback.method == "POST" and _is_json(callback):
        add_conversation_event(reading, json_object(callback.body), callback.body)
        return
    fields = _form(callback)
    raw = callback.body or callback.query.encode(errors="replace")
    if text(fields, "status"):
        _add_report(reading, fields, raw)
    elif text(fields, "originator"):
        _add_inbound_sms(reading, fields)
    else:
        raise Unreadable("STATUS_MISSING", "status: missing, and there is no originator")


def _add_report(reading: Reading, fields: dict[str, str], raw: bytes) -> None:
    recipient = needed_id(fields, "recipient", reason="STATUS_WITHOUT_RECIPIENT")
    message_id = f"{needed_id(fields, 'id', reason='STATUS_WITHOUT_ID')}/{recipient}"
    status = text(fields, "status").lower()
    time_us = _time_us(fields, "statusDatetime")
    kind = KIND_BY_STATUS.get(status)
    if kind is None:
        event = add_unknown(reading, status, time_us, raw)
        reading.name_message(event, message_id)
    else:
        event = reading.add_of_message(kind, time_us, message_id)
        event.provider_word = status
    event.address = from_digits(recipient)
    event.message_ref = reference(fields, "reference")
    amount = text(fields, "price[amount]")
    if kind not in UNFINISHED or amount.strip("0."):
        set_price(event, amount, text(fields, "price[currency]"))
    if kind in STAGE_BY_KIND:
        code = word(fields, "statusErrorCode")
        explain(event, code, text(fields, "statusReason"), known_as=status)
        if code in OPT_OUT_CODES:
            add_opt_out_by_failure(reading, event)


def _add_inbound_sms(reading: Reading, fields: dict[str, str]) -> None:
    """Add an inbound SMS; it names no message, so the address must tell which one it answers."""
    time_us = _time_us(fields, "createdDatetime") or _time_us(fields, "CreatedDatetime")
    event = reading.add(EVENT_KIND_REPLIED, time_us)
    event.provider_word = "received"
    event.address = from_digits(optional_id(fields, "originator"))
    event.engagement.fact_id = needed_id(fields, "id", reason="MESSAGE_WITHOUT_ID")
    event.engagement.inbound_type = "text"
    add_consent(reading, event, text(fields, "body") or text(fields, "message"))


def _time_us(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a time of a form; a "+" that was not escaped came as a blank."""
    given = text(fields, name)
    date, mark, time = given.partition("T")
    return iso_us(f"{date}T{time.replace(' ', '+')}" if mark else given)
