"""Messages that failed, by stage, reason and code."""

from collections.abc import Iterable

from bluetick.v1 import common_pb2

from services.analytics.domain.dimensions import storable
from services.analytics.domain.families.family import Column, Counted, Family, Key, Kind, Sums
from services.analytics.domain.frames import Seen
from services.analytics.domain.shape import DROPPED, UNDELIVERED, Shape

_STAGE_OF = {
    DROPPED: common_pb2.FAILURE_STAGE_DROPPED,
    UNDELIVERED: common_pb2.FAILURE_STAGE_UNDELIVERED,
}


def _of_image(seen: Seen) -> Iterable[tuple[Key, Sums]]:
    image, dimensions = seen.image, seen.frame.dimensions
    stage = _STAGE_OF.get(image.state)
    if stage is None:
        return
    code = storable(image.failure_code)
    key = stage, image.failure_reason, dimensions.channel, dimensions.provider, code
    yield key, (1,)


def _concerns(shape: Shape) -> bool:
    return shape.state in _STAGE_OF


FAILURES = Family(
    name="failures",
    says="Messages that failed and were not delivered later.",
    key=(
        Column("stage", Kind.NUMBER, "side of the hand-over"),
        Column("reason", Kind.BIG, "reason"),
        Column("channel", Kind.NUMBER, "channel"),
        Column("provider", Kind.WORD, "provider"),
        Column("provider_code", Kind.WORD, "the provider's code"),
    ),
    sums=("message_count",),
    how=Counted(of_image=_of_image, concerns=_concerns),
)
