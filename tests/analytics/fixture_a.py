"""A small campaign whose every number was counted by hand: 12 messages to 11 people."""

from bluetick.v1 import common_pb2

from tests.analytics.building import MINUTE, T0, Step, act, changes_of, image, person, registration

EXPECTED = {
    "targeted": 12, "sent": 10, "dropped": 2, "delivered": 7, "undelivered": 1, "pending": 2,
    "queued": 0, "failed": 3, "read": 4, "read_inferred": 6, "addressable": 11,
    "failed_addressable": 2, "repliers": 2, "replied": 2, "replies": 3, "quick_reply_taps": 1,
    "clicks": 5, "clicked": 3, "interacted": 4, "unique_link_clicks": 4, "unsubscribed": 1,
    "complained": 0, "recovered": 0, "people_targeted": 11, "people_sent": 9, "people_reached": 6,
    "people_read": 4,
    "people_clicked": 3, "dropped_unaddressable": 1, "human_clicked": 3, "human_clicks": 5,
    "machine_clicks": 0, "human_read": 4, "machine_reads": 0, "opted_out_before": 0,
    "complained_before": 0, "attempts": 11,
}  # fmt: skip

SENT, DELIVERED, READ, ACT = T0, T0 + 5 * MINUTE, T0 + 70 * MINUTE, T0 + 130 * MINUTE


def _final(name: str) -> Step:
    # One of them needed a second attempt.
    at = {"accept_time_us": SENT, "attempt_count": 2 if name == "P6" else 1}
    reached = at | {"deliver_time_us": DELIVERED}
    seen = reached | {"read_time_us": READ, "evidence_time_us": READ}
    who = registration(name.split("/")[0])
    clicks = {
        "P2": [("c1", "L1"), ("c2", "L1"), ("c3", "L2")],
        "P3": [("c4", "L1")],
        "P5": [("c5", "L2")],
    }
    replies = {"P4": [("r1", True), ("r2", False)], "P6": [("r3", False)]}
    acts = [act("CLICKED", ACT, act_id, link=link) for act_id, link in clicks.get(name, [])]
    acts += [act("REPLIED", ACT, act_id, is_tap=tap) for act_id, tap in replies.get(name, [])]
    sums: dict[str, int] = {}
    if name in clicks:
        sums |= {"click_count": len(clicks[name]), "click_time_us": ACT}
    if name in replies:
        sums |= {"reply_count": len(replies[name]), "reply_time_us": ACT}
    if name == "P4":
        sums |= {"tap_count": 1, "tap_time_us": ACT}
    if name == "P3":
        sums |= {"unsubscribe_time_us": ACT}
    if name in ("P1/a", "P2", "P3", "P4"):
        return Step(image("READ", **(seen | sums)), who, acts)
    if name in ("P1/b", "P5", "P6"):
        proof = {"evidence_time_us": ACT} if sums else {}
        return Step(image("DELIVERED", **(reached | proof | sums)), who, acts)
    if name == "P7":
        failed = {
            "undeliver_time_us": DELIVERED,
            "failure_reason": common_pb2.FAILURE_REASON_META_RECIPIENT_LIMIT,
            "failure_code": "131049",
        }
        return Step(image("UNDELIVERED", **(at | failed)), who)
    if name in ("P8", "P9"):
        return Step(image("ACCEPTED", **at), who)
    reason, code = (
        (common_pb2.FAILURE_REASON_RATE_LIMITS, "130429")
        if name == "P10"
        else (common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS, "")
    )
    failed = {"drop_time_us": SENT, "failure_reason": reason, "failure_code": code}
    return Step(image("DROPPED", **failed), who)


NAMES = ["P1/a", "P1/b", *(f"P{n}" for n in range(2, 12))]
FINALS = {name: _final(name) for name in NAMES}


def changes():
    """Return two changes a message: first accepted and without its acts, then as it ended."""
    told = []
    for name, final in FINALS.items():
        first = Step(image("QUEUED", queue_time_us=T0 - MINUTE), final.registration)
        told += changes_of(person(name), [first, final])
    return told
