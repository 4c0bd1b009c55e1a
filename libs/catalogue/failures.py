"""Why messages fail: provider codes, the reasons they stand for, and what to do about each.

The codes are data (``data/failure_codes.csv``), because providers change them without asking, and
an operator may lay rows of their own over them. No provider publishes a mapping to these reasons;
``confidence`` rates each of ours.
"""

from functools import lru_cache

from bluetick.v1 import common_pb2 as pb

from libs.catalogue import standing
from libs.catalogue.tables import Alternative, CodeEntry, Remedy
from libs.catalogue.vocabularies import VOCABULARIES

# What a sender's own system refuses, whatever the provider.
_OWN = ("internal",)
# Codes come from outside: however many a provider makes up, memory stays bounded.
_LOOKUPS_MAX = 8_192

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


@lru_cache(maxsize=_LOOKUPS_MAX)
def _find(provider: str, code: str, stage: int) -> tuple[str, CodeEntry] | None:
    """Return the vocabulary that knows ``code``, and what it says of it at ``stage``."""
    codes = standing.catalogue().codes
    vocabularies = (*VOCABULARIES.get(provider, (provider,)), *_OWN)
    for vocabulary in vocabularies:
        if found := codes.get((vocabulary, code, stage)):
            return vocabulary, found
    is_dropped = stage == pb.FAILURE_STAGE_DROPPED
    other = pb.FAILURE_STAGE_UNDELIVERED if is_dropped else pb.FAILURE_STAGE_DROPPED
    translation = _BEFORE_HAND_OVER if is_dropped else _AFTER_HAND_OVER
    for vocabulary in vocabularies:
        if found := codes.get((vocabulary, code, other)):
            reason = translation.get(found.reason, found.reason)
            return vocabulary, found._replace(reason=reason)
    return None


standing.when_configured(_find.cache_clear)


def lookup(provider: str, code: str, stage: int) -> CodeEntry | None:
    """Return what ``code`` means when it arrives at ``stage``, or None if nobody knows it.

    A code that is only known for the other stage keeps its transience and title; its reason is
    translated.
    """
    found = _find(provider, code, stage)
    return found[1] if found else None


def reason_for(provider: str, code: str, stage: int) -> int:
    """Return the FailureReason of ``code`` at ``stage``; UNMAPPED if nobody knows it."""
    found = _find(provider, code, stage)
    return found[1].reason if found else pb.FAILURE_REASON_UNMAPPED


def alternatives(provider: str, code: str, stage: int) -> tuple[Alternative, ...]:
    """Return the other reasons that ``code`` may stand for at ``stage``, and when."""
    found = _find(provider, code, stage)
    return standing.catalogue().alternatives.get((found[0], code, stage), ()) if found else ()


def topic_for(provider: str, code: str, stage: int) -> int:
    """Return the FailureTopic of ``code``: what no reason can say. Mostly UNSPECIFIED."""
    topics = standing.catalogue().topics
    if found := _find(provider, code, stage):
        return topics.get((found[0], code), pb.FAILURE_TOPIC_UNSPECIFIED)
    # A topic may be known of a code that has no reason.
    return topics.get((VOCABULARIES.get(provider, (provider,))[0], code), 0)


def reason_after_hand_over(provider: str, code: str, reason: int) -> int:
    """Return ``reason`` as an undelivered reason, for a message that was handed over after all.

    Args:
        provider: who reported the failure.
        code: the provider's code; what it means after the hand-over wins. Empty: there is none.
        reason: the FailureReason that the failure was told with.
    """
    found = lookup(provider, code, pb.FAILURE_STAGE_UNDELIVERED)
    return found.reason if found else _AFTER_HAND_OVER.get(reason, reason)


def is_passing(provider: str, code: str) -> bool:
    """Return whether a failure after the hand-over is known to pass by itself."""
    found = lookup(provider, code, pb.FAILURE_STAGE_UNDELIVERED)
    return found is not None and found.transience == pb.FAILURE_TRANSIENCE_TRANSIENT


def remedy(reason: int) -> Remedy:
    """Return what to do about ``reason``; an empty text for UNSPECIFIED."""
    nothing = Remedy("", "", pb.FAILURE_TRANSIENCE_UNSPECIFIED)
    return standing.catalogue().remedies.get(reason, nothing)


def transience(provider: str, code: str, stage: int, reason: int) -> int:
    """Return the FailureTransience of a failure: its code's, else its reason's.

    A sender may drop a message for a reason of its own, without any code.
    """
    found = lookup(provider, code, stage)
    return found.transience if found else remedy(reason).transience
