"""What the 22 reasons cannot say, codes say by a topic; what may also be meant, by alternatives."""

import csv
from importlib.resources import files

import pytest
from bluetick.v1 import common_pb2 as pb

from libs.catalogue.failures import alternatives, reason_for, topic_for

DROPPED, UNDELIVERED = pb.FAILURE_STAGE_DROPPED, pb.FAILURE_STAGE_UNDELIVERED
OPT_OUT, PAYMENT = pb.FAILURE_TOPIC_OPT_OUT, pb.FAILURE_TOPIC_PAYMENT
COMPLAINT = pb.FAILURE_TOPIC_COMPLAINT
WINDOW, ABSENT = pb.FAILURE_TOPIC_WINDOW_CLOSED, pb.FAILURE_TOPIC_NOT_ON_WHATSAPP


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("libs.catalogue") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize(
    ("provider", "code", "stage", "topic"),
    [
        ("meta", "131050", UNDELIVERED, OPT_OUT),
        ("twilio", "21610", DROPPED, OPT_OUT),
        ("messagebird", "103", UNDELIVERED, OPT_OUT),
        # Conversations carry WhatsApp's own codes.
        ("messagebird", "131050", UNDELIVERED, OPT_OUT),
        ("plivo", "200", UNDELIVERED, OPT_OUT),
        ("infobip", "6035", DROPPED, COMPLAINT),
        ("sendgrid", "dropped:Spam Reporting Address", DROPPED, COMPLAINT),
        ("mailgun", "failed:permanent:suppress-complaint", DROPPED, COMPLAINT),
        ("meta", "131042", DROPPED, PAYMENT),
        ("dialog360", "402", UNDELIVERED, PAYMENT),
        ("gupshup", "1003", DROPPED, PAYMENT),
        ("meta", "131047", UNDELIVERED, WINDOW),
        ("dialog360", "470", UNDELIVERED, WINDOW),
        ("twilio", "63016", UNDELIVERED, WINDOW),
        ("meta", "131026", UNDELIVERED, ABSENT),
        ("gupshup", "1002", UNDELIVERED, ABSENT),
        ("meta", "131049", UNDELIVERED, pb.FAILURE_TOPIC_UNSPECIFIED),
        ("meta", "", UNDELIVERED, pb.FAILURE_TOPIC_UNSPECIFIED),
    ],
)
def test_a_code_has_the_topic_that_its_reason_cannot_say(
    provider: str, code: str, stage: int, topic: int
) -> None:
    """Whoever opted out is left out for good; whoever's window closed gets a template."""
    assert topic_for(provider, code, stage) == topic


def test_the_same_number_in_two_vocabularies_has_the_topic_of_its_own() -> None:
    """Infobip's status 12 is an empty account, its error 12 a stolen phone."""
    assert topic_for("infobip", "12", DROPPED) == PAYMENT
    assert topic_for("infobip", "12", UNDELIVERED) == pb.FAILURE_TOPIC_UNSPECIFIED


def test_a_code_that_may_mean_something_else_names_it_and_when() -> None:
    """131049 for a number of the United States never passes."""
    (other,) = alternatives("meta", "131049", UNDELIVERED)

    assert other.reason == pb.FAILURE_REASON_META_ERRORS
    assert "US" in other.when
    assert alternatives("meta", "131049", DROPPED) == ()
    assert alternatives("meta", "nobody knows", DROPPED) == ()


@pytest.mark.parametrize("name", ["failure_topics.csv", "failure_alternates.csv"])
def test_every_row_is_of_a_code_that_the_catalogue_knows(name: str) -> None:
    """A typo in a code would never be noticed otherwise."""
    known = {(row["vocabulary"], row["code"]) for row in _rows("failure_codes.csv")}

    unknown = [row for row in _rows(name) if (row["vocabulary"], row["code"]) not in known]

    assert not unknown


def test_an_alternative_is_another_reason_than_the_first() -> None:
    """Naming the same reason twice would say nothing."""
    for row in _rows("failure_alternates.csv"):
        stage = DROPPED if row["stage"] == "dropped" else UNDELIVERED
        other = pb.FailureReason.Value(f"FAILURE_REASON_{row['reason']}")
        assert reason_for(row["vocabulary"], row["code"], stage) != other, row
