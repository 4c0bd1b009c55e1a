"""Random lives of messages: states go up, times move, records come late, change, are withdrawn.

Acts come, and leave again for another message.
"""

from bluetick.v1 import change_pb2, common_pb2
from hypothesis import strategies as st

from tests.analytics.building import MINUTE, T0, Step, changes_of, fact, image, registration

_STATES = ("QUEUED", "DROPPED", "ACCEPTED", "SENT", "UNDELIVERED", "DELIVERED", "READ")
_times = st.integers(0, 300).map(lambda minute: T0 + minute * MINUTE + 7)
_FIELDS = (
    "queue_time_us", "drop_time_us", "accept_time_us", "send_time_us", "undeliver_time_us",
    "deliver_time_us", "read_time_us", "unsubscribe_time_us", "complain_time_us",
)  # fmt: skip
_registrations = st.one_of(
    st.none(),
    st.builds(
        registration,
        st.sampled_from(["P1", "P2", "P3"]),
        campaign_id=st.sampled_from(["spring", "spring", "autumn", ""]),
        channel=st.sampled_from([common_pb2.CHANNEL_WHATSAPP, common_pb2.CHANNEL_SMS]),
        template=st.sampled_from(["a", "b"]),
    ),
)
_acts = st.lists(
    st.tuples(st.sampled_from(["CLICKED", "REPLIED", "TAPPED"]), _times, st.sampled_from("xy")),
    max_size=3,
)


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """Return how one message stood after each of its changes."""
    steps: list[Step] = []
    facts: list[change_pb2.MessageFact] = []
    rank, who, times = 0, None, {field: draw(_times) for field in _FIELDS}
    for number in range(draw(st.integers(1, 5))):
        rank = draw(st.integers(rank, len(_STATES) - 1))
        if who is None or draw(st.booleans()):
            who = draw(_registrations) or who
        if facts and draw(st.integers(0, 3)) == 0:
            # It turned out to belong to another message.
            gone = draw(st.sampled_from(facts))
            facts = [one for one in facts if one != gone]
        for at, (kind, time_us, link) in enumerate(draw(_acts)):
            word = "REPLIED" if kind == "TAPPED" else kind
            is_machine = kind == "CLICKED" and draw(st.booleans())
            act_id, is_tap = f"{number}.{at}", kind == "TAPPED"
            one = fact(word, time_us, act_id, link=link, is_tap=is_tap, is_machine=is_machine)
            facts = [*facts, one]
        # Most times stand still from one change to the next, as they do in life.
        for field in draw(st.lists(st.sampled_from(_FIELDS), max_size=2)):
            times[field] = draw(st.sampled_from([0, T0, T0 + MINUTE, T0 + 90 * MINUTE]))
        is_counted = who is not None and draw(st.integers(0, 5)) > 0
        steps.append(Step(_image(draw, _STATES[rank], is_counted, facts, times), who, facts))
    return steps


def _image(
    draw: st.DrawFn, state: str, is_counted: bool, facts: list, times: dict[str, int]
) -> change_pb2.MessageImage:
    clicked = [f for f in facts if f.kind == common_pb2.EVENT_KIND_CLICKED]
    clicks = [f.occur_time_us for f in clicked]
    human = [f.occur_time_us for f in clicked if not f.engagement.is_machine]
    replies = [f.occur_time_us for f in facts if f.kind == common_pb2.EVENT_KIND_REPLIED]
    taps = [f.occur_time_us for f in facts if f.engagement.is_tap]
    seen = [*clicks, *replies]
    return image(
        state,
        is_counted=is_counted,
        **(times if state == "READ" else times | {"read_time_us": 0}),
        is_recovered=draw(st.booleans()),
        failure_reason=draw(st.sampled_from([0, 7, 11, 22])),
        failure_code=draw(st.sampled_from(["", "131049"])),
        evidence_time_us=min(seen) if seen else 0,
        click_count=len(clicks),
        click_time_us=min(clicks, default=0),
        machine_click_count=len(clicks) - len(human),
        human_click_time_us=min(human, default=0),
        reply_count=len(replies),
        reply_time_us=min(replies, default=0),
        tap_count=len(taps),
        tap_time_us=min(taps, default=0),
    )


def a_message(number: int, steps: list[Step]) -> list[change_pb2.MessageChanged]:
    """Return the changes of one message that lives through ``steps``."""
    return changes_of(bytes([number]) * 16, steps)
