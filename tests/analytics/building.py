"""Messages, images and changes for tests, as status would publish them."""

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


def act(
    kind: str, at_us: int, act_id: str, *, link: str = "", is_tap: bool = False, **more: object
) -> change_pb2.MessageAct:
    return change_pb2.MessageAct(
        kind=common_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
        occur_time_us=at_us,
        engagement=event_pb2.Engagement(
            act_id=act_id,
            link_id=link,
            is_tap=is_tap,
            **more,  # type: ignore[arg-type]
        ),
    )


@dataclass
class Step:
    """A message as it stands after one change. The image gets what `registration` says."""

    image: change_pb2.MessageImage
    registration: event_pb2.Registration | None
    acts: list[change_pb2.MessageAct] = field(default_factory=list)  # all counted so far
    provider: str = "meta"
    account: str = "main"

    def __post_init__(self) -> None:
        told, one = self.registration or event_pb2.Registration(), change_pb2.MessageImage()
        one.CopyFrom(self.image)
        for name in {f.name for f in one.scope.DESCRIPTOR.fields} - {"provider", "account"}:
            setattr(one.scope, name, getattr(told, name))
        one.scope.provider, one.scope.account = self.provider, self.account
        one.contact_id, one.person_key = told.contact_id, told.person_key
        one.attributes.clear()
        one.attributes.update(told.attributes)
        one.cohort_time_us = one.cohort_time_us or _cohort_us(one)
        self.image = one


def _cohort_us(one: change_pb2.MessageImage) -> int:
    state = common_pb2.MessageState.Name(one.state).removeprefix("MESSAGE_STATE_")
    if state == "DROPPED":
        return one.drop_time_us or one.queue_time_us
    if state in ("UNSPECIFIED", "QUEUED"):
        return one.queue_time_us
    names = ("accept", "send", "undeliver", "deliver", "read", "queue")
    return next((us for name in names if (us := getattr(one, f"{name}_time_us"))), 0)


def changes_of(
    key: bytes, steps: Sequence[Step], acts_a_part: int = 0
) -> list[change_pb2.MessageChanged]:
    """Return the changes that status would publish for a message going through `steps`.

    `acts_a_part`: at most so many acts in one part of a change; 0: all in one.
    """
    changes, before = [], None
    for version, step in enumerate(steps, start=1):
        change = change_pb2.MessageChanged(
            message_key=key,
            tenant_id=TENANT,
            version=version,
            cause=1 + version % 4,  # type: ignore[arg-type]
        )
        change.new_image.CopyFrom(step.image)
        known: list[change_pb2.MessageAct] = []
        is_repeating = False
        if before is not None:
            change.old_image.CopyFrom(before.image)
            known = before.acts
            is_repeating = _frame(before.image) != _frame(step.image)
        acts = []
        for one in step.acts:
            is_known = one in known
            if not is_known or is_repeating:
                acts.append(_told(one, is_repeated=is_known))
        acts += [_told(one, is_retracted=True) for one in known if one not in step.acts]
        size = acts_a_part or max(1, len(acts))
        pieces = [acts[at : at + size] for at in range(0, len(acts), size)] or [[]]
        for part, piece in enumerate(pieces):
            told = change_pb2.MessageChanged(part=part, part_count=len(pieces), acts=piece)
            told.MergeFrom(change)
            changes.append(told)
        before = step
    return changes


def _frame(one: change_pb2.MessageImage) -> tuple[object, ...]:
    scope = one.scope.SerializeToString(deterministic=True)
    return scope, dict(one.attributes), one.person_key, one.is_counted


def _told(one: change_pb2.MessageAct, **more: bool) -> change_pb2.MessageAct:
    told = change_pb2.MessageAct(**more)  # type: ignore[arg-type]
    told.MergeFrom(one)
    return told


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
