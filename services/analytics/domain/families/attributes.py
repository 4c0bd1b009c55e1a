"""Totals of a campaign by one attribute of the contact at a time."""

from collections.abc import Iterable

from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.family import Column, Family, Key, Kind, Placed
from services.analytics.domain.frames import Frame
from services.analytics.domain.times import ClockName


def _places(frame: Frame, clock: int, _minute_us: int) -> Iterable[Key]:
    assert frame.attribute_ids is not None
    if clock != ClockName.SEND_COHORT:
        return ()
    return [(*ids, frame.dimensions.channel) for ids in frame.attribute_ids]


ATTRIBUTES = Family(
    name="attributes",
    says="A campaign by the values of each attribute of the contact.",
    key=(
        Column("name_id", Kind.NUMBER, "attribute"),
        Column("value_id", Kind.NUMBER, "value"),
        Column("channel", Kind.NUMBER, "channel"),
    ),
    sums=STORED_NAMES,
    how=Placed(_places),
)
