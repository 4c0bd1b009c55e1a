"""The catalogue gives every code one reason on the side on which it arrived."""

import csv
from importlib.resources import files

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.catalogue.failures import VOCABULARIES, lookup, reason_for, remedy, transience

DROPPED, UNDELIVERED = pb.FAILURE_STAGE_DROPPED, pb.FAILURE_STAGE_UNDELIVERED
DROPPED_REASONS = range(1, 15)
UNDELIVERED_REASONS = {12, *range(15, 23)}


@pytest.mark.parametrize(
    ("provider", "code", "stage", "reason"),
    [
        ("meta", "131049", UNDELIVERED, pb.FAILURE_REASON_META_RECIPIENT_LIMIT),
        ("meta", "131026", UNDELIVERED, pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ("meta", "131026", DROPPED, pb.FAILURE_REASON_RECIPIENT_RELATED_ERRORS),
        ("meta", "130429", DROPPED, pb.FAILURE_REASON_RATE_LIMITS),
        ("meta", "130429", UNDELIVERED, pb.FAILURE_REASON_META_ERRORS),
        ("meta", "130472", UNDELIVERED, pb.FAILURE_REASON_META_EXPERIMENTS),
        ("meta", "invalid_e164", DROPPED, pb.FAILURE_REASON_INVALID_PHONE_NUMBERS),
        ("dialog360", "131047", UNDELIVERED, pb.FAILURE_REASON_INVALID_MESSAGES),
        ("twilio", "21211", DROPPED, pb.FAILURE_REASON_INVALID_PHONE_NUMBERS),
    ],
)
def test_a_known_code_has_the_reason_of_its_stage(
    provider: str, code: str, stage: int, reason: int
) -> None:
    """Senders act on the reason; the same code means another one on the other side."""
    assert reason_for(provider, code, stage) == reason


def test_a_code_nobody_knows_is_unmapped_and_not_guessed() -> None:
    """A guess would hide the code from the people who should look it up."""
    assert reason_for("meta", "999999", UNDELIVERED) == pb.FAILURE_REASON_UNMAPPED
    assert reason_for("meta", "", UNDELIVERED) == pb.FAILURE_REASON_UNMAPPED
    assert reason_for("nobody", "131049", UNDELIVERED) == pb.FAILURE_REASON_UNMAPPED


def test_every_code_has_a_reason_that_exists_on_both_sides() -> None:
    """Reasons partition their stage: a code that arrives on the other side is translated."""
    lines = (files("libs.catalogue") / "data" / "failure_codes.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    provider_of = {word: name for name, words in VOCABULARIES.items() for word in words}

    for row in rows:
        provider = provider_of.get(row["vocabulary"], row["vocabulary"])
        assert reason_for(provider, row["code"], DROPPED) in DROPPED_REASONS, row
        assert reason_for(provider, row["code"], UNDELIVERED) in UNDELIVERED_REASONS, row
    assert len(rows) > 850


def test_transience_comes_with_the_code() -> None:
    """A rate limit passes, a bad number stays: that decides whether to send again."""
    rate_limit = lookup("meta", "130429", DROPPED)
    bad_number = lookup("meta", "invalid_e164", DROPPED)

    assert rate_limit is not None
    assert bad_number is not None
    assert rate_limit.transience == pb.FAILURE_TRANSIENCE_TRANSIENT
    assert bad_number.transience == pb.FAILURE_TRANSIENCE_PERMANENT


def test_every_reason_has_a_remedy() -> None:
    """A reason without advice leaves a marketer alone with it."""
    for reason in range(1, 24):
        advice = remedy(reason)
        assert advice.key.startswith("remedy.")
        assert len(advice.text) > 20


def test_a_reason_without_a_code_still_says_whether_to_send_again() -> None:
    """A sender's own check (a number that is none) has a reason and no code."""
    bad_number = pb.FAILURE_REASON_INVALID_PHONE_NUMBERS

    assert transience("meta", "", DROPPED, bad_number) == pb.FAILURE_TRANSIENCE_PERMANENT
    assert transience("meta", "", UNDELIVERED, pb.FAILURE_REASON_UNMAPPED) == 0
