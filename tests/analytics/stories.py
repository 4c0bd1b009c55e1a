"""Random lives of messages: every field that is counted may move from one change to the next.

States go up and down, times move, records come late, change, are withdrawn; the provider, the
account and every dimension may be another. Acts come, and leave again for another message.
"""

from bluetick.v1 import change_pb2, common_pb2
from hypothesis import strategies as st

from tests.analytics.building import MINUTE, T0, Step, act, changes_of, image, registration

_STATES = ("QUEUED", "DROPPED", "ACCEPTED", "SENT", "UNDELIVERED", "DELIVERED", "READ")
_times = st.integers(0, 300).map(lambda minute: T0 + minute * MINUTE + 7)
_FIELDS = (
    "queue_time_us", "drop_time_us", "accept_time_us", "send_time_us", "undeliver_time_us",
    "deliver_time_us", "read_time_us", "human_read_time_us", "opted_out_before_time_us",
    "complained_before_time_us", "unsubscribe_time_us", "complain_time_us", "cohort_time_us",
)  # fmt: skip
_WORDS = (
    "sender", "template", "language", "category", "variant", "flow_id", "branch_id", "step_id",
    "segment", "country", "market", "time_zone",
)  # fmt: skip
_words = st.sampled_from(["", "a", "b"])
_attributes = st.dictionaries(st.sampled_from(["city", "plan"]), st.sampled_from("xyz"), max_size=2)
_persons = st.sampled_from([b"", b"P1".ljust(16, b"\0"), b"P2".ljust(16, b"\0")])
_registrations = st.one_of(
    st.none(),
    st.builds(
        registration,
        st.sampled_from(["P1", "P2", "P3"]),
        campaign_id=st.sampled_from(["spring", "spring", "autumn", ""]),
        channel=st.sampled_from([common_pb2.CHANNEL_WHATSAPP, common_pb2.CHANNEL_SMS]),
        person_key=_persons,
        attributes=_attributes,
        **dict.fromkeys(_WORDS, _words),
    ),
)
_acts = st.lists(
    st.tuples(
        st.sampled_from(["CLICKED", "REPLIED", "TAPPED", "UNSUBSCRIBED", "READ"]),
        _times,
        st.sampled_from("xy"),
    ),
    max_size=3,
)


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """Return how one message stood after each of its changes."""
    steps: list[Step] = []
    acts: list[change_pb2.MessageAct] = []
    who, times = None, {field: draw(_times) for field in _FIELDS}
    door = {"provider": "meta", "account": "main"}
    for number in range(draw(st.integers(1, 5))):
        if who is None or draw(st.booleans()):
            who = draw(_registrations) or who
        if draw(st.integers(0, 3)) == 0:
            door = {name: draw(st.sampled_from(["", "meta", "twilio"])) for name in door}
        if acts and draw(st.integers(0, 3)) == 0:
            # It turned out to belong to another message.
            gone = draw(st.sampled_from(acts))
            acts = [one for one in acts if one != gone]
        for at, (kind, time_us, link) in enumerate(draw(_acts)):
            word = "REPLIED" if kind == "TAPPED" else kind
            is_machine = kind == "READ" or (kind == "CLICKED" and draw(st.booleans()))
            one = act(
                word, time_us, f"{number}.{at}", link=link, is_tap=kind == "TAPPED",
                is_machine=is_machine, card_index=draw(st.integers(0, 1)),
                button_id=f"tap-{link}" if kind == "TAPPED" else "",
            )  # fmt: skip
            acts = [*acts, one]
        # Most times stand still from one change to the next, as they do in life.
        for field in draw(st.lists(st.sampled_from(_FIELDS), max_size=2)):
            times[field] = draw(st.sampled_from([0, T0, T0 + MINUTE, T0 + 90 * MINUTE]))
        is_counted = who is not None and draw(st.integers(0, 5)) > 0
        one = _image(draw, draw(st.sampled_from(_STATES)), is_counted, acts, times)
        steps.append(Step(one, who, acts, **door))
    return steps


def _image(
    draw: st.DrawFn, state: str, is_counted: bool, acts: list, times: dict[str, int]
) -> change_pb2.MessageImage:
    clicked = [f for f in acts if f.kind == common_pb2.EVENT_KIND_CLICKED]
    clicks = [f.occur_time_us for f in clicked]
    human = [f.occur_time_us for f in clicked if not f.engagement.is_machine]
    replies = [f.occur_time_us for f in acts if f.kind == common_pb2.EVENT_KIND_REPLIED]
    taps = [f.occur_time_us for f in acts if f.engagement.is_tap]
    seen = [*clicks, *replies]
    return image(
        state,
        is_counted=is_counted,
        **(times if state == "READ" else times | {"read_time_us": 0}),
        is_recovered=draw(st.booleans()),
        failure_reason=draw(st.sampled_from([0, 7, 11, 22])),
        failure_code=draw(st.sampled_from(["", "131049", "131026"])),
        evidence_time_us=min(seen) if seen else 0,
        click_count=len(clicks),
        click_time_us=min(clicks, default=0),
        machine_read_count=sum(f.kind == common_pb2.EVENT_KIND_READ for f in acts),
        machine_click_count=len(clicks) - len(human),
        human_click_time_us=min(human, default=0),
        reply_count=len(replies),
        reply_time_us=min(replies, default=0),
        tap_count=len(taps),
        tap_time_us=min(taps, default=0),
        tapped_button_ids=draw(st.lists(st.sampled_from("uvw"), max_size=2, unique=True)),
        attempt_count=draw(st.sampled_from([0, 1, 1, 3])),
        reached_goals=draw(st.sampled_from([[], [], ["order"]])),
    )


def a_message(number: int, steps: list[Step]) -> list[change_pb2.MessageChanged]:
    """Return the changes of one message that lives through ``steps``; acts in parts of two."""
    return changes_of(key_of(number), steps, acts_a_part=2)


def key_of(number: int) -> bytes:
    """Return the key of a message."""
    return bytes([number + 1]) * 16
