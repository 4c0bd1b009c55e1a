"""Sinch: the Conversation API (signed) and, on the same address, the SMS API.

Source: Sinch's SDKs and its published skills for the Conversation API, as of 2026. The SMS API is
in `sinch_sms.py`.

The message is keyed by ``message_id``, which stays when Sinch switches to the next channel.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bluetick.v1.common_pb2 import (
    EVENT_KIND_DEFERRED,
    EVENT_KIND_DELIVERED,
    EVENT_KIND_DROPPED,
    EVENT_KIND_INFO,
    EVENT_KIND_READ,
    EVENT_KIND_RESUBSCRIBED,
    EVENT_KIND_SENT,
    EVENT_KIND_UNDELIVERED,
    EVENT_KIND_UNSUBSCRIBED,
)
from bluetick.v1.event_pb2 import Event

from libs.catalogue.failures import lookup
from libs.runtime.accounts import Account
from services.ingest.domain.act_ids import act_id
from services.ingest.domain.fields import (
    Unreadable,
    needed_id,
    object_at,
    optional_id,
    reference,
    text,
    word,
)
from services.ingest.domain.reading import Reading
from services.ingest.domain.times import SECOND_US, iso_us, seconds_us
from services.ingest.providers import inbound, static_credential, unsigned_door
from services.ingest.providers.bodies import add_report, add_unknown, read_whole
from services.ingest.providers.decoding import json_object
from services.ingest.providers.failures import STAGE_BY_KIND, explain
from services.ingest.providers.provider import (
    SECRET_NOT_CONFIGURED,
    Authentic,
    Callback,
    Dialect,
    Names,
    Refused,
    live,
)
from services.ingest.providers.signed_jwt import check_age
from services.ingest.providers.sinch_inbound import (
    add_contact_event,
    add_message,
    address_of,
    channel_of,
)
from services.ingest.providers.sinch_sms import add_sms, is_sms
from services.ingest.providers.static_credential import has_static_credential
from services.ingest.providers.unsigned_door import admit_unsigned, without_noise

SECRET = "secret"  # noqa: S105 the name of a secret
SIGNATURE_HEADER = "x-sinch-webhook-signature"
# What the header may name. It chooses among ours, and can bring none of its own.
DIGEST_BY_ALGORITHM: Final = {"HMACSHA256": "sha256", "HMACSHA512": "sha512"}

KIND_BY_STATUS: Final = {
    "QUEUED_ON_CHANNEL": EVENT_KIND_SENT,
    "DELIVERED": EVENT_KIND_DELIVERED,
    "READ": EVENT_KIND_READ,
    # Not the end: the same message goes out on the next channel.
    "SWITCHING_CHANNEL": EVENT_KIND_DEFERRED,
}
FAILED: Final = "FAILED"
# Reasons of FAILED that stand before the hand-over to a channel. All others came after it, as an
# unknown one is taken to: the id proves that Sinch had accepted the message.
DISPATCH_REASONS: Final = frozenset(
    {
        "BAD_REQUEST", "CHANNEL_BAD_CONFIGURATION", "CHANNEL_CONFIGURATION_MISSING",
        "CONTACT_NOT_FOUND", "INTERNAL_ERROR", "NO_PERMISSION", "NO_PROFILE_AVAILABLE",
        "OUTSIDE_ALLOWED_SENDING_WINDOW", "RATE_LIMITED", "RECIPIENT_NOT_OPTED_IN",
        "UNKNOWN_APP", "UNSUPPORTED_OPERATION",
    }
)  # fmt: skip
DISPATCH_PREFIXES: Final = ("TEMPLATE_", "MEDIA_", "NO_CHANNEL_")

# Only a success changes consent. Sinch's texts know no failed opt-out, its test data does.
KIND_BY_CONSENT: Final = {
    "OPT_OUT_SUCCEEDED": EVENT_KIND_UNSUBSCRIBED,
    "OPT_IN_SUCCEEDED": EVENT_KIND_RESUBSCRIBED,
    "OPT_OUT_FAILED": EVENT_KIND_INFO,
    "OPT_IN_FAILED": EVENT_KIND_INFO,
}
CONSENTS: Final = ("opt_out_notification", "opt_in_notification")
# Parts of an envelope that say nothing about a message of ours.
NOTICES: Final = frozenset(
    {
        "capability_notification", "channel_event_notification", "contact_create_notification",
        "contact_delete_notification", "contact_identities_duplication_notification",
        "contact_merge_notification", "contact_update_notification",
        "conversation_delete_notification", "conversation_start_notification",
        "conversation_stop_notification", "event_delivery_report",
        "message_inbound_smart_conversation_redaction_notification",
        "message_submit_notification", "record_notification",
        "smart_conversation_notification", "smart_conversations_event", "unsupported_callback",
    }
)  # fmt: skip
_ENVELOPE: Final = frozenset(
    {"accepted_time", "app_id", "correlation_id", "event_time", "message_metadata", "project_id"}
)


SIGNATURE_CURE: Final = (
    "Compare the account's secret with the one of the webhook in Sinch's dashboard; while it is "
    "changed, list both. A proxy must not rewrite bodies."
)
SIGN_SMS_CURE: Final = (
    "Have Sinch's support sign the SMS callbacks of the service plan with the account's secret."
)


class Sinch(Dialect):
    """The dialect of Sinch."""

    name = "sinch"
    secrets: ClassVar[Names] = {
        SECRET: "secret of the webhook, which signs callbacks",
        **static_credential.SECRETS,
    }
    options: ClassVar[Names] = {
        **static_credential.OPTIONS,
        **unsigned_door.OPTIONS,
        **inbound.OPTIONS,
    }

    def authenticate(self, callback: Callback, account: Account) -> Authentic | Refused:
        """Compare the HMAC over body, nonce and time with any live secret."""
        secrets = live(account, SECRET)
        given = callback.headers.get(SIGNATURE_HEADER, "").strip()
        if not given:
            if _is_unsigned_by_nature(callback) or (not secrets and has_static_credential(account)):
                return admit_unsigned(callback, account, SIGN_SMS_CURE)
            missing = Refused("SIGNATURE_MISSING", cure=SIGNATURE_CURE)
            return missing if secrets else SECRET_NOT_CONFIGURED
        if not secrets:
            return SECRET_NOT_CONFIGURED
        algorithm = callback.headers.get(f"{SIGNATURE_HEADER}-algorithm", "HmacSHA256")
        digest = DIGEST_BY_ALGORITHM.get(algorithm.strip().upper().replace("-", ""))
        if digest is None:
            return Refused("SIGNATURE_ALGORITHM_UNKNOWN")
        nonce = callback.headers.get(f"{SIGNATURE_HEADER}-nonce", "")
        time = callback.headers.get(f"{SIGNATURE_HEADER}-timestamp", "")
        signed = callback.body + f".{nonce}.{time}".encode(errors="replace")
        for secret in secrets:
            expected = b64encode(hmac.digest(secret.encode(), signed, digest))
            if hmac.compare_digest(given.encode(errors="replace"), expected):
                time_us = seconds_us(time.strip())
                return check_age(time_us and time_us / SECOND_US, callback)
        return Refused("SIGNATURE_WRONG", cure=SIGNATURE_CURE)

    def parse(self, callback: Callback, account: Account) -> Reading | Refused:
        """Read one callback of either interface."""
        reading = read_whole(callback, account, lambda reading: _read(reading, callback))
        is_signed = bool(callback.headers.get(SIGNATURE_HEADER, "").strip())
        return reading if is_signed else without_noise(reading, account)


def _is_unsigned_by_nature(callback: Callback) -> bool:
    """Say whether it is the SMS API's. Its keys are "batch/recipient": none is a Conversation's."""
    try:
        return is_sms(json_object(callback.body))
    except Unreadable:
        return False


def _read(reading: Reading, callback: Callback) -> None:
    fields = json_object(callback.body)
    if is_sms(fields):
        add_sms(reading, fields, callback)
        return
    time_us = iso_us(fields.get("event_time")) or iso_us(fields.get("accepted_time"))
    if report := object_at(fields, "message_delivery_report"):
        _add_report(reading, fields, report, time_us, callback.body)
    elif message := object_at(fields, "message") or object_at(fields, "message_redaction"):
        # A redaction is the same message again, without what its service blanked out.
        add_message(reading, message, time_us, callback.body)
    elif happened := object_at(fields, "event"):
        add_contact_event(reading, happened, time_us)
    elif notice := next(filter(None, (object_at(fields, name) for name in CONSENTS)), None):
        _add_consent(reading, notice, time_us, callback.body)
    else:
        _add_notice(reading, fields, time_us, callback.body)


def _add_report(
    reading: Reading,
    fields: Mapping[str, Any],
    report: Mapping[str, Any],
    time_us: int | None,
    raw: bytes,
) -> None:
    message_id = needed_id(report, "message_id", reason="STATUS_WITHOUT_ID")
    status = word(report, "status").upper()
    reason = object_at(report, "reason")
    kind = _failure_kind(word(reason, "code")) if status == FAILED else KIND_BY_STATUS.get(status)
    event = add_report(reading, kind, status, time_us, message_id, raw)
    identity = object_at(report, "channel_identity")
    event.address = address_of(identity)
    event.channel = channel_of(identity)  # type: ignore[assignment]
    # The one id that a sender gives to a message; metadata is free text.
    event.message_ref = reference(fields, "correlation_id")
    if reason or kind in STAGE_BY_KIND:
        _explain(reading, event, reason)


def _failure_kind(code: str) -> int:
    is_dispatch = code in DISPATCH_REASONS or code.startswith(DISPATCH_PREFIXES)
    return EVENT_KIND_DROPPED if is_dispatch else EVENT_KIND_UNDELIVERED


def _explain(reading: Reading, event: Event, reason: Mapping[str, Any]) -> None:
    explain(reading, event, [word(reason, "code")], text(reason, "description"))
    # A sub-code, where the catalogue has it, is the more exact one.
    stage = STAGE_BY_KIND.get(event.kind)
    found = lookup(event.provider, f"sub:{word(reason, 'sub_code')}", stage) if stage else None
    if found is not None:
        event.reason = found.reason  # type: ignore[assignment]


def _add_consent(
    reading: Reading, notice: Mapping[str, Any], time_us: int | None, raw: bytes
) -> None:
    status = word(notice, "status").upper()
    kind = KIND_BY_CONSENT.get(status)
    identity = optional_id(notice, "identity")
    contact_id = optional_id(notice, "contact_id")
    if kind is None:
        event = add_unknown(reading, status, time_us, raw)
    else:
        event = reading.add(kind, time_us)
        event.provider_word = status
    event.address = address_of(notice) if identity else contact_id
    event.channel = channel_of(notice)  # type: ignore[assignment]
    event.detail = text(notice, "error_details", "description") or word(notice, "channel")
    if kind in (EVENT_KIND_UNSUBSCRIBED, EVENT_KIND_RESUBSCRIBED):
        # Sinch gives these no id; the same choice told twice must count once.
        event.engagement.act_id = act_id(status, event.address, time_us, contact_id)


def _add_notice(
    reading: Reading, fields: Mapping[str, Any], time_us: int | None, raw: bytes
) -> None:
    names = [name for name in fields if name not in _ENVELOPE]
    known = next((name for name in names if name in NOTICES), None)
    if known is not None:
        event = reading.add(EVENT_KIND_INFO, time_us)
        event.provider_word = known
        event.detail = word(fields, known, "channel_event", "event_type")
    elif fields:
        add_unknown(reading, names[0] if names else "", time_us, raw)
    else:
        raise Unreadable("CONTENT_MISSING", "the body is an empty object")
