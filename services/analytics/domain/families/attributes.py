"""A campaign by one attribute of the contact at a time, by when it was sent.

On that clock alone: a campaign is sent in a few quarters of an hour, and read in hundreds.
"""

from collections.abc import Iterable

from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.family import Column, Family, Key, Kind, Placed
from services.analytics.domain.frames import Frame
from services.analytics.domain.times import ClockName


def _places(frame: Frame, clock: int, quarter_us: int) -> Iterable[Key]:
    assert frame.attribute_ids is not None
    if clock != ClockName.SEND_COHORT:
        return ()
    channel = frame.dimensions.channel
    return [(*ids, channel, quarter_us) for ids in frame.attribute_ids]


ATTRIBUTES = Family(
    name="attributes",
    says="A campaign by the values of each attribute of the contact.",
    key=(
        Column("name_id", Kind.NUMBER, "attribute"),
        Column("value_id", Kind.NUMBER, "value"),
        Column("channel", Kind.NUMBER, "channel"),
        Column("quarter_us", Kind.BIG, "start of the quarter of an hour of the send"),
    ),
    sums=STORED_NAMES,
    how=Placed(_places),
)
