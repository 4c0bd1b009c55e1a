"""How often which failure happens: what a sender drops, and what WhatsApp reports. Plain data."""

from __future__ import annotations

from libs.simulator.facts import Failure

# (weight, reason without a code, or code without a reason)
WHATSAPP_DROPS: tuple[tuple[int, tuple[str, str]], ...] = (
    (30, ("INVALID_PHONE_NUMBERS", "")),
    (12, ("DUPLICATES", "")),
    (10, ("FREQUENCY_CAPPED", "")),
    (20, ("", "130429")),
    (10, ("", "132015")),
    (6, ("", "132001")),
    (8, ("", "131000")),
    (4, ("", "131026")),
)
# For providers that do not speak Meta's codes: the sender names the reason.
NAMED_DROPS: tuple[tuple[int, tuple[str, str]], ...] = (
    (30, ("INVALID_PHONE_NUMBERS", "")),
    (12, ("DUPLICATES", "")),
    (10, ("FREQUENCY_CAPPED", "")),
    (20, ("RATE_LIMITS", "")),
)
# Meta's codes, which several providers pass on.
WHATSAPP_FAILURES: tuple[Failure, ...] = (
    Failure(46, "131049", "META_RECIPIENT_LIMIT"),
    Failure(24, "131026", "RECIPIENT_RELATED_ERRORS"),
    Failure(9, "130472", "META_EXPERIMENTS"),
    Failure(6, "131047", "INVALID_MESSAGES"),
    Failure(5, "131053", "MEDIA_ERRORS"),
    Failure(5, "131000", "META_ERRORS"),
    Failure(4, "131050", "RECIPIENT_RELATED_ERRORS", opts_out=True),
    # No provider ever documented it: unknown codes must stay visible.
    Failure(1, "139999", "UNMAPPED"),
)
