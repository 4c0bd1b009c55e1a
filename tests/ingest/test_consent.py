import pytest
from bluetick.v1.common_pb2 import EVENT_KIND_RESUBSCRIBED, EVENT_KIND_UNSUBSCRIBED
from bluetick.v1.event_pb2 import Event
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.consent import (
    START_WORDS,
    STOP_WORDS,
    TYPED_STOP_WORDS,
    consent_event_of,
    consent_of,
    keywords_of,
)


@pytest.mark.parametrize("word", [word for words in STOP_WORDS.values() for word in words])
def test_every_stop_word_counts_typed_and_tapped_in_any_case(word: str) -> None:
    """People write as they like, and a button is no less a choice."""
    for text in (word, word.upper(), f"  {word.title()}! ", f"\n{word}."):
        assert consent_of(text) == EVENT_KIND_UNSUBSCRIBED
    assert consent_of(word, is_tap=True) == EVENT_KIND_UNSUBSCRIBED


@pytest.mark.parametrize("word", [word for words in TYPED_STOP_WORDS.values() for word in words])
def test_words_that_end_an_order_count_only_when_typed(word: str) -> None:
    """Carriers oblige to honour a typed CANCEL; on a button it cancels an appointment."""
    assert consent_of(word) == EVENT_KIND_UNSUBSCRIBED
    assert consent_of(word, is_tap=True) is None


@pytest.mark.parametrize("word", [word for words in START_WORDS.values() for word in words])
def test_every_start_word_brings_a_person_back(word: str) -> None:
    """Only if a person writes it: a button that says "Start" begins something else."""
    assert consent_of(word.upper()) == EVENT_KIND_RESUBSCRIBED
    assert consent_of(word, is_tap=True) is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "!", "Yes", "No", "please stop by tomorrow", "do not stop", "restart", "OK", "Thanks",
     "stopwatch", "STOP " * 40, "x" * 1_000_000, "stop sending me so many offers",
     "cancel my order please", "end of story", "The end"],
)  # fmt: skip
def test_a_word_inside_a_sentence_is_no_choice(text: str) -> None:
    """A wrong one costs a subscriber."""
    assert consent_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["Stop. Thank you", "STOP sub", "STOP 36111", "STOP SMS", "stop, please!", "Unsubscribe me",
     "BAJA por favor", "Stopp bitte", "arrêt svp", "opt out now please", "STOP\nSent from my phone",
     "Cancel 36111", "QUIT please", "¡Baja! gracias", "отписаться пожалуйста"],
)  # fmt: skip
def test_the_first_word_of_a_short_text_is_a_choice(text: str) -> None:
    """People are polite, and repeat what the message told them to send."""
    assert consent_of(text) == EVENT_KIND_UNSUBSCRIBED
    assert consent_of(text, is_tap=True) is None


@pytest.mark.parametrize("text", ["SHOP STOP", "shop  stop!", "Shop: unsubscribe me", "STOP SHOP"])
def test_a_choice_stands_behind_the_accounts_own_keyword(text: str) -> None:
    """On a shared number the keyword only routes the message."""
    keywords = keywords_of(" Shop , Sale")

    assert consent_of(text, keywords=keywords) == EVENT_KIND_UNSUBSCRIBED
    assert consent_of("SHOP hello", keywords=keywords) is None
    assert consent_of("OTHER STOP", keywords=keywords) is None


def test_payloads_of_buttons_are_read_as_words() -> None:
    """Developers write them in capitals with underscores."""
    assert consent_of("STOP_PROMOTIONS", is_tap=True) == EVENT_KIND_UNSUBSCRIBED
    assert consent_of("opt-out", is_tap=True) == EVENT_KIND_UNSUBSCRIBED


def test_no_word_means_both() -> None:
    """One list wins silently otherwise."""
    words = {word for table in (STOP_WORDS, TYPED_STOP_WORDS) for row in table.values()
             for word in row}  # fmt: skip

    assert not words & {word for row in START_WORDS.values() for word in row}


def test_the_consent_is_of_the_same_moment_person_and_message_as_the_reply() -> None:
    """Its act is the inbound message's, so a retry counts once; the tap is counted once, too."""
    reply = Event(address="+1", message_key=b"k" * 16, occur_time_us=7, provider_word="text")
    reply.engagement.act_id = "in-1"
    reply.engagement.is_tap = True

    event = consent_event_of(reply, EVENT_KIND_RESUBSCRIBED, "in-1")

    assert (event.kind, event.engagement.act_id) == (EVENT_KIND_RESUBSCRIBED, "in-1/start")
    assert (event.address, event.message_key, event.occur_time_us) == ("+1", b"k" * 16, 7)
    assert not event.engagement.is_tap
    assert reply.engagement.is_tap


@given(st.text())
def test_no_text_breaks_the_rule(text: str) -> None:
    """Texts are a stranger's."""
    assert consent_of(text) in (None, EVENT_KIND_UNSUBSCRIBED, EVENT_KIND_RESUBSCRIBED)
