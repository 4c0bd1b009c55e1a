"""Why messages fail: provider codes, the reasons they stand for, and what to do about each.

The codes are data (``data/failure_codes.csv``), because providers change them without asking. No
provider publishes a mapping to these reasons; ``confidence`` rates each of ours.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from bluetick.v1 import common_pb2 as pb

# Vocabularies that a provider's codes come from, in the order in which they are tried.
VOCABULARIES: dict[str, tuple[str, ...]] = {
    "meta": ("whatsapp_cloud", "whatsapp_onprem"),
    "dialog360": ("whatsapp_cloud", "whatsapp_onprem"),
    "gupshup": ("gupshup", "whatsapp_cloud"),
    "twilio": ("twilio",),
    "infobip": ("infobip_error", "infobip_status"),
    "vonage": ("vonage_messages", "vonage_dlr", "vonage_sms"),
    # Conversations pass WhatsApp's own codes through; SMS codes are the network's (3GPP 29.002).
    "messagebird": ("messagebird", "whatsapp_cloud"),
    "sinch": ("sinch_conversation", "sinch_sms"),
    "sendgrid": ("sendgrid", "smtp_enhanced", "smtp_basic"),
    "ses": ("ses", "smtp_enhanced", "smtp_basic"),
    "mailgun": ("mailgun", "smtp_enhanced", "smtp_basic"),
    "postmark": ("postmark", "smtp_enhanced", "smtp_basic"),
}
# What a sender's own system refuses, whatever the provider.
_OWN = ("internal",)

_STAGE: dict[str, int] = {
    "dropped": pb.FAILURE_STAGE_DROPPED,
    "undelivered": pb.FAILURE_STAGE_UNDELIVERED,
}
_TRANSIENCE: dict[str, int] = {
    "transient": pb.FAILURE_TRANSIENCE_TRANSIENT,
    "permanent": pb.FAILURE_TRANSIENCE_PERMANENT,
    "unknown": pb.FAILURE_TRANSIENCE_UNSPECIFIED,
}

# The same code can come before and after the hand-over, but most reasons exist on one side only.
# These pairs translate a reason to the side on which the code arrived.
_AFTER_HAND_OVER: dict[int, int] = {
    pb.FAILURE_REASON_ACCOUNT_REGISTRATION_ERRORS: pb.FAILURE_REASON_ACCOUNT_VERIFICATION_ERRORS,
    pb.FAILURE_REASON_META_TEMPORARY_ERRORS: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_INTERNAL_ERRORS: pb.FAILURE_REASON_INVALID_MESSAGES,
    pb.FAILURE_REASON_TEMPLATE_FAILURES: pb.FAILURE_REASON_INVALID_MESSAGES,
    pb.FAILURE_REASON_PAUSED_TEMPLATES: pb.FAILURE_REASON_HELD_MESSAGES,
    pb.FAILURE_REASON_RATE_LIMITS: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_TIER_LIMITATION: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_POLICY_FAILURES: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_FREQUENCY_CAPPED: pb.FAILURE_REASON_META_RECIPIENT_LIMIT,
    pb.FAILURE_REASON_INVALID_PHONE_NUMBERS: pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS,
    # The sender's own checks have no counterpart at the provider.
    pb.FAILURE_REASON_COUNTRY_CODE_DROPS: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_COUPON_LIST_DROPS: pb.FAILURE_REASON_META_ERRORS,
    pb.FAILURE_REASON_DUPLICATES: pb.FAILURE_REASON_META_ERRORS,
}
_BEFORE_HAND_OVER: dict[int, int] = {
    pb.FAILURE_REASON_ACCOUNT_VERIFICATION_ERRORS: pb.FAILURE_REASON_ACCOUNT_REGISTRATION_ERRORS,
    pb.FAILURE_REASON_META_ERRORS: pb.FAILURE_REASON_META_TEMPORARY_ERRORS,
    pb.FAILURE_REASON_INVALID_MESSAGES: pb.FAILURE_REASON_TEMPLATE_FAILURES,
    pb.FAILURE_REASON_MEDIA_ERRORS: pb.FAILURE_REASON_TEMPLATE_FAILURES,
    pb.FAILURE_REASON_HELD_MESSAGES: pb.FAILURE_REASON_PAUSED_TEMPLATES,
    pb.FAILURE_REASON_META_RECIPIENT_LIMIT: pb.FAILURE_REASON_FREQUENCY_CAPPED,
    pb.FAILURE_REASON_META_EXPERIMENTS: pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS,
    pb.FAILURE_REASON_DELIVERY_REPORT_MISSING: pb.FAILURE_REASON_META_TEMPORARY_ERRORS,
}


class CodeEntry(NamedTuple):
    """What the catalogue knows of one code at one stage."""

    reason: int  # FailureReason
    transience: int  # FailureTransience
    title: str  # short; empty where only a long text exists
    confidence: str  # high, medium or low


class Remedy(NamedTuple):
    """What to do about a reason."""

    key: str  # stable, for translation
    text: str
    transience: int  # FailureTransience of the reason where no code says more


_Key = tuple[str, str, int]


@cache
def _codes() -> dict[_Key, CodeEntry]:
    source = files("libs.catalogue") / "data" / "failure_codes.csv"
    codes: dict[_Key, CodeEntry] = {}
    for row in csv.DictReader(source.read_text(encoding="utf-8").splitlines()):
        codes[row["vocabulary"], row["code"], _STAGE[row["stage"]]] = CodeEntry(
            pb.FailureReason.Value(f"FAILURE_REASON_{row['reason']}"),
            _TRANSIENCE[row["transience"]],
            row["title"],
            row["confidence"],
        )
    return codes


@cache
def _remedies() -> dict[int, Remedy]:
    source = files("libs.catalogue") / "data" / "remedies.csv"
    return {
        pb.FailureReason.Value(f"FAILURE_REASON_{row['reason']}"): Remedy(
            f"remedy.{row['reason'].lower()}", row["remedy"], _TRANSIENCE[row["transience"]]
        )
        for row in csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    }


@cache
def lookup(provider: str, code: str, stage: int) -> CodeEntry | None:
    """Return what ``code`` means when it arrives at ``stage``, or None if nobody knows it.

    A code that is only known for the other stage keeps its transience and title; its reason is
    translated.
    """
    if not code:
        return None
    codes = _codes()
    vocabularies = (*VOCABULARIES.get(provider, (provider,)), *_OWN)
    for vocabulary in vocabularies:
        if found := codes.get((vocabulary, code, stage)):
            return found
    is_dropped = stage == pb.FAILURE_STAGE_DROPPED
    other = pb.FAILURE_STAGE_UNDELIVERED if is_dropped else pb.FAILURE_STAGE_DROPPED
    translation = _BEFORE_HAND_OVER if is_dropped else _AFTER_HAND_OVER
    for vocabulary in vocabularies:
        if found := codes.get((vocabulary, code, other)):
            return found._replace(reason=translation.get(found.reason, found.reason))
    return None


def reason_for(provider: str, code: str, stage: int) -> int:
    """Return the FailureReason of ``code`` at ``stage``; UNMAPPED if nobody knows it."""
    found = lookup(provider, code, stage)
    return found.reason if found else pb.FAILURE_REASON_UNMAPPED


def remedy(reason: int) -> Remedy:
    """Return what to do about ``reason``; an empty text for UNSPECIFIED."""
    return _remedies().get(reason, Remedy("", "", pb.FAILURE_TRANSIENCE_UNSPECIFIED))


def transience(provider: str, code: str, stage: int, reason: int) -> int:
    """Return the FailureTransience of a failure: its code's, else its reason's.

    A sender may drop a message for a reason of its own, without any code.
    """
    found = lookup(provider, code, stage)
    return found.transience if found else remedy(reason).transience
