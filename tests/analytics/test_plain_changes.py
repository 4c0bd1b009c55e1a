"""Plain changes take a shorter way, which must lead to the same numbers."""

from typing import Any

from bluetick.v1 import change_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.change_view import BatchView, PlainBatchView
from services.analytics.domain.families.registry import FAMILIES
from services.analytics.domain.folder import Folder
from services.analytics.domain.frames import FrameBook
from services.analytics.domain.moves import Planner
from services.analytics.domain.plain_changes import PlainChanges
from services.analytics.domain.tally import Tally
from tests.analytics.building import MINUTE, T0, TENANT, Step, changes_of, image, registration
from tests.analytics.folding import Numbers
from tests.analytics.stories import a_message, key_of, stories

_PLANNER = Planner(FAMILIES)
_STATES = ("QUEUED", "ACCEPTED", "SENT", "DELIVERED", "READ")
_times = st.sampled_from([0, T0, T0 + MINUTE, T0 + 20 * MINUTE])


@st.composite
def plain_stories(draw: st.DrawFn) -> list[Step]:
    """Return lives of messages to which little happens, and now and then a correction."""
    who = registration(draw(st.sampled_from(["P1", "P2", ""])), variant=draw(st.sampled_from("ab")))
    times = dict.fromkeys(("queue_time_us", "accept_time_us", "cohort_time_us"), T0)
    steps = []
    for state in draw(st.lists(st.sampled_from(_STATES), min_size=1, max_size=5)):
        if draw(st.integers(0, 9)) == 0:
            who = registration("P3", variant=draw(st.sampled_from("ab")))
        if draw(st.integers(0, 9)) == 0:
            times["cohort_time_us"] = draw(_times)
        if state in ("DELIVERED", "READ"):
            times["deliver_time_us"] = times.get("deliver_time_us", draw(_times))
        if state == "READ":
            for name in ("read", "human_read", "evidence"):
                times[f"{name}_time_us"] = times.get(f"{name}_time_us", draw(_times))
        told = image(
            state,
            is_counted=draw(st.integers(0, 4)) > 0,
            attempt_count=draw(st.sampled_from([1, 1, 1, 2])),
            **times,
        )
        steps.append(Step(told, who))
    return steps


def folded(changes: list[change_pb2.MessageChanged], *, in_one: bool) -> dict[Any, Any]:
    folder, numbers = Folder(_PLANNER, FrameBook()), Numbers()
    data = change_pb2.MessageChangedBatch(tenant_id=TENANT, changes=changes).SerializeToString()
    if in_one:
        folder.add_batch(PlainBatchView.FromString(data), data)
    else:
        folder.add_changes(TENANT, BatchView.FromString(data).changes)
    assert folder.change_count == len(changes)
    # Numbers go by who comes first, and the two ways come to places in different orders.
    numbers.resolve(sorted(folder.unresolved, key=lambda one: (one.dimensions, one.attributes)))
    wanted = {name: (one.keys, one.values) for name, one in folder.unnamed.items()}
    return {"cells": folder.cells(), "named": wanted}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_both_ways_of_folding_give_the_same_cells(data: st.DataObject) -> None:
    """Whatever is mixed with what; lists ask for the same messages, too."""
    lives = st.lists(st.one_of(plain_stories(), plain_stories(), stories()), min_size=1, max_size=6)
    changes = [c for at, steps in enumerate(data.draw(lives)) for c in a_message(at, steps)]
    shuffled = data.draw(st.permutations(changes))

    assert folded(shuffled, in_one=True) == folded(shuffled, in_one=False)


def test_an_ordinary_life_is_plain_from_its_beginning_to_its_end() -> None:
    """Else the shorter way would be right, and never taken."""
    times: dict[str, int] = {"accept_time_us": T0, "attempt_count": 1}
    steps = [Step(image("ACCEPTED", **times), registration())]
    for number, state in enumerate(("SENT", "DELIVERED", "READ"), 1):
        if state == "DELIVERED":
            times["deliver_time_us"] = T0 + number * MINUTE
        if state == "READ":
            for name in ("read", "human_read", "evidence"):
                times[f"{name}_time_us"] = T0 + number * MINUTE
        steps.append(Step(image(state, **times), registration()))
    batch = change_pb2.MessageChangedBatch(changes=changes_of(key_of(0), steps))
    view = PlainBatchView.FromString(batch.SerializeToString())

    assert PlainChanges(Tally(_PLANNER, FrameBook())).add(TENANT, view.changes) == []
