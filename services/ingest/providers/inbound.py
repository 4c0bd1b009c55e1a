"""What a person sent, for every provider alike: a reply, and the choice to leave that it may be."""

from typing import Final

import msgspec
from bluetick.v1.common_pb2 import (
    CHANNEL_UNSPECIFIED,
    EVENT_KIND_INFO,
    EVENT_KIND_REPLIED,
)
from bluetick.v1.event_pb2 import Event

from services.ingest.domain.act_ids import reaction_id
from services.ingest.domain.consent import consent_event_of, consent_of, keywords_of
from services.ingest.domain.fields import TITLE_CHARACTERS_MAX, WORD_CHARACTERS_MAX
from services.ingest.domain.reading import Reading

# Option of an account: its keywords on a shared number, comma separated ("SHOP, SALE").
KEYWORDS_OPTION: Final = "keywords"
OPTIONS: Final = {
    KEYWORDS_OPTION: "keywords of the account on a shared number, comma separated: behind one "
    "of them "
    "an opt-out is one, too"
}
ALIASES_MAX: Final = 8

# Why an inbound message answers nothing.
FROM_ADVERT: Final = "came from an advert"
IN_GROUP: Final = "a group's talk"
AUTOMATIC: Final = "automatic answer"


class Inbound(msgspec.Struct, kw_only=True, gc=False):
    """One inbound message in our words."""

    inbound_id: str  # the provider's id of it; parts of one message have one in common
    word: str  # the provider's own
    time_us: int | None = None
    is_untimed: bool = False  # the provider never tells a time of its own
    person: str = ""  # address of who wrote
    also_known_as: tuple[str, ...] = ()
    own_address: str = ""  # what was written to
    channel: int = CHANNEL_UNSPECIFIED
    answered_id: str = ""  # id of our message that it answers; empty: it does not say
    recipient: str = ""  # of that message, where it is an email
    content_type: str = ""
    texts: tuple[str, ...] = ()  # all that was written, in the order in which it may be a choice
    # The provider says itself what the text is: a kind of event, or no choice at all (None).
    is_consent_told: bool = False
    consent: int | None = None
    is_tap: bool = False
    button_id: str = ""
    button_title: str = ""
    is_reaction: bool = False
    is_withdrawn: bool = False
    # Why it answers no message of ours, although a person may have written it; empty: it may.
    answers_nothing: str = ""


def add_inbound(reading: Reading, inbound: Inbound) -> Event:
    """Add an inbound message, and beside it the opt-out or opt-in that it is; return the first.

    What nobody wrote is information only. What answers nothing says so; a choice to leave counts
    all the same, but not in a group, where it is not made to us.
    """
    nothing = inbound.answers_nothing
    is_written = not nothing or nothing in (FROM_ADVERT, IN_GROUP)
    kind = EVENT_KIND_REPLIED if is_written else EVENT_KIND_INFO
    event = reading.add_untimed(kind) if inbound.is_untimed else reading.add(kind, inbound.time_us)
    if inbound.answered_id:
        reading.name_message(event, inbound.answered_id, inbound.recipient)
    event.provider_word = inbound.word[:WORD_CHARACTERS_MAX]
    name_person(event, inbound.person, *inbound.also_known_as)
    event.own_address = inbound.own_address
    event.channel = inbound.channel  # type: ignore[assignment]
    if not is_written:
        event.detail = nothing
        return event
    _add_act(event, inbound)
    event.engagement.answers_nothing = nothing
    if nothing != IN_GROUP:
        _add_consent(reading, event, inbound)
    return event


def name_person(event: Event, address: str, *others: str) -> None:
    """Say who acted or was reached, and by which other names the same callback calls them."""
    event.address = address
    names = [name for name in dict.fromkeys(others) if name and name != address]
    if names:
        event.also_known_as.extend(names[:ALIASES_MAX])


def _add_act(event: Event, inbound: Inbound) -> None:
    engagement = event.engagement
    engagement.inbound_type = inbound.content_type[:WORD_CHARACTERS_MAX]
    if inbound.is_reaction and inbound.answered_id:
        engagement.act_id = reaction_id(inbound.answered_id, inbound.person)
        engagement.is_replaceable = True
        engagement.is_withdrawn = inbound.is_withdrawn
        return
    engagement.act_id = inbound.inbound_id
    engagement.is_withdrawn = inbound.is_withdrawn
    if inbound.is_tap:
        engagement.is_tap = True
        engagement.button_id = inbound.button_id[:TITLE_CHARACTERS_MAX]
        engagement.button_title = inbound.button_title[:TITLE_CHARACTERS_MAX]


def _add_consent(reading: Reading, event: Event, inbound: Inbound) -> None:
    if inbound.is_consent_told:
        if inbound.consent is not None:
            choice = consent_event_of(event, inbound.consent, inbound.inbound_id)
            reading.batch.events.append(choice)
        return
    keywords = keywords_of(reading.options.get(KEYWORDS_OPTION, ""))
    tapped = (inbound.button_title, inbound.button_id) if inbound.is_tap else ()
    for text in (*inbound.texts, *tapped):
        kind = consent_of(text, is_tap=inbound.is_tap, keywords=keywords) if text else None
        if kind is not None:
            choice = consent_event_of(event, kind, inbound.inbound_id)
            reading.batch.events.append(choice)
            return
