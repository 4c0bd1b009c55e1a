"""What the report must say: a plain recount of messages and facts, by its own simple rules.

It shares no code with the services on purpose: two ways to the same numbers are a proof, one
way taken twice is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from libs.simulator.facts import Channel, Fact, FactKind, Outcome, SimulatedMessage

# Reasons by stage and code, for the codes that the scenarios use.
DROP_REASONS = {
    "130429": "RATE_LIMITS",
    "132015": "PAUSED_TEMPLATES",
    "132001": "TEMPLATE_FAILURES",
    "131000": "META_TEMPORARY_ERRORS",
    "131026": "RECIPIENT_RELATED_ERRORS",
}
UNDELIVERED_REASONS = {
    "131049": "META_RECIPIENT_LIMIT",
    "131026": "RECIPIENT_RELATED_ERRORS",
    "130472": "META_EXPERIMENTS",
    "131047": "INVALID_MESSAGES",
    "131053": "MEDIA_ERRORS",
    "131000": "META_ERRORS",
    "131050": "RECIPIENT_RELATED_ERRORS",
}
UNKNOWN_CODE_REASON = "UNMAPPED"
# The provider says with a failure that the person opted out: no proof that anything arrived.
OPT_OUT_CODE = "131050"

_REPLY_KINDS = frozenset({FactKind.REPLY, FactKind.TAP, FactKind.STOP_TAP, FactKind.REACTION})
_TAP_KINDS = frozenset({FactKind.TAP, FactKind.STOP_TAP})
_ACT_KINDS = _REPLY_KINDS | {FactKind.CLICK, FactKind.OPT_OUT}

COUNTERS = (
    "targeted",
    "queued",
    "dropped",
    "sent",
    "delivered",
    "undelivered",
    "pending",
    "failed",
    "read",
    "read_inferred",
    "human_read",
    "machine_reads",
    "attempts",
    "clicked",
    "clicks",
    "unique_link_clicks",
    "replied",
    "replies",
    "repliers",
    "quick_reply_taps",
    "interacted",
    "unsubscribed",
    "opted_out_before",
    "complained",
    "recovered",
    "addressable",
    "failed_addressable",
    "people_targeted",
    "people_reached",
    "people_clicked",
)


# An SMS cannot say that it was read: such numbers do not exist, which is not 0.
ABSENT_BY_SMS = dict.fromkeys(
    ("read", "human_read", "machine_reads", "read_inferred"), "SMS_NO_RECEIPTS"
)
# An email is "read" when its picture is fetched, which many people forbid.
CAVEATS_OF_EMAIL = dict.fromkeys(("read", "human_read"), "EMAIL_OPENS_LOWER_BOUND")


@dataclass(frozen=True, slots=True)
class Truth:
    """Expected numbers of one campaign.

    `reasons` counts messages by "STAGE/REASON"; the reasons of a stage add up to its counter.
    `unavailable` are counters that the channel cannot have, `caveats` those that mean less on it
    than elsewhere; both by counter, with the reason.
    """

    counters: dict[str, int]
    reasons: dict[str, int]
    unavailable: dict[str, str] = field(default_factory=dict)
    caveats: dict[str, str] = field(default_factory=dict)


# One hand-over, and what was told of it.
_Attempt = tuple[SimulatedMessage, Sequence[Fact]]
_REACH = ("accepted", "sent", "undelivered", "delivered", "read")


@dataclass(slots=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    people: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def count_truth(messages: Iterable[SimulatedMessage], facts: Iterable[Fact]) -> Truth:
    """Count a campaign from its messages and from the facts that were really told.

    Facts may come in any order and any number of times. Messages that nobody records count
    nowhere, and neither do their facts.
    """
    told: defaultdict[tuple[str, int], dict[str, Fact]] = defaultdict(dict)
    for fact in facts:
        told[fact.message.message_ref, fact.message.attempt][fact.fact_id] = fact
    attempts: defaultdict[str, list[_Attempt]] = defaultdict(list)
    for message in messages:
        if message.is_recorded:
            heard = _standing(told[message.message_ref, message.attempt].values())
            attempts[message.message_ref].append((message, heard))
    tally = _Tally()
    channels: set[Channel] = set()
    for tries in attempts.values():
        message, facts_of_it = min(tries, key=_order)
        channels.add(message.channel)
        tally.counts["attempts"] += sum(one.outcome is Outcome.ACCEPTED for one, _ in tries)
        _count_message(tally, message, facts_of_it)
    for name, members in tally.people.items():
        tally.counts[name] = len(members)
    unavailable = ABSENT_BY_SMS if channels == {Channel.SMS} else {}
    return Truth(
        counters={name: tally.counts[name] for name in COUNTERS if name not in unavailable},
        reasons=dict(sorted(tally.reasons.items())),
        unavailable=dict(unavailable),
        caveats=_caveats(tally.counts) if Channel.EMAIL in channels else {},
    )


def _caveats(counts: Counter[str]) -> dict[str, str]:
    """How far off a count of opened emails is, all messages being emails."""
    if not counts["machine_reads"]:
        return dict(CAVEATS_OF_EMAIL)
    is_all = counts["read"] == counts["delivered"]
    bound = "EMAIL_OPENS_UPPER_BOUND" if is_all else "EMAIL_OPENS_LOWER_AND_UPPER_BOUND"
    return {**CAVEATS_OF_EMAIL, "read": bound}


def _order(attempt: _Attempt) -> tuple[int, int]:
    """What decides between attempts for one reference: who got furthest, then who came first."""
    message, facts = attempt
    return (-_REACH.index(_end_of(facts)), message.outcome_time_s)


def _end_of(facts: Sequence[Fact]) -> str:
    """How far an accepted message got: the last of `_REACH` that is told."""
    kinds = {fact.kind for fact in facts}
    if kinds & {FactKind.READ, FactKind.MACHINE_READ}:
        return "read"
    if kinds & _ACT_KINDS:
        return "delivered"
    if any(fact.part for fact in facts):
        return _end_of_parts(facts)
    if FactKind.DELIVERED in kinds:
        return "delivered"
    if FactKind.FAILED in kinds:
        return "undelivered"
    return "sent" if FactKind.SENT in kinds else "accepted"


def _end_of_parts(facts: Sequence[Fact]) -> str:
    """Of the parts that are heard of, one that is lost decides, then one that is on its way."""
    heard = defaultdict[int, set[FactKind]](set)
    for fact in facts:
        heard[fact.part].add(fact.kind)
    arrived = [part for part, kinds in heard.items() if FactKind.DELIVERED in kinds]
    lost = [part for part, kinds in heard.items() if FactKind.FAILED in kinds]
    if set(lost) - set(arrived):
        return "undelivered"
    return "delivered" if len(arrived) == len(heard) else "sent"


def _standing(facts: Iterable[Fact]) -> list[Fact]:
    """Leave out what was taken back: a reaction that its person removed counts nowhere."""
    told = list(facts)
    if not any(fact.kind is FactKind.REACTION_REMOVED for fact in told):
        return told
    return [fact for fact in told if fact.kind is not FactKind.REACTION]


def _count_message(tally: _Tally, message: SimulatedMessage, facts: Sequence[Fact]) -> None:
    counts = tally.counts
    counts["targeted"] += 1
    counts["addressable"] += message.drop_reason != "INVALID_PHONE_NUMBERS"
    tally.people["people_targeted"].add(message.contact_id)
    if message.outcome is Outcome.QUEUED:
        counts["queued"] += 1
    elif message.outcome is Outcome.DROPPED:
        reason = message.drop_reason or DROP_REASONS.get(message.drop_code, UNKNOWN_CODE_REASON)
        counts["dropped"] += 1
        counts["failed"] += 1
        counts["failed_addressable"] += reason != "INVALID_PHONE_NUMBERS"
        tally.reasons[f"DROPPED/{reason}"] += 1
    else:
        counts["sent"] += 1
        _count_delivery(tally, message, facts)
        _count_acts(tally, message, facts)


def _count_delivery(tally: _Tally, message: SimulatedMessage, facts: Sequence[Fact]) -> None:
    counts = tally.counts
    kinds = {fact.kind for fact in facts}
    acted = bool(kinds & _ACT_KINDS)
    end = _end_of(facts)
    if end in ("delivered", "read"):
        counts["delivered"] += 1
        counts["recovered"] += FactKind.FAILED in kinds
        tally.people["people_reached"].add(message.contact_id)
        if message.channel is not Channel.SMS:
            counts["read"] += end == "read"
            counts["human_read"] += FactKind.READ in kinds
            counts["read_inferred"] += acted or FactKind.READ in kinds
            counts["machine_reads"] += sum(fact.kind is FactKind.MACHINE_READ for fact in facts)
    elif end == "undelivered":
        failures = [fact for fact in facts if fact.kind is FactKind.FAILED]
        first = min(failures, key=lambda fact: (fact.occur_time_s, fact.code))
        reason = first.reason or UNDELIVERED_REASONS.get(first.code, UNKNOWN_CODE_REASON)
        counts["undelivered"] += 1
        counts["failed"] += 1
        counts["failed_addressable"] += 1
        tally.reasons[f"UNDELIVERED/{reason}"] += 1
    else:
        counts["pending"] += 1


def _count_acts(tally: _Tally, message: SimulatedMessage, facts: Sequence[Fact]) -> None:
    counts = tally.counts
    clicks = [fact for fact in facts if fact.kind is FactKind.CLICK]
    replies = sum(fact.kind in _REPLY_KINDS for fact in facts)
    taps = sum(fact.kind in _TAP_KINDS for fact in facts)
    # A failure that says that the person opted out tells of a choice made before this message.
    opted_out = any(fact.kind is FactKind.OPT_OUT for fact in facts)
    opted_out_before = any(fact.opts_out or fact.code == OPT_OUT_CODE for fact in facts)
    counts["clicks"] += len(clicks)
    counts["clicked"] += bool(clicks)
    counts["replies"] += replies
    counts["replied"] += bool(replies)
    counts["quick_reply_taps"] += taps
    counts["interacted"] += bool(clicks or taps)
    counts["unsubscribed"] += opted_out
    counts["opted_out_before"] += opted_out_before
    if clicks:
        tally.people["people_clicked"].add(message.contact_id)
        links = {f"{message.contact_id} {click.link_id}" for click in clicks}
        tally.people["unique_link_clicks"] |= links
    if replies:
        tally.people["repliers"].add(message.contact_id)
