"""The one catalogue of counters. Columns, reports and docs/metrics.md follow from it.

Adding a counter: a line here and one in ``shape.counts_of``; its columns follow, its history comes
by a rebuild.
"""

from enum import Enum

import msgspec
from bluetick.v1 import common_pb2

# Bumped whenever a name changes its meaning.
DEFINITION_VERSION = "1"


class Moment(Enum):
    """The time at which a counter counts, on the clock EVENT_TIME."""

    SEND = "accepted; else dropped; else queued"
    UNDELIVER = "first failure report"
    DELIVER = "delivered, or first proof of it"
    READ = "first read receipt"
    HUMAN_READ = "first read that no machine made"
    EVIDENCE = "first proof that a person saw it"
    CLICK = "first click"
    HUMAN_CLICK = "first click that no machine made"
    REPLY = "first reply"
    INTERACT = "first click or tap"
    UNSUBSCRIBE = "first opt-out"
    COMPLAIN = "first complaint"
    OPT_OUT_BEFORE = "first failure that tells an earlier opt-out"
    COMPLAIN_BEFORE = "first failure that tells an earlier complaint"
    ACT = "each act at its own time"


class Kind(Enum):
    """How a counter comes about."""

    STORED = "stored"
    DERIVED = "derived"
    DISTINCT = "distinct"


class Counter(msgspec.Struct, frozen=True):
    """One counter: what it counts, and when."""

    name: str
    counts: str
    kind: Kind
    moment: Moment | None = None
    # For derived counters: signed sum of stored ones.
    formula: tuple[tuple[int, str], ...] = ()
    # Channels that can never tell it.
    absent_on: frozenset[int] = frozenset()


_NO_RECEIPTS = frozenset({common_pb2.CHANNEL_SMS})


def _stored(
    name: str, counts: str, moment: Moment, absent_on: frozenset[int] = frozenset()
) -> Counter:
    return Counter(name, counts, Kind.STORED, moment, absent_on=absent_on)


# The order is the order of the columns and of the vectors in memory.
STORED: tuple[Counter, ...] = (
    _stored("targeted", "Messages that the sender recorded.", Moment.SEND),
    _stored("queued", "Messages that wait for their hand-over.", Moment.SEND),
    _stored("dropped", "Messages that were never handed over.", Moment.SEND),
    _stored(
        "dropped_unaddressable",
        "Dropped messages whose address is no valid number or mailbox.",
        Moment.SEND,
    ),
    _stored("sent", "Messages that the provider accepted.", Moment.SEND),
    _stored("pending", "Accepted messages without any report on their end.", Moment.SEND),
    _stored(
        "undelivered",
        "Accepted messages that the provider reported as failed, not delivered later.",
        Moment.UNDELIVER,
    ),
    _stored(
        "delivered", "Messages that reached the device, or that an act proves did.", Moment.DELIVER
    ),
    _stored(
        "recovered", "Delivered messages for which a failure was reported too.", Moment.DELIVER
    ),
    _stored(
        "read",
        "Messages with a read receipt or an opening pixel, machines' included; people may switch"
        " these off.",
        Moment.READ,
        absent_on=_NO_RECEIPTS,
    ),
    _stored(
        "read_inferred",
        "Messages with a read that no machine made, or with an act that proves that a person saw"
        " them.",
        Moment.EVIDENCE,
        absent_on=_NO_RECEIPTS,
    ),
    _stored("clicked", "Messages with at least one click, machines' included.", Moment.CLICK),
    _stored("clicks", "Clicks, every one, machines' included.", Moment.ACT),
    _stored("replied", "Messages with at least one reply, taps included.", Moment.REPLY),
    _stored("replies", "Replies, every one, taps included.", Moment.ACT),
    _stored("quick_reply_taps", "Taps on quick replies, buttons and list choices.", Moment.ACT),
    _stored("interacted", "Messages with at least one click or tap.", Moment.INTERACT),
    _stored("unsubscribed", "Messages after which the person opted out.", Moment.UNSUBSCRIBE),
    _stored("complained", "Messages about which the person complained.", Moment.COMPLAIN),
    _stored(
        "human_clicked",
        "Messages with at least one click that no machine made.",
        Moment.HUMAN_CLICK,
    ),
    _stored("machine_clicks", "Clicks that a machine made: link scanners, previews.", Moment.ACT),
    _stored(
        "human_read",
        "Messages with at least one read that no machine made.",
        Moment.HUMAN_READ,
        absent_on=_NO_RECEIPTS,
    ),
    _stored(
        "machine_reads",
        "Opens that a machine made: mail proxies, scanners.",
        Moment.ACT,
        absent_on=_NO_RECEIPTS,
    ),
    _stored(
        "opted_out_before",
        "Messages that failed because the person had opted out before.",
        Moment.OPT_OUT_BEFORE,
    ),
    _stored(
        "complained_before",
        "Messages that failed because the person had complained before.",
        Moment.COMPLAIN_BEFORE,
    ),
    _stored(
        "attempts",
        "Hand-overs to a provider, each retry and each further channel of a message included.",
        Moment.SEND,
    ),
)

DERIVED: tuple[Counter, ...] = (
    Counter(
        "failed",
        "Messages dropped or undelivered.",
        Kind.DERIVED,
        formula=((1, "dropped"), (1, "undelivered")),
    ),
    Counter(
        "addressable",
        "Messages with a valid address: targeted without dropped_unaddressable.",
        Kind.DERIVED,
        formula=((1, "targeted"), (-1, "dropped_unaddressable")),
    ),
    Counter(
        "failed_addressable",
        "Failed messages with a valid address: failed without dropped_unaddressable.",
        Kind.DERIVED,
        formula=((1, "dropped"), (1, "undelivered"), (-1, "dropped_unaddressable")),
    ),
    Counter(
        "human_clicks",
        "Clicks that no machine made: clicks without machine_clicks.",
        Kind.DERIVED,
        formula=((1, "clicks"), (-1, "machine_clicks")),
    ),
)


def _distinct(name: str, counts: str, absent_on: frozenset[int] = frozenset()) -> Counter:
    return Counter(name, counts, Kind.DISTINCT, absent_on=absent_on)


# Distinct things do not add up over parts, so they exist for the whole campaign only.
# These are sets of people, in the order of their columns.
PEOPLE: tuple[Counter, ...] = (
    _distinct("people_targeted", "People with a recorded message."),
    _distinct("people_sent", "People with a message that the provider accepted."),
    _distinct("people_reached", "People with a delivered message."),
    _distinct("people_read", "People with a read message.", absent_on=_NO_RECEIPTS),
    _distinct("repliers", "People who replied."),
    _distinct("people_clicked", "People who clicked, or for whom a machine did."),
    _distinct("people_converted", "People who reached a goal."),
)
DISTINCT: tuple[Counter, ...] = (
    *PEOPLE,
    _distinct("unique_link_clicks", "Pairs of a person and a link that the person clicked."),
)

STORED_NAMES = tuple(counter.name for counter in STORED)
DISTINCT_NAMES = tuple(counter.name for counter in DISTINCT)
INDEX = {name: index for index, name in enumerate(STORED_NAMES)}
CATALOGUE: dict[str, Counter] = {c.name: c for c in (*STORED, *DERIVED, *DISTINCT)}
# Named in the catalogue, but nothing records them: absent from every report, with this reason.
UNRECORDED = dict.fromkeys(
    ("converted", "conversions", "people_converted"), "NO_CONVERSIONS_RECORDED"
)
