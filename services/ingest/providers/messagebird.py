"""MessageBird: SMS status reports by GET, inbound SMS, and Conversations, on one address.

Source: MessageBird's Go SDK (``signature_jwt``, ``conversation``) and its SMS reference, as of
2026. Conversations are in `messagebird_conversations.py`, the newer Bird platform (bird.com) is in
`messagebird_bird.py`.

One SMS id covers several recipients: the message is called ``id/recipient``, the recipient as
MessageBird writes it (digits without "+", as in the answer to the send); the key ignores a "+".
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    EVENT_KIND_ACCEPTED,
    EVENT_KIND_DELIVERED,
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
from services.ingest.domain.times import iso_us, seconds_us
from services.ingest.providers import inbound, static_credential, unsigned_door
from services.ingest.providers.bodies import add_report, read_whole
from services.ingest.providers.decoding import form_object, is_json_object, json_object
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import Inbound, add_inbound
from services.ingest.providers.messagebird_bird import (
    BIRD_SIGNATURE_HEADER,
    add_bird_event,
    is_bird,
    is_signed_by_bird,
)
from services.ingest.providers.messagebird_conversations import add_conversation_event
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Answer,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.signed_jwt import check_age, claims_of, is_hash_of
from services.ingest.providers.static_credential import has_static_credential
from services.ingest.providers.unsigned_door import admit_unsigned, without_noise

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
# An amount of zero before the end means that nothing is charged yet.
UNFINISHED: Final = frozenset({EVENT_KIND_ACCEPTED, EVENT_KIND_SENT})


SIGNATURE_CURE: Final = (
    "Compare the account's signing_key with the one in the dashboard (Bird: of the subscription); "
    "while it is changed, list both. The address is signed: BLUETICK_PUBLIC_URL must be the one "
    "that "
    "is called."
)


class MessageBird(Dialect):
    """The dialect of MessageBird."""

    name = "messagebird"
    # SMS reports are GETs, everything else is POSTed.
    methods = frozenset({"GET", "POST"})
    # MessageBird's own word for "taken"; it looks at the code only.
    answer = Answer(body=b"OK")
    secrets: ClassVar[Names] = {
        SIGNING_KEY: "signing key of the account or subscription",
        **static_credential.SECRETS,
    }
    options: ClassVar[Names] = {
        **static_credential.OPTIONS,
        **unsigned_door.OPTIONS,
        **inbound.OPTIONS,
    }

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Check the token, and in it the hash of the whole address and the hash of the body.

        The address counts with its query in the order received: in a report it is all there is.
        """
        keys = live(account, SIGNING_KEY)
        token = callback.headers.get(SIGNATURE_HEADER, "").strip()
        is_birds = BIRD_SIGNATURE_HEADER in callback.headers
        if not token and not is_birds:
            if _is_inbound_sms(callback) or (not keys and has_static_credential(account)):
                return admit_unsigned(callback, account)
            missing = Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
            return missing if keys else SECRET_NOT_CONFIGURED
        if not keys:
            return SECRET_NOT_CONFIGURED
        if not token:
            return is_signed_by_bird(callback, keys) or _wrong("SIGNATURE_WRONG")
        claims = claims_of(token, keys)
        if claims is None or claims.get("iss") != ISSUER:
            return _wrong("SIGNATURE_WRONG")
        url = callback.external_url.encode(errors="replace")
        if not is_hash_of(claims.get("url_hash"), url):
            return _wrong("SIGNATURE_OF_ANOTHER_ADDRESS")
        payload_hash = claims.get("payload_hash")
        is_body_signed = (
            is_hash_of(payload_hash, callback.body) if callback.body else payload_hash is None
        )
        if not is_body_signed:
            return _wrong("SIGNATURE_WRONG")
        return check_age(claims.get("nbf"), callback)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read a report, an inbound SMS, or an event of a conversation."""
        reading = read_whole(callback, account, lambda reading: _read(reading, callback))
        is_signed = bool(callback.headers.get(SIGNATURE_HEADER, "").strip())
        is_signed = is_signed or BIRD_SIGNATURE_HEADER in callback.headers
        return reading if is_signed else without_noise(reading, account)


def _wrong(reason: str) -> Refused:
    return Refused(reason, cure=SIGNATURE_CURE)


def _is_json(callback: Callback) -> bool:
    return is_json_object(callback.body)


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
        told = json_object(callback.body)
        add = add_bird_event if is_bird(told) else add_conversation_event
        add(reading, told, callback.body)
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
    event = add_report(reading, kind, status, time_us, message_id, raw)
    event.address = from_digits(recipient)
    event.channel = CHANNEL_SMS
    event.message_ref = reference(fields, "reference")
    amount = text(fields, "price[amount]")
    if kind not in UNFINISHED or amount.strip("0."):
        set_price(event, amount, text(fields, "price[currency]"))
    if kind in STAGE_BY_KIND:
        code = word(fields, "statusErrorCode")
        explain(reading, event, [code], text(fields, "statusReason"), known_as=status)


def _add_inbound_sms(reading: Reading, fields: dict[str, str]) -> None:
    """Add an inbound SMS; it names no message, so the address must tell which one it answers."""
    times = (_time_us(fields, "createdDatetime"), _time_us(fields, "CreatedDatetime"),
             seconds_us(fields.get("date_utc")), seconds_us(fields.get("date")))  # fmt: skip
    add_inbound(
        reading,
        Inbound(
            inbound_id=needed_id(fields, "id", reason="MESSAGE_WITHOUT_ID"),
            word="received",
            time_us=next((time_us for time_us in times if time_us is not None), None),
            person=from_digits(optional_id(fields, "originator")),
            own_address=from_digits(optional_id(fields, "recipient", "shortcode")),
            channel=CHANNEL_SMS,
            content_type="text",
            texts=(text(fields, "body") or text(fields, "message"),),
        ),
    )


def _time_us(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a time of a form; a "+" that was not escaped came as a blank."""
    given = text(fields, name)
    date, mark, time = given.partition("T")
    return iso_us(f"{date}T{time.replace(' ', '+')}" if mark else given)
