"""Totals of a campaign by channel: what its report reads, however many messages it has."""

from collections.abc import Iterable

from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.family import Column, Family, Key, Kind, Placed
from services.analytics.domain.frames import Frame
from services.analytics.domain.times import ClockName


def _places(frame: Frame, clock: int, _minute_us: int) -> Iterable[Key]:
    # Both clocks add up to the same; the cohort has fewer rows to add up.
    return ((frame.dimensions.channel,),) if clock == ClockName.SEND_COHORT else ()


TOTALS = Family(
    name="totals",
    says="Totals of a campaign.",
    key=(Column("channel", Kind.NUMBER, "channel"),),
    sums=STORED_NAMES,
    how=Placed(_places),
)
