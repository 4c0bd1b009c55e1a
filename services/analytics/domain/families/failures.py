"""Messages that failed, by stage, reason and code, by quarter of an hour on either clock."""

from collections.abc import Iterable

from bluetick.v1 import common_pb2

from services.analytics.domain.counters import Moment
from services.analytics.domain.dimensions import storable
from services.analytics.domain.families.family import Column, Counted, Family, Key, Kind, Sums
from services.analytics.domain.frames import Seen
from services.analytics.domain.shape import DROPPED, TIME_OF, UNDELIVERED, Shape
from services.analytics.domain.times import QUARTER_US, ClockName

_STAGE_OF = {
    DROPPED: common_pb2.FAILURE_STAGE_DROPPED,
    UNDELIVERED: common_pb2.FAILURE_STAGE_UNDELIVERED,
}


# When a failure counts, as its counter does.
_MOMENT_OF = {
    common_pb2.FAILURE_STAGE_DROPPED: Moment.SEND,
    common_pb2.FAILURE_STAGE_UNDELIVERED: Moment.UNDELIVER,
}
_EVENT, _COHORT = int(ClockName.EVENT_TIME), int(ClockName.SEND_COHORT)


def _of_image(seen: Seen) -> Iterable[tuple[Key, Sums]]:
    image, dimensions = seen.image, seen.frame.dimensions
    stage = _STAGE_OF.get(image.state)
    if stage is None:
        return
    code = storable(image.failure_code)
    key = stage, image.failure_reason, dimensions.channel, dimensions.provider, code
    for clock, time_us in (
        (_EVENT, TIME_OF[_MOMENT_OF[stage]](image)),
        (_COHORT, image.cohort_time_us),
    ):
        yield (clock, *key, time_us // QUARTER_US * QUARTER_US), (1,)


def _concerns(shape: Shape) -> bool:
    return shape.state in _STAGE_OF


FAILURES = Family(
    name="failures",
    says="Messages that failed and were not delivered later.",
    key=(
        Column("clock", Kind.NUMBER, "clock: 1 EVENT_TIME, 2 SEND_COHORT"),
        Column("stage", Kind.NUMBER, "side of the hand-over"),
        Column("reason", Kind.BIG, "reason"),
        Column("channel", Kind.NUMBER, "channel"),
        Column("provider", Kind.WORD, "provider"),
        Column("provider_code", Kind.WORD, "the provider's code"),
        Column("quarter_us", Kind.BIG, "start of the quarter"),
    ),
    sums=("message_count",),
    how=Counted(of_image=_of_image, concerns=_concerns),
)
