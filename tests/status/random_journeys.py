"""Random campaigns as they would be stored, without a database: every way that a message may go.

Retries under one reference and fallbacks to another channel, parts, refusals of who had said no
before, machines that open and click, mail that bounces after its delivery, acts told by the
message, by its reference or by the address of the person; all of it shuffled and repeated.
"""

from random import Random
from typing import Any, NamedTuple

from bluetick.v1 import common_pb2 as words
from bluetick.v1.change_pb2 import MessageImage
from bluetick.v1.event_pb2 import Event

from libs.testkit import builders
from services.status.domain.acts import Act, act_of, add_act
from services.status.domain.attributed import attribute
from services.status.domain.image import image
from services.status.domain.message import Message
from services.status.domain.outcomes import has_failed
from services.status.domain.refs import furthest
from tests.status.merged import merged

T = builders.TIME_US
CHANNELS = (words.CHANNEL_WHATSAPP, words.CHANNEL_SMS, words.CHANNEL_EMAIL)
TOPICS = (
    words.FAILURE_TOPIC_UNSPECIFIED,
    words.FAILURE_TOPIC_OPT_OUT,
    words.FAILURE_TOPIC_COMPLAINT,
)
CONSENT = (words.EVENT_KIND_UNSUBSCRIBED, words.EVENT_KIND_COMPLAINED)
ACTS = (words.EVENT_KIND_READ, words.EVENT_KIND_CLICKED, words.EVENT_KIND_REPLIED, *CONSENT)
REPORTS = (words.EVENT_KIND_SENT, words.EVENT_KIND_DELIVERED, words.EVENT_KIND_UNDELIVERED)
MESSAGES_MAX = 25
PEOPLE = 8


class Campaign(NamedTuple):
    """What is stored of a campaign, and what was made of it."""

    images: list[tuple[str, MessageImage]]  # with the person
    references: int
    hand_overs: int


def random_campaign(seed: int) -> Campaign:
    """Return the campaign of a seed."""
    chance = Random(seed)
    images: list[tuple[str, MessageImage]] = []
    hand_overs = 0
    references = chance.randint(1, MESSAGES_MAX)
    for number in range(references):
        person = f"contact-{chance.randrange(PEOPLE)}"
        attempts = chance.choice((0, 1, 1, 1, 2, 3))
        hand_overs += attempts
        messages = _journey(chance, f"ref-{number}", person, attempts)
        images += [(person, image(message)) for message in messages]
    return Campaign(images, references, hand_overs)


def _journey(chance: Random, ref: str, person: str, count: int) -> list[Message]:
    """Return what is stored for one reference: its attempts, and what was never handed over."""
    at_once = [] if count and chance.random() < 0.7 else [_never_sent(chance, ref, person)]
    attempts = {
        bytes((number,)): _attempt(chance, ref, person, number, is_last=number + 1 == count)
        for number in range(count)
    }
    standing = attempts[furthest(attempts)] if attempts else at_once[0]
    for message in (*attempts.values(), *at_once):
        message.is_superseded = message is not standing
        # A reference with one attempt is never compared.
        message.attempt_count = 0 if count < 2 else count if message is standing else 1
    for number in range(chance.choice((0, 0, 1, 2))):
        add_act(standing, _told(_act(chance, f"by-ref-{number}")))
    if standing.accept_time_us and not has_failed(standing) and chance.random() < 0.3:
        attribute(standing, [_told(_act(chance, "by-address"))])
    return [*attempts.values(), *at_once]


def _never_sent(chance: Random, ref: str, person: str) -> Message:
    registration = _registration(chance, person)
    if chance.random() < 0.3:
        kind, fields = words.EVENT_KIND_QUEUED, {}
    else:
        kind, fields = words.EVENT_KIND_DROPPED, _why(chance)
        if chance.random() < 0.3:
            fields["reason"] = words.FAILURE_REASON_INVALID_PHONE_NUMBERS
    return merged(builders.a_registered(kind, message_ref=ref, registration=registration, **fields))


def _attempt(chance: Random, ref: str, person: str, number: int, *, is_last: bool) -> Message:
    own_id = f"{ref}.{number}"
    registration = _registration(chance, person)
    record = builders.a_registered(
        message_ref=ref,
        registration=registration,
        provider_message_id=own_id,
        occur_time_us=T + number * 100,
    )
    told = [_report(chance, is_last=is_last) for _ in range(chance.randint(0, 4))]
    if registration.channel == words.CHANNEL_SMS and chance.random() < 0.3:
        told += [_part(chance, part) for part in ("p1", "p2") for _ in range(chance.randint(0, 2))]
    if is_last or chance.random() < 0.3:
        told += [_act(chance, str(act)) for act in range(chance.randint(0, 4))]
    told += chance.choices(told, k=chance.randint(0, 3)) if told else []
    named = [record]
    for event in told:
        copy = Event()
        copy.CopyFrom(event)
        copy.provider_message_id, copy.message_key = own_id, record.message_key
        named.append(copy)
    chance.shuffle(named)
    return merged(*named)


def _registration(chance: Random, person: str) -> Any:
    return builders.a_registration(contact_id=person, channel=chance.choice(CHANNELS))


def _why(chance: Random) -> dict[str, Any]:
    return {
        "provider_code": chance.choice(("", "131026", "21610")),
        "reason": words.FAILURE_REASON_RECIPIENT_RELATED_ERRORS,
        "topic": chance.choice(TOPICS),
    }


def _report(chance: Random, *, is_last: bool) -> Event:
    # Whoever sends again has heard of a failure.
    kind = chance.choice(REPORTS if is_last else (*REPORTS, *REPORTS[2:] * 4))
    fields = _why(chance) if kind == words.EVENT_KIND_UNDELIVERED else {}
    return builders.an_event(kind, occur_time_us=T + chance.randint(1, 9), **fields)


def _part(chance: Random, part: str) -> Event:
    kind = chance.choice(REPORTS)
    return builders.an_event(
        kind, part_id=part, part_count=2, occur_time_us=T + chance.randint(1, 9)
    )


def _act(chance: Random, name: str) -> Event:
    kind = chance.choice(ACTS)
    engagement = builders.an_engagement(
        f"{name}.{kind}",
        is_machine=chance.random() < 0.4,
        is_tap=kind == words.EVENT_KIND_REPLIED and chance.random() < 0.5,
        by_failure=kind in CONSENT and chance.random() < 0.5,
        is_withdrawn=kind == words.EVENT_KIND_REPLIED and chance.random() < 0.1,
        is_replaceable=kind == words.EVENT_KIND_REPLIED,
    )
    at = T + chance.randint(1, 9)
    return builders.an_event(kind, engagement=engagement, occur_time_us=at)


def _told(event: Event) -> Act:
    told = event.engagement
    return act_of(told.act_id, event.kind, event.occur_time_us, told, told.SerializeToString())
