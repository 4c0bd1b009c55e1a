"""Quarters of an hour with all dimensions, on both clocks."""

from collections.abc import Iterable

from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.family import Column, Family, Key, Kind, Placed
from services.analytics.domain.frames import Frame
from services.analytics.domain.times import QUARTER_US


def _places(frame: Frame, clock: int, minute_us: int) -> Iterable[Key]:
    assert frame.scope_id is not None
    return ((clock, minute_us // QUARTER_US * QUARTER_US, frame.scope_id),)


QUARTERS = Family(
    name="quarters",
    says="A campaign by quarter of an hour and by all dimensions, on either clock.",
    key=(
        Column("clock", Kind.NUMBER, "clock: 1 EVENT_TIME, 2 SEND_COHORT"),
        Column("quarter_us", Kind.BIG, "start of the quarter"),
        Column("scope_id", Kind.BIG, "combination of all dimensions"),
    ),
    sums=STORED_NAMES,
    how=Placed(_places),
)
