"""Messages, images and changes for tests, and a recount that shares no code with the product."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bluetick.v1 import change_pb2, common_pb2, event_pb2

TENANT = "demo"
CAMPAIGN = "spring"
MINUTE = 60_000_000
HOUR = 60 * MINUTE
T0 = 1_790_000_000_000_000 // HOUR * HOUR


def person(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def registration(name: str = "P1", **more: object) -> event_pb2.Registration:
    values: dict[str, object] = {
        "campaign_id": CAMPAIGN,
        "contact_id": name,
        "channel": common_pb2.CHANNEL_WHATSAPP,
        "template": "spring_sale",
        "person_key": person(name),
    }
    return event_pb2.Registration(**(values | more))  # type: ignore[arg-type]


def image(state: str, **more: object) -> change_pb2.MessageImage:
    values: dict[str, object] = {
        "state": common_pb2.MessageState.Value(f"MESSAGE_STATE_{state}"),
        "is_counted": True,
    }
    return change_pb2.MessageImage(**(values | more))  # type: ignore[arg-type]


def fact(
    kind: str, at_us: int, fact_id: str, *, link: str = "", is_tap: bool = False, **more: object
) -> change_pb2.MessageFact:
    return change_pb2.MessageFact(
        kind=common_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
        occur_time_us=at_us,
        engagement=event_pb2.Engagement(
            fact_id=fact_id,
            link_id=link,
            is_tap=is_tap,
            **more,  # type: ignore[arg-type]
        ),
    )


@dataclass
class Step:
    """A message as it stands after one change."""

    image: change_pb2.MessageImage
    registration: event_pb2.Registration | None
    facts: list[change_pb2.MessageFact] = field(default_factory=list)  # all counted so far


def changes_of(
    key: bytes, steps: Sequence[Step], provider: str = "meta"
) -> list[change_pb2.MessageChanged]:
    """Return the changes that status would publish for a message going through `steps`."""
    changes, before = [], None
    for version, step in enumerate(steps, start=1):
        change = change_pb2.MessageChanged(
            message_key=key, tenant_id=TENANT, version=version, provider=provider
        )
        change.new_image.CopyFrom(step.image)
        if step.registration is not None:
            change.registration.CopyFrom(step.registration)
        known: list[change_pb2.MessageFact] = []
        is_repeating = False
        if before is not None:
            change.old_image.CopyFrom(before.image)
            known = before.facts
            was = before.registration
            if was is not None and was != step.registration:
                change.old_registration.CopyFrom(was)
            is_repeating = (
                was != step.registration or before.image.is_counted != step.image.is_counted
            )
        for one in step.facts:
            is_known = one in known
            if is_known and not is_repeating:
                continue
            told = change.facts.add()
            told.CopyFrom(one)
            told.is_repeated = is_known
        for one in known:
            if one not in step.facts:
                told = change.facts.add()
                told.CopyFrom(one)
                told.is_retracted = True
        changes.append(change)
        before = step
    return changes


def batches_of(
    changes: Iterable[change_pb2.MessageChanged], size: int, prefix: str = "b"
) -> list[change_pb2.MessageChangedBatch]:
    listed = list(changes)
    return [
        change_pb2.MessageChangedBatch(
            batch_id=f"{prefix}{at}", tenant_id=TENANT, changes=listed[at : at + size]
        )
        for at in range(0, len(listed), size)
    ]


def recount(finals: Iterable[Step]) -> dict[str, Counter[str]]:
    """Count final messages from scratch, per campaign, in the plainest way."""
    campaigns: dict[str, Counter[str]] = {}
    sets: dict[tuple[str, str], set[object]] = {}
    for step in finals:
        one, who = step.image, step.registration
        if who is None or not who.campaign_id or not one.is_counted:
            continue
        n = campaigns.setdefault(who.campaign_id, Counter())
        state = common_pb2.MessageState.Name(one.state).removeprefix("MESSAGE_STATE_")
        n["targeted"] += 1
        delivered = state in ("DELIVERED", "READ")
        accepted = delivered or state in ("ACCEPTED", "SENT", "UNDELIVERED")
        n["queued"] += state in ("QUEUED", "UNSPECIFIED")
        n["dropped"] += state == "DROPPED"
        bad_address = one.failure_reason == common_pb2.FAILURE_REASON_INVALID_PHONE_NUMBERS
        n["dropped_unaddressable"] += state == "DROPPED" and bad_address
        n["sent"] += accepted
        n["pending"] += state in ("ACCEPTED", "SENT")
        n["undelivered"] += state == "UNDELIVERED"
        n["delivered"] += delivered
        n["recovered"] += delivered and one.is_recovered
        n["read"] += state == "READ"
        n["read_inferred"] += state == "READ" or (delivered and one.evidence_time_us > 0)
        n["clicked"] += one.click_count > 0
        n["clicks"] += one.click_count
        n["machine_clicks"] += one.machine_click_count
        n["human_clicked"] += one.click_count > one.machine_click_count
        n["replied"] += one.reply_count > 0
        n["replies"] += one.reply_count
        n["quick_reply_taps"] += one.tap_count
        n["interacted"] += one.click_count + one.tap_count > 0
        n["unsubscribed"] += one.unsubscribe_time_us > 0
        n["complained"] += one.complain_time_us > 0
        add = {"people_targeted": True, "people_reached": delivered}
        add |= {"repliers": one.reply_count > 0, "people_clicked": one.click_count > 0}
        for name, is_in in add.items():
            if is_in:
                sets.setdefault((who.campaign_id, name), set()).add(who.person_key)
        for act in step.facts:
            if act.kind == common_pb2.EVENT_KIND_CLICKED:
                pair = who.person_key, act.engagement.link_id
                sets.setdefault((who.campaign_id, "unique_link_clicks"), set()).add(pair)
    for (campaign_id, name), members in sets.items():
        campaigns[campaign_id][name] = len(members)
    return campaigns
