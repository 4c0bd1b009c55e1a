"""Vonage's older SMS API: delivery receipts and inbound SMS, by GET or POST, as form or JSON.

Source: Nexmo's API specification ``definitions/sms.yml`` (2021) and the page "Signing Messages".

Signed only if the operator asked for it (``sig``, over the sorted parameters). The message is keyed
by ``messageId``. Beware: in a receipt ``msisdn`` is the recipient and ``to`` the sender's id.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any, Final

from bluetick.v1.common_pb2 import (
    CHANNEL_SMS,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_INFO,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
)

from libs.runtime.accounts import Account
from services.ingest.domain.act_ids import parts_id
from services.ingest.domain.addresses import from_digits
from services.ingest.domain.fields import (
    Unreadable,
    needed_id,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import DAY_US, SECOND_US, iso_us, seconds_us
from services.ingest.providers.bodies import add_report
from services.ingest.providers.decoding import form_object, is_json_object, json_object
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.inbound import Inbound, add_inbound
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Refused,
)
from services.ingest.providers.signed_jwt import check_age
from services.ingest.providers.unsigned_door import admit_unsigned

KIND_BY_STATUS: Final = {
    "accepted": EVENT_KIND_SENT,
    "buffered": EVENT_KIND_SENT,
    "delivered": EVENT_KIND_DELIVERED,
    "expired": EVENT_KIND_UNDELIVERED,
    "failed": EVENT_KIND_UNDELIVERED,
    "rejected": EVENT_KIND_UNDELIVERED,
    # The carrier does not say; nothing is known.
    "unknown": EVENT_KIND_INFO,
}

# Account option that pins one method: "md5hash" or a digest below. Without it any of them is
# taken; they differ in length (hexadecimal digits), and none can be made without the secret.
SIGNATURE_METHOD: Final = "sms_signature_method"
HASHED: Final = "md5hash"
METHODS_BY_LENGTH: Final[Mapping[int, tuple[str, ...]]] = {
    32: (HASHED, "md5"),
    40: ("sha1",),
    64: ("sha256",),
    128: ("sha512",),
}
# The Messages API's ids. A receipt that nobody signed must not speak for its messages.
_MESSAGE_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SIGNATURE_CURE: Final = (
    "Compare the account's signature_secret with Vonage's dashboard; while it is changed, list "
    "both. "
    "A proxy must not rewrite bodies."
)
SIGN_SMS_CURE: Final = (
    "Turn on signed webhooks for the SMS API in Vonage's dashboard (API settings), with the "
    "account's signature_secret."
)
_SCTS: Final = re.compile(r"[0-9]{10}")


def sms_fields(callback: Callback) -> Mapping[str, Any] | None:
    """Return the parameters if the callback is of the SMS API, else None.

    Only the SMS API writes ``messageId`` or ``msisdn``.
    """
    try:
        if callback.method == "GET":
            fields: Mapping[str, Any] = form_object(callback.query)
        elif is_json_object(callback.body):
            fields = json_object(callback.body)
        else:
            fields = form_object(callback.body.decode(errors="replace"))
    except Unreadable:
        return None
    told = [name for name in ("messageId", "msisdn", "status", "text") if name in fields]
    return fields if len(told) >= 2 and told[0] != "status" else None


def authenticate_sms(
    callback: Callback, account: Account, secrets: Sequence[str]
) -> Authentic | Refused:
    """Check the signature of a receipt if it has one; else judge it as unsigned."""
    fields = sms_fields(callback)
    if fields is None:
        return (
            Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE) if secrets else SECRET_NOT_CONFIGURED
        )
    given = text(fields, "sig").lower()
    if not given:
        if _MESSAGE_UUID.fullmatch(text(fields, "messageId").strip()):
            return Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
        return admit_unsigned(callback, account, SIGN_SMS_CURE)
    if not secrets:
        return SECRET_NOT_CONFIGURED
    methods = _methods_of(given, account.options.get(SIGNATURE_METHOD, ""))
    signed = _signed_text(fields) if methods else b""
    for secret in secrets:
        for expected in (_signature(signed, secret, method) for method in methods):
            if hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
                time_us = seconds_us(fields.get("timestamp"))
                return check_age(time_us and time_us / SECOND_US, callback)
    return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)


def _methods_of(signature: str, pinned: str) -> Sequence[str]:
    """Return the methods that make a signature of this length: the others need not be tried."""
    methods = METHODS_BY_LENGTH.get(len(signature), ())
    return methods if not pinned else [method for method in methods if method == pinned]


def _signed_text(fields: Mapping[str, Any]) -> bytes:
    return "".join(
        [f"&{name}={_signed_value(fields, name)}" for name in sorted(fields) if name != "sig"]
    ).encode(errors="replace")


def _signed_value(fields: Mapping[str, Any], name: str) -> str:
    value = text(fields, name)
    return value.replace("&", "_").replace("=", "_") if "&" in value or "=" in value else value


def _signature(signed: bytes, secret: str, method: str) -> str:
    if method == HASHED:
        # Vonage's choice, not ours; the secret stands last, so nothing can be appended.
        return md5(signed + secret.encode(), usedforsecurity=False).hexdigest()
    return hmac.digest(secret.encode(), signed, method).hex()


def add_receipt(reading: Reading, fields: Mapping[str, Any], callback: Callback) -> None:
    """Add a delivery receipt or an inbound SMS.

    Raises:
        Unreadable: it has no id.
    """
    time_us = iso_us(fields.get("message-timestamp")) or _carrier_us(text(fields, "scts"))
    if not text(fields, "status"):
        _add_inbound(reading, fields, time_us)
        return
    message_id = needed_id(fields, "messageId", reason="STATUS_WITHOUT_ID")
    status = text(fields, "status").lower()
    kind = KIND_BY_STATUS.get(status)
    raw = callback.body or callback.query.encode(errors="replace")
    event = add_report(reading, kind, status, time_us, message_id, raw)
    event.address = from_digits(optional_id(fields, "msisdn"))
    event.own_address = from_digits(optional_id(fields, "to"))
    event.channel = CHANNEL_SMS
    event.message_ref = reference(fields, "client-ref")
    # `price` comes without a currency, so it is no price.
    if kind in STAGE_BY_KIND:
        explain(reading, event, [word(fields, "err-code")], "")


def _carrier_us(scts: str) -> int | None:
    """Return the time of the carrier's receipt, "YYMMDDhhmm" in UTC; None if it is none."""
    if not _SCTS.fullmatch(scts):
        return None
    year, month, day, hour, minute = (scts[at : at + 2] for at in range(0, 10, 2))
    return iso_us(f"20{year}-{month}-{day}T{hour}:{minute}:00Z")


def _add_inbound(reading: Reading, fields: Mapping[str, Any], time_us: int | None) -> None:
    """Add an inbound SMS. Vonage hands over the parts of a long one as they come."""
    person, own = optional_id(fields, "msisdn"), optional_id(fields, "to")
    inbound_id = needed_id(fields, "messageId", reason="MESSAGE_WITHOUT_ID")
    reference, part_count = optional_id(fields, "concat-ref"), optional_id(fields, "concat-total")
    if reference and part_count not in ("", "0", "1"):
        day = "" if time_us is None else str(time_us // DAY_US)
        inbound_id = parts_id(person, own, reference, part_count, day)
    kind = word(fields, "type") or "text"
    add_inbound(
        reading,
        Inbound(
            inbound_id=inbound_id,
            word=kind,
            time_us=time_us,
            person=from_digits(person),
            own_address=from_digits(own),
            channel=CHANNEL_SMS,
            content_type=kind,
            texts=(text(fields, "text"),),
        ),
    )
