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
    facts_by_ref: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in facts:
        facts_by_ref[fact.message.message_ref][fact.fact_id] = fact
    tally = _Tally()
    channels: set[Channel] = set()
    for message in messages:
        if message.is_recorded:
            channels.add(message.channel)
            _count_message(tally, message, _standing(facts_by_ref[message.message_ref].values()))
    for name, members in tally.people.items():
        tally.counts[name] = len(members)
    unavailable = ABSENT_BY_SMS if channels == {Channel.SMS} else {}
    return Truth(
        counters={name: tally.counts[name] for name in COUNTERS if name not in unavailable},
        reasons=dict(sorted(tally.reasons.items())),
        unavailable=dict(unavailable),
        caveats=dict(CAVEATS_OF_EMAIL) if Channel.EMAIL in channels else {},
    )


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
    delivered = acted or FactKind.DELIVERED in kinds or FactKind.READ in kinds
    if delivered:
        counts["delivered"] += 1
        counts["recovered"] += FactKind.FAILED in kinds
        counts["read"] += FactKind.READ in kinds
        counts["read_inferred"] += acted or FactKind.READ in kinds
        tally.people["people_reached"].add(message.contact_id)
    elif FactKind.FAILED in kinds:
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
