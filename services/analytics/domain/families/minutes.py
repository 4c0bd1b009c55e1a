"""Minutes without dimensions: the live timeline."""

from collections.abc import Iterable

from services.analytics.domain.counters import STORED_NAMES
from services.analytics.domain.families.family import Column, Family, Key, Kind, Placed
from services.analytics.domain.frames import Frame
from services.analytics.domain.times import ClockName


def _places(_frame: Frame, clock: int, minute_us: int) -> Iterable[Key]:
    return ((minute_us,),) if clock == ClockName.EVENT_TIME else ()


MINUTES = Family(
    name="minutes",
    says="A campaign by minute, on the clock EVENT_TIME.",
    key=(Column("minute_us", Kind.BIG, "start of the minute"),),
    sums=STORED_NAMES,
    how=Placed(_places),
    kept_h=48,
)
