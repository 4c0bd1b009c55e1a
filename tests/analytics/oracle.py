"""Counts messages from scratch, in the plainest way. Shares no code with the product."""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from bluetick.v1 import change_pb2, common_pb2

from tests.analytics.building import MINUTE, Step

QUARTER = 15 * MINUTE
DIMENSIONS = (
    "channel", "provider", "account", "sender", "template", "language", "category", "variant",
    "flow_id", "branch_id", "step_id", "segment", "country", "market", "time_zone",
)  # fmt: skip
# What is recounted here; a family that is not among them is compared with nothing.
TABLES = frozenset((
    "versions", "minutes", "quarters", "totals", "attributes", "failures", "people", "part_people",
    "button_people", "links", "link_people", "link_pairs",
))  # fmt: skip
# (campaign, ...) -> counter -> how many.
Rows = dict[tuple[Any, ...], Counter[str]]


def recount(messages: Iterable[tuple[bytes, Sequence[Step]]]) -> dict[str, Rows]:
    """Return what every table should hold, by table; messages are told with all their steps."""
    tables: dict[str, Rows] = {}
    # (table, key) -> member -> the sets that it is in, as often as it is.
    members: dict[tuple[str, tuple[Any, ...]], dict[bytes, Counter[str]]] = {}

    def add(table: str, key: tuple[Any, ...], name: str, n: int = 1) -> None:
        tables.setdefault(table, {}).setdefault(key, Counter())[name] += n

    for message_key, steps in messages:
        step = steps[-1]
        one, scope = step.image, step.image.scope
        campaign = scope.campaign_id
        if not campaign or not one.is_counted:
            continue
        person = one.person_key or message_key
        add("versions", (campaign,), "versions", len(steps))
        whole = tuple(getattr(scope, name) for name in DIMENSIONS)
        for name, n, time_us in _counted(step):
            add("minutes", (campaign, time_us // MINUTE * MINUTE), name, n)
            add("quarters", (campaign, 1, time_us // QUARTER * QUARTER, whole), name, n)
        counts = Counter[str]()
        for name, n, _ in _counted(step):
            counts[name] += n
        for name, n in counts.items():
            cohort = one.cohort_time_us // QUARTER * QUARTER
            add("quarters", (campaign, 2, cohort, whole), name, n)
            add("totals", (campaign, scope.channel), name, n)
            for attribute, value in one.attributes.items():
                add("attributes", (campaign, attribute, value, scope.channel, cohort), name, n)
        if counts["dropped"] or counts["undelivered"]:
            stage = 1 if counts["dropped"] else 2
            failure = stage, one.failure_reason, scope.channel, scope.provider, one.failure_code
            failed_us = one.cohort_time_us
            if counts["undelivered"]:
                failed_us = one.undeliver_time_us or failed_us
            event = failed_us // QUARTER * QUARTER
            cohort = one.cohort_time_us // QUARTER * QUARTER
            add("failures", (campaign, 1, *failure, event), "message_count")
            add("failures", (campaign, 2, *failure, cohort), "message_count")
        sets = _sets(one, counts)
        places = [("people", (campaign,))]
        places += [("part_people", (campaign, 1, scope.variant))] * bool(scope.variant)
        places += [("part_people", (campaign, 2, scope.step_id))] * bool(scope.step_id)
        if counts["quick_reply_taps"]:
            places += [("button_people", (campaign, tapped)) for tapped in one.tapped_button_ids]
        for place in places:
            members.setdefault(place, {}).setdefault(person, Counter()).update(sets)
        for act in step.acts:
            if act.kind != common_pb2.EVENT_KIND_CLICKED:
                continue
            e = act.engagement
            link = (e.is_external_button, e.card_index, bool(e.link_id), e.link_id or e.url)
            quarter = act.occur_time_us // QUARTER * QUARTER
            add("links", (campaign, link, quarter), "clicks")
            add("links", (campaign, link, quarter), "machine_clicks", int(e.is_machine))
            is_in = {"people": 1, "human_people": int(not e.is_machine)}
            clickers = members.setdefault(("link_people", (campaign, link)), {})
            clickers.setdefault(person, Counter()).update(is_in)
            pair = blake2b(person + (e.link_id or e.url).encode()).digest()
            pairs = members.setdefault(("link_pairs", (campaign,)), {})
            pairs.setdefault(pair, Counter()).update({"unique_link_clicks": 1})
    for (table, key), who in members.items():
        for counter in who.values():
            for name, n in counter.items():
                add(table, key, name, int(n > 0))
    return {table: kept for table, rows in tables.items() if (kept := without_zeros(rows))}


def without_zeros(rows: Rows) -> Rows:
    kept = {key: Counter({k: n for k, n in row.items() if n}) for key, row in rows.items()}
    return {key: row for key, row in kept.items() if row}


def _counted(step: Step) -> list[tuple[str, int, int]]:
    """Return (counter, how many, when) of one counted message."""
    one, at = step.image, step.image.cohort_time_us
    state = common_pb2.MessageState.Name(one.state).removeprefix("MESSAGE_STATE_")
    delivered = state in ("DELIVERED", "READ")
    accepted = delivered or state in ("ACCEPTED", "SENT", "UNDELIVERED")
    bad_address = one.failure_reason == common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS
    clicked_us = one.click_time_us or at
    by_people = state == "READ" and not (one.machine_read_count and not one.human_read_time_us)
    found = [
        ("targeted", True, at),
        ("queued", state in ("QUEUED", "UNSPECIFIED"), at),
        ("dropped", state == "DROPPED", at),
        ("dropped_unaddressable", state == "DROPPED" and bad_address, at),
        ("sent", accepted, at),
        ("pending", state in ("ACCEPTED", "SENT"), at),
        ("undelivered", state == "UNDELIVERED", one.undeliver_time_us or at),
        ("delivered", delivered, one.deliver_time_us or at),
        ("recovered", delivered and one.is_recovered, one.deliver_time_us or at),
        ("read", state == "READ", one.read_time_us or at),
        (
            "read_inferred",
            by_people or (delivered and one.evidence_time_us > 0),
            one.evidence_time_us or one.read_time_us or at,
        ),
        ("human_read", by_people, one.human_read_time_us or one.read_time_us or at),
        ("opted_out_before", one.opted_out_before_time_us > 0, one.opted_out_before_time_us),
        ("complained_before", one.complained_before_time_us > 0, one.complained_before_time_us),
        ("clicked", delivered and one.click_count > 0, clicked_us),
        (
            "human_clicked",
            delivered and one.click_count > one.machine_click_count,
            one.human_click_time_us or clicked_us,
        ),
        ("replied", delivered and one.reply_count > 0, one.reply_time_us or at),
        (
            "interacted",
            delivered and one.click_count + one.tap_count > 0,
            min((t for t in (one.click_time_us, one.tap_time_us) if t), default=at),
        ),
        ("unsubscribed", delivered and one.unsubscribe_time_us > 0, one.unsubscribe_time_us),
        ("complained", delivered and one.complain_time_us > 0, one.complain_time_us),
    ]
    told = [(name, 1, time_us) for name, is_so, time_us in found if is_so]
    told += [("attempts", 1, at)] * one.attempt_count
    for act in step.acts:
        when = act.occur_time_us
        if act.kind == common_pb2.EVENT_KIND_CLICKED:
            told.append(("clicks", 1, when))
            told += [("machine_clicks", 1, when)] * act.engagement.is_machine
        if act.kind == common_pb2.EVENT_KIND_READ:
            told.append(("machine_reads", 1, when))
        if act.kind == common_pb2.EVENT_KIND_REPLIED:
            told.append(("replies", 1, when))
            told += [("quick_reply_taps", 1, when)] * act.engagement.is_tap
    return told


def _sets(one: change_pb2.MessageImage, counts: Counter[str]) -> dict[str, int]:
    return {
        "people_targeted": 1,
        "people_sent": counts["sent"],
        "people_reached": counts["delivered"],
        "people_read": counts["read"],
        "repliers": int(counts["delivered"] and one.reply_count > 0),
        "people_clicked": int(counts["delivered"] and one.click_count > 0),
        "people_converted": int(len(one.reached_goals) > 0),
    }
