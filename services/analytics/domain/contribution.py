"""What one message adds to the numbers: the linear function that every number is a sum of."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b

import msgspec
from bluetick.v1 import change_pb2, common_pb2, event_pb2

from services.analytics.domain.counters import INDEX, STORED, Moment

DROPPED = common_pb2.MESSAGE_STATE_DROPPED
ACCEPTED = common_pb2.MESSAGE_STATE_ACCEPTED
UNDELIVERED = common_pb2.MESSAGE_STATE_UNDELIVERED
DELIVERED = common_pb2.MESSAGE_STATE_DELIVERED
READ = common_pb2.MESSAGE_STATE_READ
CLICKED = common_pb2.EVENT_KIND_CLICKED
REPLIED = common_pb2.EVENT_KIND_REPLIED
_INVALID = common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS
_MOMENTS = tuple(counter.moment for counter in STORED)


# Everything in an image that numbers depend on, except times: state, recovered, seen, clicks,
# replies, taps, opted out, complained, unaddressable, clicks of machines. A campaign has millions
# of images and few shapes, so what follows from a shape is computed once. A plain tuple, since it
# is built per image.
Shape = tuple[int, bool, bool, int, int, int, bool, bool, bool, int]


def shape_of(image: change_pb2.MessageImage) -> Shape | None:
    """Return the shape of a message that counts, None for one that does not."""
    if not image.is_counted:
        return None
    state = image.state
    return (
        state,
        image.is_recovered,
        image.evidence_time_us != 0,
        image.click_count,
        image.reply_count,
        image.tap_count,
        image.unsubscribe_time_us != 0,
        image.complain_time_us != 0,
        state == DROPPED and image.failure_reason == _INVALID,
        image.machine_click_count,
    )


@lru_cache(maxsize=65_536)
def counts_of(shape: Shape) -> tuple[tuple[int, int], ...]:
    """Return what a message of this shape counts: (index in STORED, how many), none of them 0."""
    state, recovered, seen, clicks, replies, taps, *rest = shape
    unsubscribed, complained, bad_address, machine_clicks = rest
    is_sent, is_delivered = state >= ACCEPTED, state >= DELIVERED
    counts = {
        "targeted": 1,
        "queued": state < DROPPED,
        "dropped": state == DROPPED,
        "dropped_unaddressable": bad_address,
        "sent": is_sent,
        "pending": is_sent and state < UNDELIVERED,
        "undelivered": state == UNDELIVERED,
        "delivered": is_delivered,
        "recovered": is_delivered and recovered,
        "read": state >= READ,
        "read_inferred": state >= READ or (is_delivered and seen),
        "clicked": clicks > 0,
        "clicks": clicks,
        "replied": replies > 0,
        "replies": replies,
        "quick_reply_taps": taps,
        "interacted": clicks > 0 or taps > 0,
        "unsubscribed": unsubscribed,
        "complained": complained,
        "human_clicked": clicks > machine_clicks,
        "machine_clicks": machine_clicks,
    }
    return tuple((INDEX[name], int(count)) for name, count in counts.items() if count)


@lru_cache(maxsize=65_536)
def people_of(shape: Shape) -> tuple[int, int, int, int]:
    """Return to which sets of people (counters.PEOPLE) the message adds its person: 1 or 0."""
    state, _, _, clicks, replies, *_ = shape
    return 1, int(state >= DELIVERED), int(replies > 0), int(clicks > 0)


def send_time_us(image: change_pb2.MessageImage) -> int:
    """Return when the message was sent, or given up: the time of its cohort."""
    state = image.state
    if state == DROPPED:
        return image.drop_time_us or image.queue_time_us
    if state < DROPPED:
        return image.queue_time_us
    return (
        image.accept_time_us
        or image.send_time_us
        or image.undeliver_time_us
        or image.deliver_time_us
        or image.read_time_us
        or image.queue_time_us
    )


def _interact_time_us(image: change_pb2.MessageImage) -> int:
    click_us, tap_us = image.click_time_us, image.tap_time_us
    return min(click_us, tap_us) if click_us and tap_us else click_us or tap_us


ReadTime = Callable[[change_pb2.MessageImage], int]

TIME_OF: dict[Moment, ReadTime] = {
    Moment.SEND: send_time_us,
    Moment.UNDELIVER: lambda image: image.undeliver_time_us or send_time_us(image),
    Moment.DELIVER: lambda image: image.deliver_time_us or send_time_us(image),
    Moment.READ: lambda image: image.read_time_us or send_time_us(image),
    Moment.EVIDENCE: lambda image: (
        image.evidence_time_us or image.read_time_us or send_time_us(image)
    ),
    Moment.CLICK: lambda image: image.click_time_us or send_time_us(image),
    # Messages of before the difference was told have the first click only.
    Moment.HUMAN_CLICK: lambda image: (
        image.human_click_time_us or image.click_time_us or send_time_us(image)
    ),
    Moment.REPLY: lambda image: image.reply_time_us or send_time_us(image),
    Moment.INTERACT: lambda image: _interact_time_us(image) or send_time_us(image),
    Moment.UNSUBSCRIBE: lambda image: image.unsubscribe_time_us,
    Moment.COMPLAIN: lambda image: image.complain_time_us,
}

# Where acts count that no fact tells the time of: at the first of their kind.
ACT_TIME_OF: dict[int, ReadTime] = {
    INDEX["clicks"]: TIME_OF[Moment.CLICK],
    INDEX["machine_clicks"]: TIME_OF[Moment.CLICK],
    INDEX["replies"]: TIME_OF[Moment.REPLY],
    INDEX["quick_reply_taps"]: lambda image: image.tap_time_us or send_time_us(image),
}


def acts_of(fact: change_pb2.MessageFact) -> tuple[int, ...]:
    """Return the counters (index in STORED) that one act adds 1 to."""
    if fact.kind == CLICKED:
        if fact.engagement.is_machine:
            return INDEX["clicks"], INDEX["machine_clicks"]
        return (INDEX["clicks"],)
    if fact.kind == REPLIED:
        if fact.engagement.is_tap:
            return INDEX["replies"], INDEX["quick_reply_taps"]
        return (INDEX["replies"],)
    return ()


def link_member(person: bytes, fact: change_pb2.MessageFact) -> bytes | None:
    """Return 16 bytes for the pair of the person and the link clicked; None for other acts.

    The link is what the sender calls it, else its destination.
    """
    if fact.kind != CLICKED:
        return None
    link = fact.engagement.link_id or fact.engagement.url
    return blake2b(person + link.encode(), digest_size=16).digest()


def person_of(registration: event_pb2.Registration, message_key: bytes) -> bytes:
    """Return 16 bytes for the person; a message that names nobody stands for its own person."""
    person = registration.person_key or message_key
    return person if len(person) == 16 else blake2b(person, digest_size=16).digest()


class Contribution(msgspec.Struct, frozen=True):
    """What one message adds; all of it is taken back when the message moves on."""

    # (index in STORED, time in us) -> how many.
    points: dict[tuple[int, int], int]
    cohort_time_us: int
    people: tuple[int, int, int, int]
    # (stage, reason, code); None if it did not fail.
    failure: tuple[int, int, str] | None
    # Member of unique_link_clicks -> how many clicks.
    links: dict[bytes, int]


def failure_of(image: change_pb2.MessageImage) -> tuple[int, int, str] | None:
    """Return (stage, reason, code) of a message that failed and was not delivered later."""
    if image.state == DROPPED:
        return common_pb2.FAILURE_STAGE_DROPPED, image.failure_reason, image.failure_code
    if image.state == UNDELIVERED:
        return common_pb2.FAILURE_STAGE_UNDELIVERED, image.failure_reason, image.failure_code
    return None


def contribution(
    image: change_pb2.MessageImage,
    registration: event_pb2.Registration,
    facts: Iterable[change_pb2.MessageFact],
    message_key: bytes = b"",
) -> Contribution | None:
    """Return what the message adds to its campaign, None if it adds nothing.

    Args:
        image: the message as it stands.
        registration: what the sender said about it.
        facts: every act counted so far, each once.
        message_key: stands for the person where the registration names nobody.
    """
    shape = shape_of(image)
    if shape is None or not registration.campaign_id:
        return None
    points: dict[tuple[int, int], int] = {}
    left = dict(counts_of(shape))
    links: dict[bytes, int] = {}
    person = person_of(registration, message_key)
    for fact in facts:
        for index in acts_of(fact):
            point = (index, fact.occur_time_us)
            points[point] = points.get(point, 0) + 1
            left[index] = left.get(index, 0) - 1
        if member := link_member(person, fact):
            links[member] = links.get(member, 0) + 1
    for index, n in left.items():
        moment = _MOMENTS[index]
        assert moment is not None
        time_us = (ACT_TIME_OF[index] if moment is Moment.ACT else TIME_OF[moment])(image)
        point = (index, time_us)
        points[point] = points.get(point, 0) + n
    return Contribution(
        {point: n for point, n in points.items() if n},
        send_time_us(image),
        people_of(shape),
        failure_of(image),
        links,
    )
